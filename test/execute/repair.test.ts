// `verify --repair` fetches just what is damaged, makes again what it can, keeps what a person wrote, and says what it did.
import { appendFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RepairOptions, repair } from '../../src/execute/repair.js';
import { verify } from '../../src/execute/verify.js';
import type { BuildEvent } from '../../src/model/event.js';
import type { VerifyReport } from '../../src/model/report.js';
import { SUM_CHUNK } from '../../src/store/chunk-summer.js';
import { chunkSumsPath } from '../../src/store/chunks.js';
import { digestFile } from '../../src/store/hashing.js';
import { filesBelow } from '../cli-runs/site.js';
import { seededBytes } from '../rig/random.js';
import { type FileHandle, type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { type Engine, openEngine } from './engine.js';
import { flip, rot } from './rot.js';

const PART = seededBytes('part', 4 * SUM_CHUNK + 123);
const KERNEL = seededBytes('kernel', 3 * SUM_CHUNK);

let server: ReleaseServer;
let part: FileHandle;
let kernel: FileHandle;
beforeAll(async () => {
  server = await startReleaseServer();
  part = await server.file('part', PART);
  kernel = await server.file('kernel', KERNEL);
});
afterAll(() => server.close());
afterEach(() => {
  server.faultAlways(part, {});
  removeWorkspaces();
});

interface Bed {
  readonly engine: Engine;
  /** The object of the part, in the store. */
  readonly object: string;
  readonly kernel: string;
  readonly data: string;
  repair(options?: RepairOptions, names?: readonly string[]): Promise<VerifyReport>;
  /** All is as it was when it was built, and nothing lies about. */
  expectSound(): Promise<void>;
}

async function built(env: Readonly<Record<string, string>> = {}): Promise<Bed> {
  const engine = openEngine(
    {
      'resources.yaml': `res: 1
artifacts:
  part: { url: "${part.url}" }
  kernel: { url: "${kernel.url}", output: kernel }
targets:
  data: { merge: [part, part], output: data }
default: [data, kernel]
`,
    },
    env,
  );
  expect((await engine.build()).ok).toBe(true);
  server.reset();
  const workspace = engine.open();
  const object = workspace.store.path(`sha256:${part.sha256}`, 'file');
  const [kernelPath, data] = [engine.work.path('resources/kernel'), engine.work.path('resources/data')];
  const run: Bed['repair'] = (options, names = ['data', 'kernel']) => repair(engine.open(), names, options);
  return {
    engine,
    object,
    kernel: kernelPath,
    data,
    repair: run,
    async expectSound() {
      expect(engine.work.read('resources/data').equals(Buffer.concat([PART, PART]))).toBe(true);
      expect(engine.work.read('resources/kernel').equals(KERNEL)).toBe(true);
      const report = await run();
      expect(report.ok).toBe(true);
      expect(report.repair).toMatchObject({ mended: [], removed: [], kept: [], failed: [], fetchedBytes: 0 });
      const { store } = workspace;
      const objects: string[] = [];
      for await (const { path } of store.list()) objects.push(path);
      expect(objects).toEqual([object]);
      expect(readdirSync(workspace.paths.tmp)).toEqual([]);
      expect(filesBelow(workspace.paths.partial)).toEqual([]);
    },
  };
}

describe('a damaged download in the store', () => {
  it('gets back just the pieces that are damaged, at whatever offsets', { timeout: 60_000 }, async () => {
    const bed = await built();
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: PART.length - 1 }), { minLength: 1, maxLength: 3 }),
        async (offsets) => {
          server.reset();
          for (const at of offsets) flip(bed.object, at);
          const pieces = new Set(offsets.map((at) => Math.floor(at / SUM_CHUNK)));
          const bytes = [...pieces].reduce(
            (sum, i) => sum + Math.min(SUM_CHUNK, PART.length - i * SUM_CHUNK),
            0,
          );
          const report = await bed.repair();
          expect(report).toMatchObject({
            ok: true,
            repair: {
              mended: [
                {
                  path: bed.object,
                  place: 'store',
                  node: 'part',
                  by: pieces.size === 5 ? 'download' : 'ranges',
                  fetchedBytes: bytes,
                  savedBytes: PART.length - bytes,
                },
              ],
              fetchedBytes: bytes,
              savedBytes: PART.length - bytes,
            },
          });
          expect(server.bytesSent()).toBe(bytes);
        },
      ),
      { numRuns: 8 },
    );
    await bed.expectSound();
  });

  it('that was cut short gets its end back', async () => {
    const bed = await built();
    truncateSync(bed.object, 3 * SUM_CHUNK + 5);
    expect((await bed.repair()).repair).toMatchObject({ fetchedBytes: SUM_CHUNK + 123 });
    await bed.expectSound();
  });

  it('that is too long is cut, without the network', async () => {
    const bed = await built();
    appendFileSync(bed.object, 'more');
    const report = await bed.repair({ offline: true });
    expect(report).toMatchObject({ ok: true, repair: { fetchedBytes: 0, savedBytes: PART.length } });
    expect(server.connections).toBe(0);
    await bed.expectSound();
  });

  it.each([
    ['the server gives no ranges', { ignoreRange: true }],
    ['the server sends other bytes', { corrupt: [SUM_CHUNK - 1] }],
  ] as const)('is fetched whole when %s', async (_, fault) => {
    const bed = await built();
    flip(bed.object, 0);
    server.fault(part, fault);
    const report = await bed.repair();
    expect(report).toMatchObject({ ok: true, repair: { mended: [{ by: 'download', savedBytes: 0 }] } });
    await bed.expectSound();
  });

  it('is fetched whole when its sums are gone, wrong or torn; and then has sums', async () => {
    const bed = await built();
    const sums = chunkSumsPath(bed.engine.open().paths.store, part.sha256);
    rmSync(sums);
    flip(bed.object, 7);
    expect((await bed.repair()).repair).toMatchObject({
      mended: [{ by: 'download', fetchedBytes: PART.length, savedBytes: 0 }],
    });
    flip(bed.object, 7);
    expect((await bed.repair()).repair).toMatchObject({ mended: [{ by: 'ranges' }] });
    truncateSync(sums, 20);
    flip(bed.object, 7);
    expect((await bed.repair()).repair).toMatchObject({ mended: [{ by: 'download' }] });
    await bed.expectSound();
  });

  it('stays as it is when it cannot be fetched, and what is built of it is not touched', async () => {
    const bed = await built();
    flip(bed.object, 7);
    rmSync(bed.data);
    const damaged = bed.engine.work.read(bed.object.slice(bed.engine.work.dir.length + 1));
    const report = await bed.repair({ offline: true });
    expect(report.ok).toBe(false);
    expect(report.repair).toMatchObject({
      mended: [],
      removed: [],
      fetchedBytes: 0,
      failed: [
        { what: bed.object, message: expect.stringContaining(`${SUM_CHUNK} bytes of part`) },
        { message: expect.stringContaining('not built') },
      ],
    });
    expect(server.connections).toBe(0);
    expect(bed.engine.work.read(bed.object.slice(bed.engine.work.dir.length + 1)).equals(damaged)).toBe(true);
    expect((await bed.repair()).ok).toBe(true);
    await bed.expectSound();
  });

  it('is mended in a store on its own, too', async () => {
    const shared = openEngine({}).work;
    const bed = await built({ RES_STORE: shared.dir });
    flip(bed.object, 7);
    expect((await bed.repair()).repair).toMatchObject({
      mended: [{ by: 'ranges' }],
      fetchedBytes: SUM_CHUNK,
    });
    await bed.expectSound();
  });
});

