// Disks that run full, at every stage of a build: a clear error that names the file system, nothing half-made, and
// after room was made the build goes on from where it was.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../rig/cli.js';
import { type VswarmRelease, vswarmRelease } from '../rig/images.js';
import { bundledManifest } from '../rig/places.js';
import { type FileHandle, type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { canMount, type DiskKind, mountSmallDisk, type SmallDisk } from '../rig/small-disk.js';
import { filesBelow, openRelease, openScene, type Scene } from './engine-scene.js';
import { expectFailed } from './site.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** More than any build here takes. */
const AMPLE = 64 * MIB;
/** What a build may ask for to say how large its results will be. */
const LOOK = 256 * KIB;
/** Many sizes of disks, for campaigns. */
const LONG = process.env.RES_TEST_LONG === '1';

const mounts = await canMount();

interface Site {
  readonly server: ReleaseServer;
  readonly release: VswarmRelease;
  readonly files: readonly FileHandle[];
  /** Of what a merge makes, and an image of what is in it. */
  readonly manifests: Readonly<Record<'merge' | 'image', string>>;
}

let opened: Promise<Site> | undefined;
afterAll(async () => (await opened)?.server.close());

/** A server whose files are asked for without sums and sizes, so that no estimate keeps a build from beginning. */
function site(): Promise<Site> {
  opened ??= (async () => {
    const release = await vswarmRelease({ partSize: 700_000, size: { sizeMiB: 16, dataMiB: 1 } });
    const server = await startReleaseServer();
    const files = await Promise.all(
      [...release.parts, release.kernel].map((name) =>
        server.file(name, { path: release.assets[name]?.path ?? '' }),
      ),
    );
    const parts = files.slice(0, -1).map(({ url }) => `{ url: "${url}" }`);
    const artifacts = `res: 1
artifacts:
  parts: { parts: [${parts.join(', ')}] }
  kernel: { url: "${files.at(-1)?.url}", output: kernel }
targets:
`;
    const manifests = {
      merge: `${artifacts}  merged: { merge: parts, output: image.tar.gz }\ndefault: [kernel, merged]\n`,
      image: `${artifacts}  merged: { merge: parts }
  qcow2: { extract: merged, member: "**/disk-image.qcow2", output: disk-image.qcow2 }
  raw-disk: { convert: qcow2, to: raw, output: disk-image.raw }
default: [kernel, raw-disk]
`,
    };
    return { server, release, files, manifests };
  })();
  return opened;
}

/** A workspace on a disk of its own. */
async function onSmallDisk(
  kind: DiskKind,
  bytes: number,
  use: (scene: Scene, disk: SmallDisk, site: Site) => Promise<void>,
): Promise<void> {
  const at = await site();
  at.server.reset();
  const scene = openScene({});
  await withDisk(scene.work.dir, kind, bytes, (disk) => use(scene, disk, at));
}

async function withDisk(
  dir: string,
  kind: DiskKind,
  bytes: number,
  use: (disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const disk = await mountSmallDisk(dir, kind, bytes);
  try {
    await use(disk);
  } finally {
    await disk.close();
  }
}

/** It failed for want of room, and says where and how much there is, or is missing. */
function expectNoSpace(run: RunResult, { dir }: SmallDisk): void {
  expectFailed(run, [/no space left on|not enough room on/, /\d (?:bytes|[KM]iB) (?:missing|free)/]);
  expect(run.stderr).toContain(`on ${dir}`);
  expect(run.stderr).not.toMatch(/ENOSPC|command-failed|failed with exit status/);
}

/** What is at the final names is whole, and nothing else is left. */
function expectNothingHalfMade(scene: Scene, { release }: Pick<Site, 'release'>): void {
  const whole: Readonly<Record<string, string>> = {
    'disk-image.qcow2': release.qcow2,
    'disk-image.raw': release.raw,
    'image.tar.gz': release.archive,
    kernel: release.assets[release.kernel]?.path ?? '',
  };
  for (const path of filesBelow(scene.work.path('resources')))
    expect(readFileSync(path).equals(readFileSync(whole[basename(path)] ?? '')), path).toBe(true);
  for (const path of scene.objects()) expect(statSync(path).size, path).toBeGreaterThan(0);
  expect(scene.temporaries()).toEqual([]);
}

/** Files that are here to their last byte, and bytes here of the others. */
function arrived(
  scene: Scene,
  { files }: Site,
): { readonly complete: readonly FileHandle[]; readonly partial: number } {
  const names = new Set(scene.objects().map((path) => basename(path)));
  const has = ({ sha256, path }: FileHandle) =>
    names.has(sha256) || (path.includes('vmlinux') && existsSync(scene.work.path('resources/kernel')));
  const partials = filesBelow(scene.work.path('.res/partial')).filter((path) => !path.includes('.json'));
  return {
    complete: files.filter(has),
    partial: partials.reduce((sum, path) => sum + statSync(path).size, 0),
  };
}

function sizes(from: number, to: number, count: number): readonly number[] {
  return Array.from(
    { length: count },
    (_, i) => Math.round((from + ((to - from) * i) / (count - 1)) / KIB) * KIB,
  );
}

interface Sweep {
  readonly of: keyof Site['manifests'];
  readonly kind: DiskKind;
  readonly free: readonly number[];
}

const SWEEPS: readonly Sweep[] = LONG
  ? (['tmpfs', 'ext4'] as const).flatMap((kind): Sweep[] => [
      { of: 'merge', kind, free: [...sizes(4 * KIB, 64 * KIB, 8), ...sizes(72 * KIB, 2600 * KIB, 24)] },
      { of: 'image', kind, free: sizes(1400 * KIB, 5000 * KIB, 32) },
    ])
  : [
      { of: 'merge', kind: 'tmpfs', free: [12 * KIB, 900 * KIB] },
      { of: 'merge', kind: 'ext4', free: [1400 * KIB] },
      { of: 'image', kind: 'tmpfs', free: [4 * MIB] },
      { of: 'image', kind: 'ext4', free: [3600 * KIB] },
    ];

describe.skipIf(!mounts)('a disk with some room', () => {
  const runs = SWEEPS.flatMap(({ free, ...sweep }) => free.map((bytes) => ({ ...sweep, bytes })));
  it.each(runs)(
    'takes all of it or gives a clear error, and with more room the rest ($of, $kind, $bytes bytes)',
    { timeout: 120_000 },
    async ({ of, kind, bytes }) => {
      await onSmallDisk(kind, kind === 'tmpfs' ? bytes : 12 * MIB, async (scene, disk, at) => {
        scene.work.write('resources.yaml', at.manifests[of]);
        if (kind === 'ext4') await disk.fill(bytes);
        const first = await scene.run(['build']);
        if (first.status !== 0) expectNoSpace(first, disk);
        else if (!LONG) throw new Error('the disk was too large for this test');
        expectNothingHalfMade(scene, at);
        const { complete, partial } = arrived(scene, at);
        at.server.reset();
        await disk.makeRoom(AMPLE);
        await scene.built();
        expectNothingHalfMade(scene, at);
        expect(filesBelow(scene.work.path('resources')).length).toBe(of === 'merge' ? 2 : 3);
        expect(complete.flatMap((file) => at.server.requests(file))).toEqual([]);
        const missing = at.files.filter((file) => !complete.includes(file));
        const due = missing.reduce((sum, { size }) => sum + size, 0) - partial;
        expect(at.server.bytesSent()).toBeLessThanOrEqual(due + (of === 'image' ? LOOK : 0));
      });
    },
  );
});

/** What was there before the disk was mounted over it. */
function writeManifest({ work }: Scene): void {
  for (const [path, text] of Object.entries(bundledManifest())) work.write(path, text);
}

describe.skipIf(!mounts)('a disk that others fill during a build', () => {
  /** Fills the disk, but for so many bytes, while the server holds an asset back. */
  async function filledMeanwhile(
    leave: (release: VswarmRelease) => number,
    check: (run: RunResult, disk: SmallDisk, scene: Scene) => void,
  ): Promise<void> {
    const scene = await openRelease({ size: { sizeMiB: 16, dataMiB: 2 } });
    await withDisk(scene.work.dir, 'tmpfs', AMPLE, async (disk) => {
      writeManifest(scene);
      let go: () => void = () => undefined;
      const until = new Promise<void>((resolve) => {
        go = resolve;
      });
      const held = scene.release.asset(scene.amd64.parts[1] ?? '');
      scene.server.fault(held, { stall: { after: 100_000, until } });
      const run = scene.start(['build', 'raw-disk']);
      await scene.server.until(({ path, state }) => path === held.contentPath && state === 'stalled');
      // Nothing else is under way any more: what is left is for what comes now.
      await expect.poll(() => scene.objects().length).toBeGreaterThanOrEqual(scene.amd64.parts.length - 1);
      await disk.fill(leave(scene.amd64));
      go();
      const first = await run.result;
      expectNoSpace(first, disk);
      expectNothingHalfMade(scene, { release: scene.amd64 });
      check(first, disk, scene);
      await disk.makeRoom();
      await scene.built(['raw-disk']);
      expectNothingHalfMade(scene, { release: scene.amd64 });
    });
  }

  const rest = ({ assets, parts }: VswarmRelease) =>
    statSync(assets[parts[1] ?? '']?.path ?? '').size - 100_000;

  it('ends in the download, and says how much of the file is missing', async () => {
    await filledMeanwhile(
      () => 300 * KIB,
      ({ stderr }) => expect(stderr).toMatch(/failed: disk-parts: cannot write .*KiB missing/),
    );
  });

  it('ends in unpacking, and says how much of the image is missing', async () => {
    await filledMeanwhile(
      (release) => rest(release) + 800 * KIB,
      (
        { stderr }, // What arrives and what is unpacked of it fill the disk together: either may be the one that finds it full.
      ) => expect(stderr).toMatch(/failed: (qcow2|disk-parts): cannot write .* [KM]iB missing/),
    );
  });

  it('ends in qemu-img, whose own words are recognised, and says how much of the disk is missing', async () => {
    await filledMeanwhile(
      (release) => rest(release) + statSync(release.qcow2).size + 600 * KIB,
      ({ stderr }, _disk, scene) => {
        expect(stderr).toMatch(/failed: raw-disk: cannot write .* [KM]iB missing/);
        expect(scene.work.exists('resources/disk-image.qcow2')).toBe(true);
      },
    );
  });
});

describe.skipIf(!mounts)('outputs on a small disk of their own', () => {
  it('are what the error names, and the build stops before any work when it is certain', async () => {
    const scene = await openRelease({ size: { sizeMiB: 16, dataMiB: 2 } });
    await withDisk(scene.work.path('resources'), 'ext4', 12 * MIB, async (disk) => {
      await disk.fill(1 * MIB);
      const refused = await scene.run(['build', 'raw-disk']);
      expectNoSpace(refused, disk);
      expect(refused.stderr).toMatch(/not enough room on .* needed, .* free: .* missing/);
      expect(scene.objects()).toEqual([]);
      expect(filesBelow(scene.work.path('.res/partial'))).toEqual([]);
      // The image fits for sure, and the disk made of it by an estimate: it is warned, and tried.
      await disk.fill(statSync(scene.amd64.qcow2).size + 200 * KIB);
      const tried = await scene.run(['build', 'raw-disk']);
      expectNoSpace(tried, disk);
      expect(tried.stderr).toMatch(/warning: there may be too little room on .*: about .* needed, .* free/);
      expect(tried.stderr).toMatch(/failed: raw-disk: .*missing/);
      expect(
        readFileSync(scene.work.path('resources/disk-image.qcow2')).equals(readFileSync(scene.amd64.qcow2)),
      ).toBe(true);
      expect(scene.temporaries()).toEqual([]);
    });
  });
});

describe.skipIf(!mounts)('a part of `.res` on a full disk', () => {
  /** `res build` in a workspace in which just this folder is full. */
  async function withFull(
    folder: string,
    check: (run: RunResult, disk: SmallDisk, scene: Scene) => Promise<void>,
  ) {
    const scene = openScene({
      'resources.yaml':
        'res: 1\nartifacts: { a: { path: a } }\ntargets: { b: { merge: [a, a], output: b }, c: { convert: a, from: raw, to: qcow2, output: c } }\n',
      a: 'x'.repeat(KIB),
    });
    mkdirSync(scene.work.path('.res', folder), { recursive: true });
    await withDisk(scene.work.path('.res', folder), 'tmpfs', 16 * KIB, async (disk) => {
      await disk.fill(0);
      await check(await scene.run(['build', 'b', 'c']), disk, scene);
      await disk.makeRoom(MIB);
      await scene.built(['b', 'c']);
    });
  }

  it('the records of builds: what was asked for is done, with a warning', async () => {
    await withFull('builds', async ({ status, stderr }, { dir }) => {
      expect(status, stderr).toBe(0);
      expect(stderr).toMatch(/warning: cannot write the record of this build/);
      expect(stderr).toContain(`no space left on ${dir}`);
    });
  });

  it.each(['logs', 'state', 'lock'])('%s: an error that names it', async (folder) => {
    await withFull(folder, async (run, disk) => expectNoSpace(run, disk));
  });
});

describe.skipIf(!mounts)('what works on a disk without a free block', () => {
  const LOOKING = ['status', 'plan', 'verify', 'build', 'update', 'gc'];

  it.each(['tmpfs', 'ext4'] as const)(
    'looking, checking and making room (%s)',
    { timeout: 60_000 },
    async (kind) => {
      const scene = await openRelease({ size: { sizeMiB: 16, dataMiB: 1 } });
      await withDisk(scene.work.dir, kind, 20 * MIB, async (disk) => {
        writeManifest(scene);
        await scene.built();
        for (const command of kind === 'tmpfs' || LONG ? LOOKING : ['verify']) {
          await disk.fill(0);
          const { status, stderr } = await scene.run([command]);
          expect(status, `${command}: ${stderr}`).toBe(0);
        }
        await disk.fill(0);
        expectNoSpace(await scene.run(['build', '--force']), disk);
        for (const args of [
          ['clean', 'raw-disk'],
          ['clean', '--all'],
        ]) {
          await disk.fill(0);
          const { status, stderr } = await scene.run(args);
          expect(status, `${args.join(' ')}: ${stderr}`).toBe(0);
          expect(disk.free()).toBeGreaterThan(500 * KIB);
        }
        await disk.makeRoom();
        await scene.built();
      });
    },
  );
});
