// `verify` finds what is not as recorded and says what became of it, also while a build beside it moves things.
import { appendFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkClaims, claimsOf, verify } from '../../src/execute/verify.js';
import { seededBytes } from '../rig/random.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { type Engine, openEngine } from './engine.js';
import { flip, rot } from './rot.js';

afterEach(removeWorkspaces);

const BIG = seededBytes('big', 5 * 1024 * 1024);
const SMALL = seededBytes('small', 100_000);
const MANIFEST = `res: 1
params: { which: { default: one, enum: [one, two] } }
artifacts: { big: { path: big }, small: { path: small }, words: { path: "\${which}.txt" } }
targets:
  large: { copy: big, output: large }
  little: { merge: [small, small], output: little }
  text: { merge: [words, words], output: text }
default: [large, little, text]
`;
const open = () =>
  openEngine({ 'resources.yaml': MANIFEST, big: BIG, small: SMALL, 'one.txt': '1\n', 'two.txt': '22\n' });
const NAMES = ['large', 'little', 'text'];

async function built(): Promise<Engine> {
  const engine = open();
  await engine.build();
  return engine;
}

describe('verify', () => {
  it('tells what was written to from what the disk has lost', async () => {
    const engine = await built();
    const [large, little] = [engine.work.path('resources/large'), engine.work.path('resources/little')];
    await rot(engine.open(), large, () => flip(large));
    flip(little);
    const { ok, checked } = await verify(engine.open(), NAMES);
    expect(ok).toBe(false);
    expect(checked.map(({ node, state, change }) => [node, state, change])).toEqual([
      ['large', 'mismatch', 'damaged'],
      ['little', 'mismatch', 'modified'],
      ['text', 'ok', undefined],
    ]);
  });

  it('does not miss what is gone and no build would bring back, and misses what one would', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words } }
targets:
  between: { merge: [words, words], output: between }
  last: { merge: [between, words], output: last }
default: [last]
`,
      words: 'w',
    });
    await engine.build();
    rmSync(engine.work.path('resources/between'));
    expect(await verify(engine.open(), ['last'])).toMatchObject({ ok: true });
    expect(await verify(engine.open(), ['between'])).toMatchObject({ ok: false });
    rmSync(engine.work.path('resources/last'));
    expect((await verify(engine.open(), ['last'])).checked.map(({ node, state }) => [node, state])).toEqual([
      ['between', 'missing'],
      ['last', 'missing'],
    ]);
  });

  it('takes a time stamp that was set back for what it is: a change', async () => {
    const engine = await built();
    const path = engine.work.path('resources/little');
    const past = new Date(1_000_000_000_000);
    utimesSync(path, past, past);
    await rot(engine.open(), path, () => utimesSync(path, past, past));
    flip(path);
    utimesSync(path, past, past);
    expect((await verify(engine.open(), ['little'])).checked).toMatchObject([{ change: 'modified' }]);
  });

  it('reports in one order, whatever is read first, and counts every byte', async () => {
    const engine = await built();
    await engine.build([], { set: { which: 'two' } });
    const seen: (readonly [number, number])[] = [];
    const report = await verify(engine.open(), NAMES, {
      onProgress: (done, total) => seen.push([done, total]),
    });
    expect(report.checked.map(({ place, node }) => node ?? place)).toEqual([...NAMES, 'store']);
    expect(report.ok).toBe(true);
    const total = BIG.length + 2 * SMALL.length + 4 + 6;
    expect(report.bytes).toBe(total);
    expect(seen.at(-1)).toEqual([total, total]);
    for (const [i, [done]] of seen.entries()) expect(done).toBeGreaterThanOrEqual(seen[i - 1]?.[0] ?? 0);
  });

  it('is interrupted', async () => {
    const engine = await built();
    const abort = new AbortController();
    const run = verify(engine.open(), NAMES, {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('stop')),
    });
    await expect(run).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('accepts what a build that was killed had not yet replaced', async () => {
    const engine = await built();
    const workspace = engine.open();
    const path = engine.work.path('resources/text');
    const record = workspace.state.outputs.get(path);
    if (!record) throw new Error('no record');
    for (const digest of [`sha256:${'a'.repeat(64)}`, `tree:${'a'.repeat(64)}`] as const) {
      workspace.state.outputs.set(path, { ...record, digest, size: 7, previous: record.digest });
      await workspace.state.flush();
      expect(await verify(engine.open(), ['text'])).toMatchObject({
        ok: true,
        checked: [{ state: 'ok', expected: record.digest }],
      });
    }
    workspace.state.outputs.set(path, { ...record, type: 'directory', previous: record.digest });
    await workspace.state.flush();
    expect((await verify(engine.open(), ['text'])).ok).toBe(true);
    flip(path);
    expect((await verify(engine.open(), ['text'])).checked).toMatchObject([{ change: 'modified' }]);
  });

  it('does not miss an object of the store that goes while it looks', async () => {
    const engine = await built();
    await engine.build([], { set: { which: 'two' } });
    const workspace = engine.open();
    const claims = await claimsOf(workspace, NAMES);
    const object = claims.find(({ place }) => place === 'store');
    if (!object) throw new Error('no object');
    rmSync(object.path);
    const checked = await checkClaims(workspace, claims, {});
    expect(checked.map(({ node }) => node)).toEqual(NAMES);
  });

  it('looks again at an output that a build exchanged meanwhile', async () => {
    const engine = await built();
    const workspace = engine.open();
    const claims = await claimsOf(workspace, ['text']);
    await engine.build([], { set: { which: 'two' } });
    expect(await checkClaims(workspace, claims, {})).toMatchObject([
      { path: engine.work.path('resources/text'), state: 'ok', size: 6 },
      // It was no object when the store was looked through.
    ]);
  });

  it('waits for the moment in which an output path is empty', async () => {
    const engine = await built();
    const path = engine.work.path('resources/text');
    const aside = engine.work.path('aside');
    renameSync(path, aside);
    const run = verify(engine.open(), ['text']);
    setTimeout(() => renameSync(aside, path), 30);
    expect((await run).checked).toMatchObject([{ state: 'ok' }]);
  });

  it('leaves out an output that was cleaned away meanwhile', async () => {
    const engine = await built();
    const workspace = engine.open();
    const claims = await claimsOf(workspace, ['text']);
    const other = engine.open();
    other.state.outputs.delete(engine.work.path('resources/text'));
    await other.state.flush();
    rmSync(engine.work.path('resources/text'));
    expect(await checkClaims(workspace, claims, {})).toEqual([]);
  });

  it('names what is another type of file, and what has no digest', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { n: { path: n } }\ntargets: { a: { copy: n, output: a } }\ndefault: [a]\n',
      n: 'n',
    });
    await engine.build();
    const path = engine.work.path('resources/a');
    rmSync(path);
    engine.work.write('resources/a/b', 'x');
    expect((await verify(engine.open(), ['a'])).checked).toMatchObject([
      { state: 'mismatch', change: 'modified', actual: 'another type of file' },
    ]);
  });

  it('of a growing file says that it was modified', async () => {
    const engine = await built();
    const path = engine.work.path('resources/large');
    appendFileSync(path, 'more');
    const seen: number[] = [];
    const report = await verify(engine.open(), ['large'], { onProgress: (done) => seen.push(done) });
    expect(report.checked).toMatchObject([{ state: 'mismatch', change: 'modified' }]);
    expect(Math.max(...seen)).toBe(BIG.length);
    writeFileSync(join(engine.work.dir, 'resources/large'), BIG);
    expect((await verify(engine.open(), ['large'])).ok).toBe(true);
  });
});
