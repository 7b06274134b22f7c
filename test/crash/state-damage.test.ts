// State logs that are torn, flipped, cut off or gone: res takes no harm, the outputs are right in the end, what is the user's is
// left alone, and the user is told.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { verify } from '../../src/execute/verify.js';
import { selectNodes } from '../../src/graph/select.js';
import { ResError } from '../../src/model/error.js';
import { type Engine, engineIn } from '../execute/engine.js';
import { runRes } from '../rig/cli.js';
import { damages } from '../rig/damage.js';
import { randomNumbers, seededBytes } from '../rig/random.js';
import { tarBytes } from '../rig/tar.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const LONG = process.env.RES_CRASH_ROUNDS !== undefined;
/** Damages by chance, of each sort. */
const EACH = LONG ? 25 : 2;
/** So many of all, of each log; `npm run test:crash` takes every one. */
const SAMPLE = LONG ? Number.POSITIVE_INFINITY : 6;
const SEED = process.env.RES_CRASH_SEED ?? 'state';

const MANIFEST = `res: 1
params: { which: { default: one, enum: [one, two] } }
artifacts:
  words: { path: "\${which}.gz" }
  pack: { path: pack.tar }
targets:
  text: { decompress: words, output: text }
  twice: { merge: [text, text], output: twice, executable: true }
  tree: { extract: pack, output: tree }
  edited: { merge: [text], output: edited }
  foreign: { merge: [text], output: foreign }
  all: { group: [text, twice, tree] }
default: [all]
`;
const CONTENTS = { one: seededBytes('one', 3000), two: seededBytes('two', 2_200_000) };
const EDITED = 'by hand\n';
const FOREIGN = 'mine\n';

async function builtWorkspace(): Promise<{ work: Workspace; engine: Engine }> {
  const work = makeWorkspace({
    'resources.yaml': MANIFEST,
    'one.gz': gzipSync(CONTENTS.one),
    'two.gz': gzipSync(CONTENTS.two),
    'pack.tar': tarBytes([
      { name: 'a/b', body: 'leaf' },
      { name: 'c', body: 'other' },
    ]),
    'resources/foreign': FOREIGN,
  });
  const engine = engineIn(work);
  await engine.build(['edited']);
  work.write('resources/edited', EDITED);
  await engine.build(['all'], { set: { which: 'two' } });
  await engine.build(['all']);
  return { work, engine };
}

function expectOutputs(work: Workspace, which: keyof typeof CONTENTS): void {
  const text = CONTENTS[which];
  expect(work.read('resources/text').equals(text)).toBe(true);
  expect(work.read('resources/twice').equals(Buffer.concat([text, text]))).toBe(true);
  expect(work.text('resources/tree/a/b')).toBe('leaf');
  expect(work.text('resources/tree/c')).toBe('other');
}

function expectOwnUntouched(work: Workspace): void {
  expect(work.text('resources/edited')).toBe(EDITED);
  expect(work.text('resources/foreign')).toBe(FOREIGN);
}

/** Everything a user might do next. */
async function expectGoesOn(work: Workspace, engine: Engine): Promise<void> {
  await engine.plan([]);
  for (const node of ['edited', 'foreign']) {
    const refusal = await engine.build([node]).catch((error: unknown) => error);
    expect(refusal instanceof ResError ? refusal.code : refusal).toMatch(/^output-(modified|foreign)$/);
  }
  expectOwnUntouched(work);
  expect((await engine.build()).ok).toBe(true);
  expectOutputs(work, 'one');
  const workspace = engine.open();
  const report = await verify(workspace, selectNodes(workspace.graph, []));
  expect(report.checked.filter(({ state }) => state !== 'ok')).toEqual([]);
  expect((await engine.build([], { set: { which: 'two' } })).ok).toBe(true);
  expectOutputs(work, 'two');
  expect((await engine.build()).ok).toBe(true);
  expectOutputs(work, 'one');
  expectOwnUntouched(work);
}

const LOGS = ['traces', 'files', 'outputs', 'nodes', 'tools', 'kept'];

describe('a workspace whose log of', () => {
  it.each(LOGS)('%s is damaged in any way goes on', { timeout: 600_000 }, async (log) => {
    const { work, engine } = await builtWorkspace();
    const path = `.res/state/${log}.log`;
    if (!work.exists(path)) work.write(path, '');
    const random = randomNumbers(`${SEED} ${log}`);
    const now = () =>
      damages(work.exists(path) ? work.read(path) : Buffer.alloc(0), `${SEED} ${random()}`, EACH);
    const rounds = now().length;
    for (let round = 0; round < Math.min(rounds, SAMPLE); round++) {
      // The damage is done to what the last round has left there.
      const all = now();
      const damage = all[LONG || round === 0 ? round % all.length : Math.floor(random() * all.length)];
      if (!damage) throw new Error('no damage');
      try {
        if (damage.bytes === undefined) rmSync(work.path(path), { force: true });
        else work.write(path, damage.bytes);
        await expectGoesOn(work, engine);
      } catch (error) {
        throw new Error(`${log}.log, ${damage.name} (RES_CRASH_SEED=${SEED}): ${error}`, { cause: error });
      }
    }
  });

  it('everything is gone takes no file for its own that it cannot know, and can be told to', async () => {
    const { work, engine } = await builtWorkspace();
    for (const name of readdirSync(work.path('.res/state'))) rmSync(work.path('.res/state', name));
    const refusal = await engine.build().catch((error: unknown) => error);
    expect(refusal instanceof ResError ? refusal.code : refusal).toBe('output-foreign');
    expectOutputs(work, 'one');
    await engine.build([], { overwrite: true });
    await expectGoesOn(work, engine);
  });
});

describe('the program, in a workspace with damaged logs,', () => {
  it.each(LOGS)('says so, and shows no stack: %s', { timeout: 60_000 }, async (log) => {
    const { work } = await builtWorkspace();
    const path = work.path(`.res/state/${log}.log`);
    if (!work.exists(`.res/state/${log}.log`)) return;
    const whole = readFileSync(path);
    const text = whole.toString('latin1');
    // A digit within a record that is not the last one.
    const at = text.indexOf('\n') + 30;
    writeFileSync(
      path,
      Buffer.concat([whole.subarray(0, at), Buffer.from('\u0000'), whole.subarray(at + 1)]),
    );
    const run = (...args: string[]) => runRes(args, { cwd: work.dir, env: { HOME: work.dir } });
    const status = await run('status');
    expect(status.status, status.stderr).toBe(0);
    expect(status.stderr).toContain(`warning: `);
    expect(status.stderr).toContain(`${log}.log: a damaged record was left out`);
    for (const args of [['build'], ['verify']]) {
      const result = await run(...args);
      expect(result.status, `${args}\n${result.stdout}\n${result.stderr}`).toBe(0);
      expect(result.stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$|bug of res/m);
    }
    expectOutputs(work, 'one');
    expectOwnUntouched(work);
  });
});