describe('an output', () => {
  it('that is a download gets back what the disk lost of it', async () => {
    const bed = await built();
    await rot(bed.engine.open(), bed.kernel, () => flip(bed.kernel, 2 * SUM_CHUNK));
    // A build would not have noticed.
    expect((await bed.engine.build()).fresh).toContain('kernel');
    expect((await bed.repair()).repair).toMatchObject({
      mended: [{ path: bed.kernel, place: 'output', by: 'ranges', fetchedBytes: SUM_CHUNK }],
    });
    expect(server.bytesSent()).toBe(SUM_CHUNK);
    await bed.expectSound();
  });

  it('that was made is made again, without the network', async () => {
    const bed = await built();
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    expect(await bed.repair({ offline: true })).toMatchObject({
      ok: true,
      repair: { mended: [{ path: bed.data, by: 'build' }], failed: [], fetchedBytes: 0 },
    });
    await bed.expectSound();
  });

  it('that is gone is made again, also when only its own node asks for it', async () => {
    const bed = await built();
    rmSync(bed.data);
    rmSync(bed.kernel);
    expect(await bed.repair()).toMatchObject({
      ok: true,
      repair: { mended: [{ path: bed.kernel }, { path: bed.data }], fetchedBytes: KERNEL.length },
    });
    await bed.expectSound();
  });

  it('that somebody wrote to is kept, and what is beside it mended all the same', async () => {
    const bed = await built();
    writeFileSync(bed.kernel, 'mine');
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    flip(bed.object, 7);
    const report = await bed.repair();
    expect(report.ok).toBe(false);
    expect(report.repair).toMatchObject({
      mended: [
        { path: bed.object, by: 'ranges' },
        { path: bed.data, by: 'build' },
      ],
      kept: [{ path: bed.kernel, node: 'kernel', why: expect.stringContaining('changed by hand') }],
      failed: [],
    });
    expect(report.checked).toMatchObject([{ change: 'modified' }, { state: 'ok' }, { state: 'ok' }]);
    expect(bed.engine.work.text('resources/kernel')).toBe('mine');
    expect((await bed.repair({ overwrite: true })).ok).toBe(true);
    await bed.expectSound();
  });

  it('stays damaged, and is said to be, when it cannot be made again', async () => {
    const bed = await built();
    rmSync(bed.object);
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    const report = await bed.repair({ offline: true });
    expect(report.ok).toBe(false);
    expect(report.checked).toMatchObject([{ state: 'ok' }, { path: bed.data, change: 'damaged' }]);
    expect(report.repair?.failed).toMatchObject([{ message: expect.stringContaining('--offline') }]);
    expect(bed.engine.work.read('resources/data').length).toBe(2 * PART.length);
    // The next build, where there is a network, knows that it is not what it should be.
    expect((await bed.engine.build()).ran).toContain('data');
    expect(bed.engine.work.read('resources/data').equals(Buffer.concat([PART, PART]))).toBe(true);
  });

  it('that was accepted as it was cannot be made again and is left, until --overwrite', async () => {
    const bed = await built();
    appendFileSync(bed.data, 'mine');
    expect((await bed.engine.build([], { asIs: true })).ok).toBe(true);
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    const report = await bed.repair();
    expect(report.ok).toBe(false);
    expect(report.repair?.kept).toMatchObject([{ path: bed.data, why: expect.stringContaining('accepted') }]);
    expect(bed.engine.work.read('resources/data').length).toBe(2 * PART.length + 4);
    expect((await bed.repair({ overwrite: true })).ok).toBe(true);
    await bed.expectSound();
  });

  it('whose repair was killed between its two records is found and made again', async () => {
    const bed = await built();
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    const workspace = bed.engine.open();
    const record = workspace.state.outputs.get(bed.data);
    const { digest } = await digestFile(bed.data, 'derived');
    if (!record) throw new Error('no record');
    workspace.state.outputs.set(bed.data, { ...record, digest, previous: record.digest });
    await workspace.state.flush();
    expect((await verify(bed.engine.open(), ['data'])).checked).toMatchObject([
      { path: bed.data, change: 'damaged' },
      { state: 'ok' },
    ]);
    expect(await bed.repair()).toMatchObject({ ok: true, repair: { mended: [{ by: 'build' }] } });
    await bed.expectSound();
  });

  it('whose repair was killed before the build is made by the next build', async () => {
    const bed = await built();
    await rot(bed.engine.open(), bed.data, () => flip(bed.data, 5));
    const abort = new AbortController();
    const listener = ({ type }: BuildEvent) => void (type === 'planned' && abort.abort());
    await expect(bed.repair({ signal: abort.signal, listener })).rejects.toMatchObject({
      code: 'interrupted',
    });
    expect((await bed.engine.build()).ran).toContain('data');
    expect(bed.engine.work.read('resources/data').equals(Buffer.concat([PART, PART]))).toBe(true);
  });

  it('that is a folder is made again', async () => {
    const { tarBytes } = await import('../rig/tar.js');
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { tar: { path: a.tar } }\ntargets: { out: { extract: tar, output: out } }\ndefault: [out]\n',
      'a.tar': tarBytes([{ name: 'a/b', body: 'content' }]),
    });
    await engine.build();
    const path = engine.work.path('resources/out');
    await rot(engine.open(), path, () => flip(engine.work.path('resources/out/a/b')));
    expect(await repair(engine.open(), ['out'])).toMatchObject({
      ok: true,
      repair: { mended: [{ path, by: 'build' }] },
    });
    expect(engine.work.text('resources/out/a/b')).toBe('content');
    expect(filesBelow(engine.work.path('.res/store'))).toEqual([]);
  });
});

