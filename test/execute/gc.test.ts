// What gc takes and what it leaves: by reference, by age, by size, in a store of one workspace and of several.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { partialPath } from '../../src/execute/download.js';
import { type GcOptions, gc } from '../../src/execute/gc.js';
import type { Digest } from '../../src/model/digest.js';
import type { GcReport } from '../../src/model/report.js';
import { rootsOf } from '../../src/plan/roots.js';
import { ActionCache } from '../../src/store/action-cache.js';
import { writeChecked } from '../../src/store/checked-file.js';
import { ChunkSummer } from '../../src/store/chunk-summer.js';
import { chunkSumsPath, recordChunkSums } from '../../src/store/chunks.js';
import { acquireLock } from '../../src/store/lock.js';
import { registrationPath, registrations } from '../../src/store/registry.js';
import { joinStore } from '../../src/store/sharing.js';
import { seededBytes } from '../rig/random.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';
import { type Engine, engineIn, outcome } from './engine.js';

afterEach(removeWorkspaces);

const DAY = 24 * 60 * 60 * 1000;
const KIB = 1024;
type Set = Readonly<Record<string, string>>;
const TWO: Set = { half: 'two' };

interface Scene extends Engine {
  gc(options?: GcOptions, set?: Set): Promise<GcReport>;
  /** Objects that a node has with these params, and that are in the store. */
  has(node: string, set?: Set): Promise<boolean>;
  object(node: string, set?: Set): Promise<string>;
}

/** A download of 40 KiB that is unpacked; another one for each `half`. */
function open(
  o: { readonly keep?: string; readonly env?: Readonly<Record<string, string>>; readonly from?: string } = {},
): Scene {
  const work = makeWorkspace();
  const from = o.from ?? work.dir;
  for (const half of ['one', 'two', 'three', 'four'])
    work.write(`${half}.gz`, gzipSync(seededBytes(half, 40 * KIB)));
  work.write(
    'resources.yaml',
    `res: 1
params:
  half: { default: one, enum: [one, two, three, four] }
artifacts:
  packed: { url: "file://${from}/\${half}.gz", keep: ${o.keep ?? 'auto'} }
targets:
  out: { decompress: packed, output: out.bin }
default: [out]
`,
  );
  const engine = engineIn(work, o.env);
  const object = async (node: string, set: Set = {}) => {
    const workspace = engine.open(set);
    const content = (await engine.plan([], { set })).nodes.get(node)?.content;
    const [item] = content ?? [];
    if (!item) throw new Error(`${node} is not known`);
    return workspace.store.path(item.digest, item.type);
  };
  return {
    ...engine,
    gc: (options, set) => gc(engine.open(set), options),
    object,
    has: async (node, set) => existsSync(await object(node, set)),
  };
}

/** Both halves, of which the second one is the present one. */
async function openBoth(o: Parameters<typeof open>[0] = {}): Promise<Scene> {
  const scene = open(o);
  await scene.build();
  await scene.build([], { set: TWO });
  return scene;
}

/** Last used so many days ago. */
function age(path: string, days: number): void {
  const { mtimeMs } = statSync(path);
  utimesSync(path, (Date.now() - days * DAY) / 1000, mtimeMs / 1000);
}

function written(path: string, days: number): void {
  const time = (Date.now() - days * DAY) / 1000;
  utimesSync(path, time, time);
}

function counts({ removed }: GcReport): Readonly<Record<string, number>> {
  return Object.fromEntries(removed.map(({ what, count }) => [what, count]));
}

function tree(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const { mode, size, mtimeMs, ino } = statSync(join(folder, name));
      return `${name} ${mode} ${size} ${mtimeMs} ${ino}`;
    })
    .sort();
}

