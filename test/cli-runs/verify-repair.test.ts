// `res verify --repair` as a user runs it: what it says, how it ends, and that it may be stopped or killed at any moment.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { engineIn } from '../execute/engine.js';
import { flip, rot } from '../execute/rot.js';
import { randomNumbers, seededBytes } from '../rig/random.js';
import type { FileHandle, ReleaseServer } from '../rig/release-server.js';
import { validator } from '../rig/schemas.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';
import { expectDone, expectFailed, filesBelow, inFolder, openServer, type Site } from './site.js';

const MiB = 1024 * 1024;
const IMAGE = seededBytes('image', 6 * MiB);
const KERNEL = seededBytes('kernel', 2 * MiB);

interface Bench extends Pick<Site, 'res' | 'start'> {
  readonly server: ReleaseServer;
  readonly work: Workspace;
  readonly image: FileHandle;
  /** The image's object in the store. */
  readonly object: string;
}

async function built(): Promise<Bench> {
  const server = await openServer();
  const image = await server.file('image', IMAGE);
  const kernel = await server.file('kernel', KERNEL);
  const work = makeWorkspace(`res: 1
artifacts:
  image: { url: "${image.url}" }
  kernel: { url: "${kernel.url}", output: kernel }
targets:
  disk: { merge: [image], output: disk }
default: [disk, kernel]
`);
  const folder = inFolder(work, {});
  expectDone(await folder.res('build'));
  // Merging one file shares its content: the copy in the store is what is to be damaged.
  const object = filesBelow(work.path('.res', 'store', 'cas')).find((path) => path.includes(image.sha256));
  if (object === undefined) throw new Error('the image is not in the store');
  server.reset();
  return { server, image, work, object, ...folder };
}

describe('verify --repair', () => {
  it('mends, and says what it fetched and what it saved', async () => {
    const { res, work, object, server } = await built();
    flip(object, 5 * MiB);
    expectFailed(await res('verify'), []);
    const run = await res('verify --repair');
    expectDone(run);
    expect(run.stdout).toBe(
      `mended   ${object.slice(work.dir.length + 1)} (image): 1.0 MiB fetched, 5.0 MiB saved\n3 files checked, 14.0 MiB: all as recorded; 1.0 MiB fetched, 5.0 MiB saved\n`,
    );
    expect(server.bytesSent()).toBe(MiB);
    expect(readFileSync(object).equals(IMAGE)).toBe(true);
    const again = await res('verify --repair');
    expectDone(again);
    expect(again.stdout).toBe('3 files checked, 14.0 MiB: all as recorded\n');
  });

  it('tells the same in JSON, and keeps what was changed by hand', async () => {
    const { res, work, object } = await built();
    const { open } = engineIn(work);
    const disk = work.path('resources/disk');
    flip(object, 0);
    await rot(open(), disk, () => flip(disk, 1));
    appendFileSync(work.path('resources/kernel'), 'mine');
    const run = await res('verify --repair --json');
    expect(run.status).toBe(1);
    const report: unknown = JSON.parse(run.stdout);
    expect(validator('verify')(report)).toEqual([]);
    expect(report).toMatchObject({
      ok: false,
      mended: [
        {
          path: object,
          place: 'store',
          node: 'image',
          by: 'ranges',
          fetched_bytes: MiB,
          saved_bytes: 5 * MiB,
        },
        { path: disk, place: 'output', node: 'disk', by: 'build' },
      ],
      removed: [],
      kept: [{ path: work.path('resources/kernel'), node: 'kernel' }],
      failed: [],
      fetched_bytes: MiB,
      saved_bytes: 5 * MiB,
    });
    expectDone(await res('verify --repair --overwrite'));
    expect(work.read('resources/kernel').equals(KERNEL)).toBe(true);
    expect(work.read('resources/disk').equals(IMAGE)).toBe(true);
  });

  it('--offline fetches nothing, and says what it would need', async () => {
    const { res, object, server } = await built();
    flip(object, 5 * MiB);
    const run = await res('verify --repair --offline');
    expectFailed(run, [/failed: image: 1048576 bytes of image .* not at hand, and --offline forbids/]);
    expect(run.stdout).toMatch(/failed {3}\.res\/store\/cas\/.*1048576 bytes of image/);
    expect(run.stdout).toMatch(/damaged {2}\.res\/store\/cas/);
    expect(server.connections).toBe(0);
  });

  it.each(['--offline', '--overwrite'])('takes %s, verify alone does not', async (flag) => {
    const { res } = inFolder(makeWorkspace('res: 1\nartifacts:\n  kernel: { path: k }\n'), {});
    expectFailed(await res(`verify ${flag}`), [new RegExp(`${flag} goes with --repair only`)], 2);
  });

  it('stopped while it fetches ends with 130, and leaves the damaged file and no other', async () => {
    const { res, start, work, object, image, server } = await built();
    flip(object, 5 * MiB);
    const damaged = readFileSync(object);
    server.fault(image, { stall: { after: 1000 } });
    const run = start('verify --repair');
    await server.until(({ state }) => state === 'stalled');
    run.signal('SIGINT');
    expect((await run.result).status).toBe(130);
    expect(readFileSync(object).equals(damaged)).toBe(true);
    expect(readdirSync(work.path('.res/tmp'))).toEqual([]);
    expectDone(await res('verify --repair'));
  });

  it('killed at any moment leaves either file, never half of one', { timeout: 120_000 }, async () => {
    const { res, start, work, object, server, image } = await built();
    const disk = work.path('resources/disk');
    const random = randomNumbers('verify --repair');
    const damage = async () => {
      for (const piece of [0, 2, 4]) flip(object, piece * MiB + 7);
      await rot(engineIn(work).open(), disk, () => flip(disk, 9));
    };
    await damage();
    const [bad, worse] = [readFileSync(object), readFileSync(disk)];
    const { durationMs } = await res('verify --repair');
    server.faultAlways(image, { bytesPerSecond: 20 * MiB });
    for (let round = 0; round < 6; round++) {
      await damage();
      const run = start('verify --repair');
      const moment = durationMs * (0.2 + random());
      await new Promise((resolve) => setTimeout(resolve, moment));
      await run.kill();
      const where = `killed after ${Math.round(moment)} ms of ${Math.round(durationMs)}`;
      const now = readFileSync(object);
      expect(now.equals(bad) || now.equals(IMAGE), where).toBe(true);
      if (work.exists('resources/disk')) {
        const there = readFileSync(disk);
        expect(there.equals(worse) || there.equals(IMAGE), where).toBe(true);
      }
      expectDone(await res('verify --repair'));
      expect(readFileSync(object).equals(IMAGE), where).toBe(true);
      expect(readFileSync(disk).equals(IMAGE), where).toBe(true);
      expect(readdirSync(work.path('.res/tmp')), where).toEqual([]);
      expect(filesBelow(work.path('.res/partial')), where).toEqual([]);
    }
  });
});
