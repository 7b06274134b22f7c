// A build that is stopped, or killed, at any moment: no process and no temporary is left, nothing false is recorded, and the
// next build finishes the job.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRunning } from '../rig/cli.js';
import { fakeTool } from '../rig/fake-tool.js';
import { runFolder } from '../rig/places.js';
import { has } from '../rig/tools.js';
import { atEnd, filesBelow, openRelease, type ReleaseScene } from './engine-scene.js';

/** For what is done many times. */
const SMALL = { size: { sizeMiB: 8, dataMiB: 1 }, partSize: 256 * 1024 } as const;

/** A qemu-img whose conversion begins, writes something, notes its process and never ends by itself. */
function endlessTool(trap = '') {
  const dir = mkdtempSync(join(runFolder(), 'endless-'));
  const endless = fakeTool({
    before: `if [ "$1" = convert ]; then
  ${trap}
  for last in "$@"; do :; done
  echo half > "$last"
  echo $$ > '${dir}/pid.new'; mv '${dir}/pid.new' '${dir}/pid'
  while :; do sleep 0.05; done
fi`,
  });
  atEnd(() => {
    endless.remove();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    env: { PATH: endless.path },
    async pid(): Promise<number> {
      await eventually(() => existsSync(join(dir, 'pid')));
      return Number(readFileSync(join(dir, 'pid'), 'utf8'));
    },
  };
}

/** Looks again until it holds; what another process does tells nobody. */
async function eventually(holds: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function expectRightBytes({ work, amd64 }: ReleaseScene): void {
  expect(work.read('resources/disk-image.raw').equals(readFileSync(amd64.raw))).toBe(true);
  expect(work.read('resources/disk-image.qcow2').equals(readFileSync(amd64.qcow2))).toBe(true);
  for (const [output, asset] of [
    ['kernel', amd64.kernel],
    ['client', amd64.client],
  ]) {
    const path = amd64.assets[asset ?? '']?.path ?? '';
    expect(work.read(`resources/${output}`).equals(readFileSync(path)), output).toBe(true);
  }
}

describe.skipIf(!has('qemu-img', 'mke2fs'))('a build that is', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'stopped by %s in a download keeps what has come',
    async (signal) => {
      const scene = await openRelease();
      const { server, release, amd64 } = scene;
      const kernel = release.asset(amd64.kernel);
      server.fault(kernel, { stall: { after: 200_000 } });
      const run = scene.start(['build', 'kernel']);
      await server.until(({ state, path }) => state === 'stalled' && path === kernel.contentPath);
      // All of it has arrived when the partial file has it.
      await eventually(() =>
        filesBelow(scene.work.path('.res/partial')).some((path) => readFileSync(path).length >= 190_000),
      );
      run.signal(signal);
      const { status, stderr } = await run.result;
      expect(status).toBe(130);
      expect(stderr).not.toMatch(/failed:|^ {4}at /m);
      expect(scene.temporaries()).toEqual([]);
      expect(scene.work.exists('resources/kernel')).toBe(false);
      server.reset();
      await scene.built(['kernel']);
      // Only the rest was asked for.
      expect(server.bytesSent(kernel)).toBeLessThanOrEqual(kernel.size - 190_000);
      expect(
        scene.work.read('resources/kernel').equals(readFileSync(amd64.assets[amd64.kernel]?.path ?? '')),
      ).toBe(true);
    },
  );

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'stopped by %s in a conversion leaves no process and no temporary',
    async (signal) => {
      const scene = await openRelease();
      const endless = endlessTool();
      const run = scene.start(['build'], { env: endless.env });
      const pid = await endless.pid();
      expect(isRunning(pid)).toBe(true);
      run.signal(signal);
      const { status, stderr } = await run.result;
      expect(status).toBe(130);
      expect(isRunning(pid)).toBe(false);
      expect(stderr).not.toMatch(/failed:|^ {4}at /m);
      expect(scene.temporaries()).toEqual([]);
      expect(scene.work.exists('resources/disk-image.raw')).toBe(false);
      // Not a failure: nothing is wrong with the node.
      expect((await scene.node('raw-disk')).state).toBe('stale');
      const { ran } = await scene.built();
      expect(ran).toEqual(['raw-disk']);
      expectRightBytes(scene);
    },
  );

  it('stopped while a program does not listen ends it all the same', async () => {
    const scene = await openRelease();
    const deaf = endlessTool("trap '' TERM INT");
    const run = scene.start(['build'], { env: deaf.env });
    const pid = await deaf.pid();
    run.signal('SIGTERM');
    expect((await run.result).status).toBe(130);
    expect(isRunning(pid)).toBe(false);
    expect(scene.temporaries()).toEqual([]);
  });

  it('killed in a conversion leaves no process behind, and the next one finishes', async () => {
    const scene = await openRelease();
    const endless = endlessTool();
    const run = scene.start(['build'], { env: endless.env });
    const pid = await endless.pid();
    // res alone, not its group.
    run.signal('SIGKILL');
    await run.result;
    await eventually(() => !isRunning(pid));
    const { ran } = await scene.built();
    expect(ran).toEqual(['raw-disk']);
    expect(scene.temporaries()).toEqual([]);
    expectRightBytes(scene);
  });

  it('killed at any moment is finished by the next one', { timeout: 120_000 }, async () => {
    const whole = await openRelease(SMALL);
    const { durationMs } = await whole.run(['build']);
    for (let n = 0; n < 10; n++) {
      const scene = await openRelease(SMALL);
      // Spread over the build, and a bit by chance within each tenth.
      const moment = ((n + Math.random()) / 10) * durationMs;
      const run = scene.start(['build']);
      await new Promise((resolve) => setTimeout(resolve, moment));
      await run.kill();
      const where = `killed after ${Math.round(moment)} ms of ${Math.round(durationMs)}`;
      // What stands under a final name is whole.
      const { qcow2, raw, assets, kernel, client } = scene.amd64;
      for (const [name, reference] of [
        ['kernel', assets[kernel]?.path],
        ['client', assets[client]?.path],
        ['disk-image.qcow2', qcow2],
        ['disk-image.raw', raw],
      ]) {
        if (scene.work.exists(`resources/${name}`))
          expect(
            scene.work.read(`resources/${name}`).equals(readFileSync(reference ?? '')),
            `${name}, ${where}`,
          ).toBe(true);
      }
      for (const { name, state } of (await scene.status()).values())
        expect(state, `${name}, ${where}`).not.toBe('modified');
      const { status, stderr } = await scene.run(['build']);
      expect(status, `${where}\n${stderr}`).toBe(0);
      expectRightBytes(scene);
      expect(scene.temporaries(), where).toEqual([]);
      expect(filesBelow(scene.work.path('.res/partial')), where).toEqual([]);
      expect((await scene.run(['build'])).stdout, where).toBe('up to date\n');
      expect((await scene.run(['verify'])).status, where).toBe(0);
      scene.work.remove();
    }
  });

  it('killed while it exchanges one variant for another loses neither', { timeout: 120_000 }, async () => {
    const scene = await openRelease({ ...SMALL, archs: ['amd64', 'arm64'] });
    await scene.built(['--arch', 'arm64']);
    await scene.built(['--arch', 'amd64']);
    scene.server.reset();
    const archs = ['arm64', 'amd64'];
    for (let n = 0; n < 8; n++) {
      const run = scene.start(['build', '--arch', archs[n % 2] ?? '']);
      await run.printed(/restor/).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      await run.kill();
      const states = await scene.status(['--arch', archs[n % 2] ?? '']);
      for (const { name, state } of states.values()) expect(state, name).not.toBe('modified');
    }
    const result = await scene.built(['--arch', 'amd64']);
    expect(result.ran).toEqual([]);
    expectRightBytes(scene);
    expect((await scene.built(['--arch', 'arm64'])).ran).toEqual([]);
    expect(scene.server.requests()).toEqual([]);
    expect(scene.temporaries()).toEqual([]);
  });
});
