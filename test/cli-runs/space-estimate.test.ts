// What `plan` says that a build will take on disk, against what it takes.
import { randomBytes } from 'node:crypto';
import { rmSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findSandbox } from '../../src/execute/sandbox.js';
import type { PlanJson } from '../../src/report/plan.js';
import type { VswarmOptions } from '../rig/images.js';
import { otherFileSystem, tempDir } from '../store/temp.js';
import { diskBytes, filesBelow, openRelease, openScene, type ReleaseScene } from './engine-scene.js';

const SIZES: readonly (VswarmOptions['size'] & object)[] = [
  { sizeMiB: 64, dataMiB: 1 },
  { sizeMiB: 1024, dataMiB: 12 },
];

async function planned(scene: ReleaseScene, ...args: readonly string[]): Promise<PlanJson> {
  const { stdout, stderr, status } = await scene.run(['plan', '--json', ...args]);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

/** On disk of all that res made. */
function used({ work }: ReleaseScene): number {
  return diskBytes([...filesBelow(work.path('.res')), ...filesBelow(work.path('resources'))]);
}

function needed({ file_systems: all }: PlanJson): number {
  expect(all.map(({ all_known }) => all_known)).toEqual(all.map(() => true));
  return all.reduce((sum, { needed_bytes }) => sum + needed_bytes, 0);
}

function expectNear(estimate: number, actual: number): void {
  expect(Math.abs(estimate - actual) / actual, `${estimate} estimated, ${actual} used`).toBeLessThan(0.1);
}

describe('before the first build', () => {
  it.each(SIZES)(
    'is right within a tenth for a disk of $sizeMiB MiB with $dataMiB MiB in it',
    async (size) => {
      const scene = await openRelease({ size });
      const before = await planned(scene);
      expect(before.steps.filter(({ write_bytes }) => write_bytes === null)).toEqual([]);
      await scene.built();
      expectNear(needed(before), used(scene));
    },
  );
});

describe('later', () => {
  it('counts only what is not there: after an output was deleted, and all of them', async () => {
    const scene = await openRelease();
    await scene.built();
    expect((await planned(scene)).file_systems).toEqual([]);
    const whole = used(scene);
    for (const names of [['disk-image.raw'], ['disk-image.raw', 'disk-image.qcow2', 'kernel']]) {
      for (const name of names) rmSync(scene.work.path('resources', name));
      const before = used(scene);
      const plan = await planned(scene);
      await scene.built();
      expectNear(needed(plan), used(scene) - before);
    }
    expect(used(scene)).toBeLessThan(whole * 1.01);
  });

  it('knows of content that is gone how much of it was not holes', async () => {
    const scene = await openRelease({ size: { sizeMiB: 1024, dataMiB: 12 } });
    await scene.built();
    const raw = scene.work.path('resources/disk-image.raw');
    const taken = diskBytes([raw]);
    rmSync(raw);
    const [step] = (await planned(scene, 'raw-disk')).steps;
    expect(step?.node).toBe('raw-disk');
    expectNear(step?.write_bytes ?? 0, taken);
  });

  it('takes another version for what its own header says', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    await scene.built();
    const before = used(scene);
    const plan = await planned(scene, '--arch', 'arm64');
    await scene.built(['--arch', 'arm64']);
    expectNear(needed(plan), used(scene) - before);
    // Back again: all of it is moved.
    expect(needed(await planned(scene))).toBe(0);
  });
});

const hasSandbox = (await findSandbox(process.env)) !== undefined;

