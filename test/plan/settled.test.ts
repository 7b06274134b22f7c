// What was in order is taken as it was: the plan is the same as one that looks into every node, whatever happened in between.
import { appendFileSync, chmodSync, existsSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ResError } from '../../src/model/error.js';
import { type Engine, openEngine } from '../execute/engine.js';
import { removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const MANIFEST = `res: 1
artifacts:
  a: { path: a.txt }
  b: { path: b.txt }
  packed: { path: packed.gz }
  many: { path: "many/*.txt" }
targets:
  plain: { decompress: packed }
  joined: { merge: [a, plain] }
  one: { merge: [joined, b], output: one }
  two: { merge: [one, a], output: two, executable: true }
  three: { merge: [two, many], output: deep/three }
  copy: { copy: three, output: copy }
  last: { merge: [copy, b], output: last }
default: [last, two]
`;

const open = (): Engine =>
  openEngine({
    'resources.yaml': MANIFEST,
    'a.txt': 'a\n',
    'b.txt': 'b\n',
    'packed.gz': gzipSync('packed\n'),
    'many/1.txt': '1\n',
    'many/2.txt': '2\n',
  });

const inShort = async (engine: Engine, options: { quick?: boolean; brief?: boolean }) => {
  const plan = await engine.plan([], options);
  return {
    nodes: Array.from(plan.nodes.values(), ({ name, state, key, content, outputs, reasons, present }) => ({
      ...{ name, state, key, content, outputs, reasons },
      // Of an intermediate a brief plan does not look whether it is there.
      present: outputs.every(({ path }) => path !== null) ? present : undefined,
    })),
    steps: plan.steps,
    blocked: plan.blocked,
  };
};

/** How many nodes a plan takes as they were. */
async function vouched(engine: Engine): Promise<readonly string[]> {
  const { nodes, settled } = await engine.plan([], { quick: true });
  return [...nodes.keys()].filter((name) => settled?.vouches(name));
}

/** Built twice, with the clock left behind: all that can be taken as it was is. */
async function settled(): Promise<Engine> {
  const engine = open();
  await engine.build();
  await engine.build();
  return engine;
}

const text = fc.constantFrom('x\n', 'y\n', 'longer than that\n');
const file = fc.constantFrom('a.txt', 'b.txt', 'many/1.txt', 'many/3.txt');
const output = fc.constantFrom('resources/one', 'resources/two', 'resources/deep/three', 'resources/last');
const logs = fc.constantFrom('traces', 'outputs', 'files', 'nodes');
type Step = readonly [words: string, act: (engine: Engine) => unknown];
/** An output that was written to is not accepted while what it is made of is not known: a source of it changed since. */
function notAccepted(error: unknown): void {
  if (!(error instanceof ResError) || error.code !== 'output-modified') throw error;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(file, text)
    .map(
      ([path, content]): Step => [
        `write ${path} ${content}`,
        ({ work }) => writeFileSync(work.path(path), content),
      ],
    ),
  file.map(
    (path): Step => [
      `touch ${path}`,
      ({ work }) => existsSync(work.path(path)) && utimesSync(work.path(path), 1, Date.now() / 1000),
    ],
  ),
  output.map((path): Step => [`remove ${path}`, ({ work }) => rmSync(work.path(path), { force: true })]),
  output.map((path): Step => [`add to ${path}`, ({ work }) => appendFileSync(work.path(path), '+')]),
  output.map(
    (path): Step => [
      `mode of ${path}`,
      ({ work }) =>
        existsSync(work.path(path)) && chmodSync(work.path(path), statSync(work.path(path)).mode ^ 0o100),
    ],
  ),
  logs.map(
    (name): Step => [
      `lose ${name}`,
      ({ work }) => rmSync(work.path(`.res/state/${name}.log`), { force: true }),
    ],
  ),
  fc.constant<Step>(['build', (engine) => engine.build([], { overwrite: true })]),
  fc.constant<Step>(['build two', (engine) => engine.build(['two'], { overwrite: true })]),
  fc.constant<Step>(['as it is', (engine) => engine.build([], { asIs: true }).catch(notAccepted)]),
  fc.constant<Step>([
    'manifest',
    ({ work }) => appendFileSync(work.path('resources.yaml'), '# another text\n'),
  ]),
);

describe('a plan that takes as it was what was in order', () => {
  it('is the one that looks into every node', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const engine = await settled();
        for (const [, act] of steps) {
          await act(engine);
          expect(await inShort(engine, { quick: true })).toEqual(await inShort(engine, {}));
          expect(await inShort(engine, { quick: true, brief: true })).toEqual(await inShort(engine, {}));
        }
      }),
      { numRuns: 12 },
    );
  });

  it('does not look into nodes whose file and inputs are as they were', async () => {
    const engine = await settled();
    const all = ['a', 'b', 'packed', 'plain', 'joined', 'one', 'two', 'three', 'last'];
    expect([...(await vouched(engine))].sort()).toEqual([...all].sort());
  });

  it('looks into what is made of a file that changed, and no further than the change goes', async () => {
    const engine = await settled();
    writeFileSync(engine.work.path('b.txt'), 'another\n');
    const after = await vouched(engine);
    expect(after).toEqual(expect.arrayContaining(['a', 'packed', 'plain', 'joined']));
    for (const name of ['b', 'one', 'two', 'three', 'last']) expect(after).not.toContain(name);
    const again = await settled();
    // Touched, and not another: nothing is made of it anew.
    utimesSync(again.work.path('b.txt'), 1, 1);
    expect(await vouched(again)).toContain('one');
  });

  it('after a build with work takes all of it as it is', async () => {
    const engine = await settled();
    writeFileSync(engine.work.path('b.txt'), 'another\n');
    expect((await engine.build()).ran).toContain('last');
    expect(await vouched(engine)).toEqual(expect.arrayContaining(['b', 'one', 'last']));
  });

  it('takes nothing as it was for other nodes, another manifest, or when records are gone', async () => {
    const engine = await settled();
    expect((await engine.plan(['one'], { quick: true })).settled).toBeUndefined();
    for (const name of ['traces', 'outputs', 'files']) {
      const other = await settled();
      rmSync(other.work.path(`.res/state/${name}.log`));
      expect((await other.plan([], { quick: true })).settled).toBeUndefined();
    }
    appendFileSync(engine.work.path('resources.yaml'), '# another text\n');
    expect((await engine.plan([], { quick: true })).settled).toBeUndefined();
  });

  it('takes nothing as it was from a file that is not whole', async () => {
    const engine = await settled();
    const path = engine.work.path('.res/cache/settled-resources.yaml');
    const bytes = engine.work.read('.res/cache/settled-resources.yaml');
    writeFileSync(path, bytes.subarray(0, bytes.length - 1));
    expect((await engine.plan([], { quick: true })).settled).toBeUndefined();
    expect((await engine.build()).fresh).toContain('last');
  });

  it('writes nothing where all was known to be in order', async () => {
    const engine = await settled();
    const path = engine.work.path('.res/cache/settled-resources.yaml');
    const before = statSync(path, { bigint: true });
    await engine.build();
    expect(statSync(path, { bigint: true })).toEqual(before);
  });
});
