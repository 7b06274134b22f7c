// A virtual machine that runs on an image goes on writing wherever the file is moved. What the store holds never changes by it.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { has } from '../rig/tools.js';
import { filesBelow, openRelease, outcome, type ReleaseScene } from './engine-scene.js';

const RAW = 'resources/disk-image.raw';

/** qemu-io with the image open as a virtual machine has it; it takes commands until its input ends. */
async function openInQemu(image: string): Promise<ChildProcessWithoutNullStreams> {
  const qemu = spawn('qemu-io', ['-f', 'raw', image]);
  qemu.stdin.write('length\n');
  await once(qemu.stdout, 'data');
  return qemu;
}

async function close(qemu: ChildProcessWithoutNullStreams): Promise<void> {
  qemu.stdin.end('quit\n');
  await once(qemu, 'exit');
}

function expectRaw(scene: ReleaseScene, arch: string): void {
  const { raw } = scene.published[arch] ?? {};
  expect(scene.work.read(RAW).equals(readFileSync(raw ?? ''))).toBe(true);
}

describe.skipIf(!has('qemu-img', 'qemu-io', 'mke2fs'))(
  'an output that a program has open for writing',
  () => {
    it('is not replaced: the build stops before any work and names the program', async () => {
      const scene = await openRelease({ archs: ['amd64', 'arm64'] });
      await scene.built(['raw-disk']);
      const before = filesBelow(scene.work.dir).toSorted();
      const qemu = await openInQemu(scene.work.path(RAW));
      scene.server.reset();
      const { status, stderr } = await scene.run(['build', 'raw-disk', '--arch', 'arm64']);
      expect(status).toBe(1);
      expect(stderr).toContain(`disk-image.raw is open for writing in qemu-io (pid ${qemu.pid})`);
      expect(scene.server.requests().filter(({ path }) => path.includes('disk-image'))).toEqual([]);
      expectRaw(scene, 'amd64');
      expect(filesBelow(scene.work.dir).toSorted()).toEqual(
        expect.arrayContaining(before.filter((path) => path.includes('/resources/'))),
      );
      await close(qemu);
      await scene.built(['raw-disk', '--arch', 'arm64']);
      expectRaw(scene, 'arm64');
    });

    it('and was written to through it in the store is not used from there', async () => {
      const scene = await openRelease({ archs: ['amd64', 'arm64'] });
      await scene.built(['raw-disk']);
      await scene.built(['raw-disk', '--arch', 'arm64']);
      const { digest } = (await scene.node('raw-disk', ['--arch', 'amd64'])).outputs[0] ?? {};
      const object = scene.objects().find((path) => path.endsWith(digest?.split(':')[1] ?? '?'));
      // By somebody who cannot be seen from here: on another host of a cluster.
      const late = openSync(object ?? '', 'r+');
      writeSync(late, 'XXXX', 1_000_000);
      closeSync(late);

      const result = await scene.built(['raw-disk', '--arch', 'amd64']);
      expect(outcome(result).ran).toEqual(['raw-disk']);
      expectRaw(scene, 'amd64');
      expect((await scene.run(['verify'])).status).toBe(0);
    });
  },
);