describe('gc of a store of its own', () => {
  it('takes what nothing refers to, and tells what it was', async () => {
    const scene = await openBoth();
    const [packed, out] = [await scene.object('packed'), await scene.object('out')];
    const report = await scene.gc({}, TWO);
    expect(report.objects.map(({ path }) => path).sort()).toEqual([packed, out].sort());
    expect(report.objects).toContainEqual(
      expect.objectContaining({ path: packed, node: null, name: 'one.gz', referenced: false }),
    );
    expect(report.objects).toContainEqual(expect.objectContaining({ path: out, name: 'out.bin' }));
    expect(counts(report)).toEqual({ objects: 2 });
    expect(report.freedBytes).toBe(report.objects.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(report.freedBytes).toBeGreaterThanOrEqual(80 * KIB);
    expect(report.left).toEqual({
      objects: 1,
      bytes: statSync(await scene.object('packed', TWO)).blocks * 512,
    });
    expect([existsSync(packed), existsSync(out)]).toEqual([false, false]);
    expect(await scene.has('packed', TWO)).toBe(true);
    // And a second time there is nothing.
    expect(await scene.gc({}, TWO)).toMatchObject({ removed: [], objects: [], freedBytes: 0 });
  });

  it('costs nothing of what is there: the present half is fresh, the other one is made again', async () => {
    const scene = await openBoth();
    await scene.gc({}, TWO);
    expect(outcome(await scene.build([], { set: TWO, offline: true }))).toEqual({ fresh: ['packed', 'out'] });
    rmSync(scene.work.path('resources/out.bin'));
    expect(outcome(await scene.build([], { set: TWO, offline: true })).ran).toEqual(['out']);
    expect(outcome(await scene.build())).toEqual({ ran: ['packed', 'out'] });
    expect(scene.work.read('resources/out.bin').equals(seededBytes('one', 40 * KIB))).toBe(true);
  });

  it('leaves outputs alone, also those that were changed', async () => {
    const scene = await openBoth();
    scene.work.write('resources/out.bin', 'mine');
    await scene.gc({ maxSize: 0 }, TWO);
    expect(scene.work.text('resources/out.bin')).toBe('mine');
  });

  it('does not count what a node had that the manifest has no more', async () => {
    const scene = await openBoth();
    const text = scene.work.text('resources.yaml');
    scene.work.write(
      'resources.yaml',
      text
        .replace(/targets:.*/s, `targets:\n  other: { copy: mine, output: mine }\n`)
        .replace(/ {2}packed:.*/, '  mine: { path: mine }'),
    );
    scene.work.write('mine', 'mine');
    await scene.build();
    const { left, objects } = await scene.gc();
    expect(objects).toHaveLength(3);
    expect(left).toEqual({ objects: 0, bytes: 0 });
  });

  it('--keep-days: what was used within them stays', async () => {
    const scene = await openBoth();
    const [packed, out] = [await scene.object('packed'), await scene.object('out')];
    age(packed, 31);
    age(out, 29);
    age(await scene.object('packed', TWO), 300);
    const { objects } = await scene.gc({ keepDays: 30 }, TWO);
    expect(objects.map(({ path }) => path)).toEqual([packed]);
  });

  it('--max-size: least recently used first, what nothing refers to before the rest, until it fits', async () => {
    const scene = open();
    for (const half of ['one', 'two', 'three', 'four']) await scene.build([], { set: { half } });
    const set = { half: 'four' };
    const packed = await Promise.all(
      ['one', 'two', 'three', 'four'].map((half) => scene.object('packed', { half })),
    );
    const outs = await Promise.all(['one', 'two', 'three'].map((half) => scene.object('out', { half })));
    // The one that is referred to was not used for longest.
    const ages = [5, 9, 2, 100];
    for (const [i, path] of packed.entries()) age(path, ages[i] ?? 0);
    for (const [i, path] of outs.entries()) age(path, 20 - i);
    const order = [outs[0], outs[1], outs[2], packed[1], packed[0], packed[2], packed[3]];
    const all = (await scene.gc({ maxSize: 1024 ** 4, dryRun: true }, set)).left;
    expect(all.objects).toBe(7);

    for (let gone = 1; gone <= order.length; gone++) {
      const sizes = order.slice(0, gone).map((path) => statSync(path ?? '').blocks * 512);
      const fits = all.bytes - sizes.reduce((sum, size) => sum + size, 0);
      const told = await scene.gc({ maxSize: fits, dryRun: true }, set);
      expect(told.objects.map(({ path }) => path)).toEqual(order.slice(0, gone));
      expect(told.left.bytes).toBe(fits);
      const more = await scene.gc({ maxSize: fits + 1, dryRun: true }, set);
      expect(more.objects).toHaveLength(gone);
    }
    const half = all.bytes / 2;
    const { left, objects } = await scene.gc({ maxSize: half }, set);
    expect(left.bytes).toBeLessThanOrEqual(half);
    expect(objects.map(({ path }) => path)).toEqual(order.slice(0, objects.length));
    const rest = await scene.gc({ maxSize: 0 }, set);
    expect(rest.objects.at(-1)).toMatchObject({ path: packed[3], node: 'packed', referenced: true });
    expect(rest.left).toEqual({ objects: 0, bytes: 0 });
    expect(outcome(await scene.build([], { set, offline: true }))).toEqual({ fresh: ['packed', 'out'] });
  });

  it('--max-size alone takes nothing as long as all fits; with --keep-days what is old goes in any case', async () => {
    const scene = await openBoth();
    const packed = await scene.object('packed');
    age(packed, 31);
    expect((await scene.gc({ maxSize: 1024 ** 3 }, TWO)).objects).toEqual([]);
    const { objects } = await scene.gc({ maxSize: 1024 ** 3, keepDays: 30 }, TWO);
    expect(objects.map(({ path }) => path)).toEqual([packed]);
  });

  it('never takes what `keep: always` says, of any variant, whatever size is asked for', async () => {
    const scene = await openBoth({ keep: 'always' });
    const { objects, left, maxSize } = await scene.gc({ maxSize: 0 }, TWO);
    expect(objects.map(({ name }) => name)).toEqual(['out.bin']);
    expect([await scene.has('packed'), await scene.has('packed', TWO)]).toEqual([true, true]);
    expect(left.objects).toBe(2);
    expect(left.bytes).toBeGreaterThan(maxSize ?? 0);
  });

  it('counts what files take on disk, without their holes', async () => {
    const scene = await openBoth();
    const path = await scene.object('packed');
    truncateSync(path, 1024 ** 3);
    const { objects } = await scene.gc({}, TWO);
    const found = objects.find((object) => object.path === path);
    expect(found?.bytes).toBeGreaterThanOrEqual(40 * KIB);
    expect(found?.bytes).toBeLessThan(1024 ** 2);
  });

  it('-n touches nothing, and tells the same', async () => {
    const scene = await openBoth();
    const workspace = scene.open(TWO);
    scene.work.write('.res/partial/0123456789012345678901234567890123456789', 'begun');
    scene.work.write('.res/tmp/left', 'left');
    await recordChunkSums(workspace.paths.store, '0'.repeat(64), sumsOf(2 * 1024 ** 2));
    const before = tree(scene.work.dir);
    const told = await gc(workspace, { dryRun: true });
    expect(tree(scene.work.dir)).toEqual(before);
    expect(counts(told)).toEqual({ objects: 2, partials: 1, temporaries: 1, 'chunk-sums': 1 });
    const done = await scene.gc({}, TWO);
    expect(done).toEqual({ ...told, dryRun: false });
  });

  it('-n where nothing was built makes nothing', async () => {
    const scene = open();
    const before = tree(scene.work.dir);
    expect(await scene.gc({ dryRun: true })).toMatchObject({ removed: [], left: { objects: 0, bytes: 0 } });
    expect(tree(scene.work.dir)).toEqual(before);
    expect(await scene.gc()).toMatchObject({ removed: [], left: { objects: 0, bytes: 0 } });
  });

  it('takes partial downloads that nobody could go on with, and old ones', async () => {
    const scene = await openBoth();
    const workspace = scene.open(TWO);
    const at = (half: string) => {
      const identity = [...workspace.lock.keys()].find((key) => key.includes(`${half}.gz`)) ?? '';
      return partialPath(workspace, identity, workspace.lock.get(identity)?.files ?? [], 0);
    };
    const [present, other] = [at('two'), at('one')];
    const begin = (path: string) => {
      writeFileSync(path, 'begun');
      writeFileSync(`${path}.json`, '{}');
    };
    // What is at hand is no reason to keep a partial download.
    rmSync(await scene.object('packed', TWO));
    begin(present);
    begin(other);
    begin(join(workspace.paths.partial, 'f'.repeat(40)));
    expect(counts(await scene.gc({}, TWO))).toMatchObject({ partials: 2 });
    expect(readdirSync(workspace.paths.partial).sort()).toEqual(
      [basename(present), `${basename(present)}.json`].sort(),
    );
    for (const path of [present, `${present}.json`]) written(path, 15);
    expect(counts(await scene.gc({ keepDays: 16, dryRun: true }, TWO))).toEqual({});
    expect(counts(await scene.gc({ maxSize: 1024 ** 3, dryRun: true }, TWO))).toEqual({ partials: 1 });
    expect(counts(await scene.gc({}, TWO))).toEqual({ partials: 1 });
    expect(readdirSync(workspace.paths.partial)).toEqual([]);
  });

  it('takes logs of nodes that are gone, and all but the newest hundred records of builds', async () => {
    const scene = await openBoth();
    const builds = scene.work.path('.res/builds');
    const own = readdirSync(builds);
    for (let i = 0; i < 105; i++)
      writeFileSync(join(builds, `2020-01-01T00${String(i).padStart(4, '0')}Z-1.json`), '{}');
    scene.work.write('.res/logs/out.log', 'out');
    scene.work.write('.res/logs/out.check.log', 'out');
    scene.work.write('.res/logs/former.log', 'former');
    scene.work.write('.res/logs/former.check.log', 'former');
    expect(counts(await scene.gc({}, TWO))).toMatchObject({ 'build-records': 5 + own.length, logs: 2 });
    expect(readdirSync(builds)).toHaveLength(100);
    expect(readdirSync(builds)).toEqual(expect.arrayContaining(own));
    expect(readdirSync(builds)).not.toContain('2020-01-01T000000Z-1.json');
    expect(readdirSync(scene.work.path('.res/logs'))).toEqual(['out.check.log', 'out.log']);
  });

  it('takes records of builds that are older than a year, or than is asked for, but for the newest', async () => {
    const scene = await openBoth();
    const builds = scene.work.path('.res/builds');
    for (const name of readdirSync(builds)) rmSync(join(builds, name));
    const days = (n: number) =>
      `${new Date(Date.now() - n * 24 * 3600 * 1000)
        .toISOString()
        .replace(/\D/g, '')
        .replace(/^(.{8})(.{6})/, '$1-$2-')}-0000.json`;
    for (const n of [400, 300, 20]) writeFileSync(join(builds, days(n)), '{}');
    expect(counts(await scene.gc({}, TWO))).toMatchObject({ 'build-records': 1 });
    expect(counts(await scene.gc({ keepDays: 10 }, TWO))).toMatchObject({ 'build-records': 1 });
    expect(readdirSync(builds).map((name) => name.slice(0, 8))).toEqual([days(20).slice(0, 8)]);
  });

  it('takes sums of downloads with them, and leaves those of what is in the store or an output', async () => {
    const scene = await openBoth();
    const { store } = scene.open().paths;
    const hex = async (node: string, set?: Set) => basename(await scene.object(node, set));
    const [gone, stays, output] = [await hex('packed'), await hex('packed', TWO), await hex('out', TWO)];
    for (const each of [gone, stays, output, '0'.repeat(64)])
      await recordChunkSums(store, each, sumsOf(2 * 1024 ** 2));
    const report = await scene.gc({}, TWO);
    expect(counts(report)).toEqual({ objects: 2, 'chunk-sums': 2 });
    const left = [gone, stays, output].map((each) => existsSync(chunkSumsPath(store, each)));
    expect(left).toEqual([false, true, true]);
    expect(report.left.bytes).toBe(
      [await scene.object('packed', TWO), chunkSumsPath(store, stays), chunkSumsPath(store, output)].reduce(
        (sum, path) => sum + statSync(path).blocks * 512,
        0,
      ),
    );
  });

  it('forgets what was known of the files that went: the same content may come again', async () => {
    const scene = await openBoth();
    const path = await scene.object('out');
    expect(scene.open().state.files.get(path)).toBeDefined();
    await scene.gc({}, TWO);
    expect(scene.open().state.files.get(path)).toBeUndefined();
  });

  it('waits for a build, says for whom, and looks again at what it left', async () => {
    const scene = await openBoth();
    const workspace = scene.open(TWO);
    const lock = await acquireLock(join(workspace.paths.root, 'lock'), { describe: 'res build out' });
    const waits: string[] = [];
    const digest: Digest = `sha256:${basename(await scene.object('out'))}`;
    const running = gc(workspace, {
      onWait: (holder) => {
        waits.push(holder);
        // Meanwhile the other one puts the first half somewhere.
        const { state } = scene.open();
        const record = { digest, node: 'out', type: 'file', size: 40 * KIB, executable: false } as const;
        state.outputs.set(scene.work.path('resources/other.bin'), record);
        void state.flush().then(() => lock.release());
      },
    });
    const { objects } = await running;
    expect(waits).toEqual([expect.stringMatching(/^res build out \(pid \d+ on .*, since \d\d:\d\d\)$/)]);
    expect(objects.map(({ name }) => name)).toEqual(['one.gz']);
  });

  it('gives up at an interrupt, while it waits and while it works, and leaves the workspace free', async () => {
    const scene = await openBoth();
    const { root } = scene.open().paths;
    const stop = new AbortController();
    const lock = await acquireLock(join(root, 'lock'), { describe: 'res build' });
    const waiting = scene.gc({ signal: stop.signal, onWait: () => stop.abort() }, TWO);
    await expect(waiting).rejects.toMatchObject({ code: 'interrupted' });
    await lock.release();
    await expect(scene.gc({ signal: AbortSignal.abort() }, TWO)).rejects.toMatchObject({
      code: 'interrupted',
    });
    expect((await scene.gc({}, TWO)).objects).toHaveLength(2);
  });
});

function sumsOf(bytes: number) {
  const summer = new ChunkSummer();
  summer.update(Buffer.alloc(bytes));
  return summer.sums();
}

describe('gc of a store that others use', () => {
  /** Two workspaces with one store: the first has the first half, the second the other one. */
  async function openPair() {
    const store = makeWorkspace().path('store');
    const sources = makeWorkspace();
    for (const half of ['one', 'two', 'three', 'four'])
      sources.write(`${half}.gz`, gzipSync(seededBytes(half, 40 * KIB)));
    const env = { RES_STORE: store };
    const [first, second] = [open({ env, from: sources.dir }), open({ env, from: sources.dir })];
    await first.build();
    await second.build([], { set: TWO });
    return { first, second, store };
  }

  it('leaves what any of them refers to', async () => {
    const { first, second, store } = await openPair();
    const before = (await registrations(store)).length;
    expect(before).toBe(2);
    expect(await first.gc()).toMatchObject({ objects: [], left: { objects: 2 } });
    expect(await second.gc({}, TWO)).toMatchObject({ objects: [], left: { objects: 2 } });
    expect(await first.has('packed')).toBe(true);
    expect(await second.has('packed', TWO)).toBe(true);
    // What neither does goes.
    await first.build([], { set: { half: 'three' } });
    const { objects } = await second.gc({}, TWO);
    expect(objects.map(({ path }) => basename(path)).sort()).toEqual(
      [basename(await first.object('packed')), basename(await first.object('out'))].sort(),
    );
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
    expect(readdirSync(join(store, 'users'))).toEqual([]);
    expect(outcome(await second.build([], { set: TWO, offline: true }))).toEqual({
      fresh: ['packed', 'out'],
    });
  });

  it('registers itself first: what it refers to now counts, and no more what it referred to before', async () => {
    const { first, second, store } = await openPair();
    rmSync(registrationPath(store, { workspace: first.work.dir, host: hostname() }));
    await first.gc();
    const own = (await registrations(store)).find(({ workspace }) => workspace === first.work.dir);
    expect([...(own?.digests ?? [])].sort()).toEqual([...rootsOf(first.open()).digests].sort());
    expect(await second.gc({}, TWO)).toMatchObject({ objects: [] });
  });

  it('forgets a workspace that is gone a week after its last use', async () => {
    const { first, second, store } = await openPair();
    const path = registrationPath(store, { workspace: first.work.dir, host: hostname() });
    const packed = await first.object('packed');
    written(path, 8);
    expect(await second.gc({}, TWO)).toMatchObject({ removed: [] });
    const moved = `${first.work.dir}-moved`;
    renameSync(first.work.dir, moved);
    try {
      written(path, 6);
      expect(await second.gc({}, TWO)).toMatchObject({ removed: [] });
      written(path, 8);
      expect(counts(await second.gc({ dryRun: true }, TWO))).toEqual({ objects: 1, workspaces: 1 });
      expect(existsSync(path)).toBe(true);
      expect(counts(await second.gc({}, TWO))).toEqual({ objects: 1, workspaces: 1 });
      expect([existsSync(packed), existsSync(path)]).toEqual([false, false]);
    } finally {
      rmSync(moved, { recursive: true });
    }
  });

  it('forgets one of another host ninety days after its last use', async () => {
    const { second, store } = await openPair();
    const own = (await registrations(store)).find(({ workspace }) => workspace !== second.work.dir);
    if (!own) throw new Error('not registered');
    const { digests } = own;
    rmSync(registrationPath(store, own));
    const far = { workspace: '/home/far/away', host: 'elsewhere' };
    const path = registrationPath(store, far);
    await writeChecked(store, path, { ...far, digests: [...digests], kept: [] });
    written(path, 89);
    expect(await second.gc({}, TWO)).toMatchObject({ removed: [] });
    written(path, 91);
    expect(counts(await second.gc({}, TWO))).toEqual({ objects: 1, workspaces: 1 });
    expect(existsSync(path)).toBe(false);
  });

  it('never takes what another workspace keeps always, nor what a running build counts on', async () => {
    const { first, second, store } = await openPair();
    const text = first.work.text('resources.yaml');
    first.work.write('resources.yaml', text.replace('keep: auto', 'keep: always'));
    await first.gc();
    const [packed, other] = [await first.object('packed'), await second.object('packed', TWO)];
    const running = await joinStore(store, { doing: 'res build elsewhere' });
    const digest: Digest = `sha256:${basename(other)}`;
    running.lease([digest]);
    const report = await second.gc({ maxSize: 0 }, TWO);
    expect(report.spared).toEqual([{ path: other, why: 'in-use' }]);
    expect([existsSync(packed), existsSync(other)]).toEqual([true, true]);
    await running.leave();
    const { objects, left } = await second.gc({ maxSize: 0 }, TWO);
    expect(objects.map(({ path }) => path)).toEqual([other]);
    expect(left.objects).toBe(1);
    expect(existsSync(packed)).toBe(true);
  });

  it('takes something else in the place of what is in use', async () => {
    const { first, second, store } = await openPair();
    const [one, two] = [await first.object('packed'), await second.object('packed', TWO)];
    age(one, 20);
    age(two, 10);
    const running = await joinStore(store, { doing: 'res build elsewhere' });
    running.lease([`sha256:${basename(one)}`]);
    const { left } = await second.gc({ dryRun: true }, TWO);
    const report = await second.gc({ maxSize: left.bytes - 1 }, TWO);
    await running.leave();
    expect(report.objects.map(({ path }) => path)).toEqual([two]);
    expect(report.spared).toEqual([{ path: one, why: 'in-use' }]);
  });

  it('takes results that nobody asked for in ninety days', async () => {
    const { second, store } = await openPair();
    const actions = new ActionCache(store);
    const trace = { content: [], durationMs: 1, at: 0 };
    await actions.put('old', trace);
    await actions.put('young', trace);
    const files = readdirSync(join(store, 'ac'), { recursive: true, encoding: 'utf8' });
    const at = (key: string) => join(store, 'ac', files.find((name) => name.endsWith(`/${key}`)) ?? '');
    written(at('old'), 91);
    written(at('young'), 89);
    const told = await second.gc({ dryRun: true }, TWO);
    expect(counts(told)).toEqual({ results: 1 });
    expect(await second.gc({}, TWO)).toEqual({ ...told, dryRun: false });
    expect([actions.get('old'), actions.get('young')]).toEqual([undefined, trace]);
  });

  it('-n touches nothing', async () => {
    const { first, second, store } = await openPair();
    await first.build([], { set: { half: 'three' } });
    const before = [tree(store), tree(second.work.dir)];
    expect(counts(await second.gc({ dryRun: true }, TWO))).toEqual({ objects: 2 });
    expect([tree(store), tree(second.work.dir)]).toEqual(before);
  });

  it('is joined while it lasts and left at an interrupt', async () => {
    const { second, store } = await openPair();
    mkdirSync(dirname(join(store, 'users', 'x')), { recursive: true });
    await expect(second.gc({ signal: AbortSignal.abort() }, TWO)).rejects.toMatchObject({
      code: 'interrupted',
    });
    expect(readdirSync(join(store, 'users'))).toEqual([]);
    expect(readFileSync(await second.object('packed', TWO)).length).toBeGreaterThan(0);
  });
});