describe('a damaged object that no source has', () => {
  it('is removed, and made again when it is needed', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
params: { which: { default: one, enum: [one, two] } }
artifacts: { words: { path: "\${which}" } }
targets: { out: { merge: [words, words], output: out } }
default: [out]
`,
      one: '1\n',
      two: '22\n',
    });
    await engine.build([], { set: { which: 'two' } });
    await engine.build();
    const [object = ''] = filesBelow(engine.work.path('.res/store'));
    flip(object, 0);
    const report = await repair(engine.open(), ['out']);
    expect(report).toMatchObject({ ok: true, repair: { mended: [], removed: [{ path: object, size: 6 }] } });
    expect(filesBelow(engine.work.path('.res/store'))).toEqual([]);
    expect((await engine.build([], { set: { which: 'two' } })).ran).toEqual(['out']);
    expect(engine.work.text('resources/out')).toBe('22\n22\n');
  });
});

it('a workspace in which nothing was built is left as it is', async () => {
  const engine = openEngine({
    'resources.yaml': `res: 1\nartifacts: { part: { url: "${part.url}", output: part } }\n`,
  });
  server.reset();
  expect(await repair(engine.open(), ['part'])).toMatchObject({ ok: true, checked: [] });
  expect(server.connections).toBe(0);
});

it('waits for a build, and tells whom it waits for', async () => {
  const bed = await built();
  const { acquireLock } = await import('../../src/store/lock.js');
  const lock = await acquireLock(bed.engine.work.path('.res/lock'), { describe: 'a build' });
  flip(bed.object, 7);
  const events: BuildEvent[] = [];
  const run = bed.repair({ listener: (event) => events.push(event) });
  await expect.poll(() => events.length, { timeout: 5000 }).toBe(1);
  expect(events).toMatchObject([{ type: 'waiting', for: expect.stringContaining('a build') }]);
  await lock.release();
  expect((await run).ok).toBe(true);
  expect(events.map(({ type }) => type)).toContain('finished');
});

it('an interrupt leaves the damaged file and no other', async () => {
  const bed = await built();
  flip(bed.object, 7);
  const abort = new AbortController();
  server.fault(part, { stall: { after: 100 } });
  const run = bed.repair({ signal: abort.signal });
  run.catch(() => undefined);
  await server.until(({ state }) => state === 'stalled');
  abort.abort(new Error('stop'));
  await expect(run).rejects.toMatchObject({ code: 'interrupted' });
  expect(readdirSync(bed.engine.work.path('.res/tmp'))).toEqual([]);
  expect((await bed.repair()).ok).toBe(true);
  await bed.expectSound();
});