describe('for a program', () => {
  const MIB = 1024 * 1024;
  /** Bytes that are planned for a program with an input of that size. */
  const copied = async (bytes: number, env: Readonly<Record<string, string>>) => {
    const { run } = openScene({
      'resources.yaml': `res: 1
artifacts: { own: { path: own } }
targets: { read: { run: "wc -c \${in} > \${out}", inputs: { own: own } } }
`,
      own: randomBytes(bytes),
    });
    const { stdout } = await run(['plan', 'read', '--json'], { env });
    const { file_systems: all }: PlanJson = JSON.parse(stdout);
    return all.reduce((sum, { needed_bytes }) => sum + needed_bytes, 0);
  };

  it('counts the copies of its inputs, and not those that are mounted', async () => {
    expectNear(await copied(8 * MIB, {}), 8 * MIB);
    expectNear(await copied(20 * MIB, { RES_SANDBOX: 'off' }), 20 * MIB);
    expect(await copied(20 * MIB, {})).toBe(hasSandbox ? 0 : 20 * MIB);
  });
});

const elsewhere = otherFileSystem();

describe.skipIf(elsewhere === undefined)('with a store on another file system', () => {
  it('counts on each what comes to lie there, and where downloads arrive those under way at a time', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    const store = tempDir(elsewhere);
    const env = { RES_STORE: store };
    const inStore = () => diskBytes(filesBelow(store));
    for (const args of [[], ['--arch', 'arm64']]) {
      const before = inStore();
      const { stdout, stderr } = await scene.run(['plan', '--json', ...args], { env });
      const plan: PlanJson = JSON.parse(stdout || stderr);
      await scene.built(args, { env });
      const rows = new Map(plan.file_systems.map((row) => [statSync(row.path).dev, row.needed_bytes]));
      // What the former outputs were is there too, once others have taken their places.
      expectNear(rows.get(statSync(store).dev) ?? 0, inStore() - before);
      const release = scene.published[args[1] ?? 'amd64'];
      const outputs = diskBytes(filesBelow(scene.work.path('resources')));
      const arriving = [...(release?.parts ?? []), release?.sums ?? ''].map(
        (name) => scene.release.asset(name).size,
      );
      expectNear(
        rows.get(statSync(scene.work.dir).dev) ?? 0,
        outputs + arriving.reduce((sum, size) => sum + size, 0),
      );
    }
  });
});

describe('a look at a download', () => {
  it('is one small request, and none when nothing hangs on it, what is needed is here, or the build is offline', async () => {
    const scene = await openRelease();
    const first = scene.release.asset(scene.amd64.parts[0] ?? '');
    const looks = () =>
      scene.server.requests(first.contentPath).filter(({ headers }) => headers.range !== undefined);
    await planned(scene, 'kernel');
    expect(looks()).toEqual([]);
    await planned(scene, 'raw-disk');
    expect(looks().map(({ headers }) => headers.range)).toEqual(['bytes=0-262143']);
    expect(scene.server.bytesSent(first.contentPath)).toBeLessThanOrEqual(262_144);
    await scene.built();
    scene.server.reset();
    rmSync(scene.work.path('resources/disk-image.raw'));
    await planned(scene, 'raw-disk', '--set', 'version=v0.3.0', '--offline');
    expect(scene.server.requests()).toEqual([]);
  });

  it('that fails is no error: the size shows as unknown, and the build goes on', async () => {
    const scene = await openRelease();
    const first = scene.release.asset(scene.amd64.parts[0] ?? '');
    scene.server.faultAlways(first, { status: 503 });
    const { stdout, status } = await scene.run(['plan', 'raw-disk']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/execute {3}merged → qcow2 +\? /);
    expect(stdout).toMatch(/disk: more than .* needed/);
    scene.server.faultAlways(first, {});
    scene.server.fault(first, { status: 503 });
    await scene.built(['raw-disk']);
  });

  it.each(['ignoreRange', 'wrongRange'] as const)(
    'takes what a server that is not good at ranges gives (%s)',
    async (fault) => {
      const scene = await openRelease();
      scene.server.faultAlways(scene.release.asset(scene.amd64.parts[0] ?? ''), { [fault]: true });
      const plan = await planned(scene, 'raw-disk');
      expect(plan.steps.map(({ write_bytes }) => write_bytes)).not.toContain(null);
    },
  );
});
