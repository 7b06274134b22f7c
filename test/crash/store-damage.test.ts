// Objects of the store that a disk has damaged, cut off or lost: what is made of them or put back is right or is told, and repair
// mends all.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { repair } from '../../src/execute/repair.js';
import { verify } from '../../src/execute/verify.js';
import { selectNodes } from '../../src/graph/select.js';
import { ResError } from '../../src/model/error.js';
import { type Engine, engineIn } from '../execute/engine.js';
import { below, flipBit } from '../rig/arena.js';
import { randomNumbers, seededBytes } from '../rig/random.js';
import { tarBytes } from '../rig/tar.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const CONTENTS = { one: seededBytes('one', 3000), two: seededBytes('two', 2_200_000) };

/** Downloads are in the store, and so is what the other variant has put out. */
async function builtWorkspace(): Promise<{ work: Workspace; engine: Engine }> {
  const work = makeWorkspace({
    'away/one.gz': gzipSync(CONTENTS.one),
    'away/two.gz': gzipSync(CONTENTS.two),
    'away/one.tar': tarBytes([{ name: 'a/b', body: 'leaf of one' }]),
    'away/two.tar': tarBytes([{ name: 'a/b', body: 'leaf of two' }]),
  });
  work.write(
    'resources.yaml',
    `res: 1
params: { which: { default: one, enum: [one, two] } }
artifacts:
  words: { url: "file://${work.path('away')}/\${which}.gz" }
  pack: { url: "file://${work.path('away')}/\${which}.tar" }
targets:
  text: { decompress: words, output: text }
  twice: { merge: [text, text], output: twice }
  tree: { extract: pack, output: tree }
`,
  );
  const engine = engineIn(work);
  expect((await engine.build([], two)).ok).toBe(true);
  expect((await engine.build()).ok).toBe(true);
  return { work, engine };
}

const two = { set: { which: 'two' } };

/** Outputs of variant two that have other bytes than they should. */
function wrong(work: Workspace): readonly string[] {
  const text = CONTENTS.two;
  const expected = { text, twice: Buffer.concat([text, text]), 'tree/a/b': Buffer.from('leaf of two') };
  return Object.entries(expected).flatMap(([name, bytes]) => {
    const path = work.path('resources', name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return [`${name} is missing`];
    return readFileSync(path).equals(bytes) ? [] : [name];
  });
}

const random = randomNumbers(process.env.RES_CRASH_SEED ?? 'store');
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  'has a bit flipped': (path) => flipBit(path, random),
  'is cut off': (path) => truncateSync(path, Math.floor(random() * statSync(path).size)),
  'is all zeros': (path) => writeFileSync(path, Buffer.alloc(statSync(path).size)),
  'is gone': (path) => rmSync(path),
};

describe('an object of the store that', () => {
  it.each(Object.keys(DAMAGES))('%s does no harm unseen', { timeout: 120_000 }, async (how) => {
    const { work } = await builtWorkspace();
    const saved = join(work.dir, '..', `${relative(join(work.dir, '..'), work.dir)}-saved`);
    cpSync(work.dir, saved, { recursive: true, preserveTimestamps: true });
    const objects = below(work.path('.res/store'))
      .filter((path) => /\/(?:cas|tree|dir)\//.test(path))
      .map((path) => relative(work.dir, path));
    expect(objects.length).toBeGreaterThanOrEqual(6);
    try {
      for (const object of objects) {
        for (const name of readdirSync(work.dir)) rmSync(work.path(name), { recursive: true, force: true });
        cpSync(saved, work.dir, { recursive: true, preserveTimestamps: true });
        DAMAGES[how]?.(work.path(object));
        const engine = engineIn(work);
        const outcome = await engine.build([], two).catch((error: unknown) => error);
        if (outcome instanceof Error && !(outcome instanceof ResError)) throw outcome;
        const built =
          typeof outcome === 'object' && outcome !== null && 'ok' in outcome && outcome.ok === true;
        const workspace = engine.open(two.set);
        const requested = selectNodes(workspace.graph, []);
        const seen = await verify(workspace, requested);
        // Never wrong bytes that nothing tells of.
        if (built && wrong(work).length > 0) expect(seen.ok, `${object}: ${wrong(work)}`).toBe(false);
        await repair(engine.open(two.set), requested, { overwrite: true });
        expect((await engine.build([], two)).ok, object).toBe(true);
        expect(wrong(work), object).toEqual([]);
        const after = await verify(engine.open(two.set), requested);
        expect(
          after.checked.filter(({ state }) => state !== 'ok'),
          object,
        ).toEqual([]);
      }
    } finally {
      rmSync(saved, { recursive: true, force: true });
    }
  });
});
