// Switching between variants moves files; it makes nothing anew, fetches nothing and leaves no file of another variant.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fakeTool } from '../rig/fake-tool.js';
import type { VswarmRelease } from '../rig/images.js';
import { has } from '../rig/tools.js';
import {
  atEnd,
  diskBytes,
  filesBelow,
  inode,
  openRelease,
  outcome,
  type ReleaseScene,
} from './engine-scene.js';

const OUTPUTS = ['kernel', 'client', 'disk-image.qcow2', 'disk-image.raw'];

function published(scene: ReleaseScene, arch: string): VswarmRelease {
  const release = scene.published[arch];
  if (!release) throw new Error(`no ${arch}`);
  return release;
}

function expectOutputs(scene: ReleaseScene, arch: string): void {
  const { raw, qcow2, kernel, client, assets } = published(scene, arch);
  const expected = [assets[kernel]?.path, assets[client]?.path, qcow2, raw];
  for (const [i, name] of OUTPUTS.entries())
    expect(
      scene.work.read(`resources/${name}`).equals(readFileSync(expected[i] ?? '')),
      `${name} for ${arch}`,
    ).toBe(true);
}

describe.skipIf(!has('qemu-img', 'mke2fs'))('variants', () => {
  it('going to another one and back downloads nothing, runs nothing and copies nothing', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    const { work, built, server } = scene;
    const qemu = fakeTool();
    atEnd(() => qemu.remove());
    const env = { PATH: qemu.path };
    const runs = () => qemu.calls().filter(([first]) => first !== '--version').length;
    const inodes = () => OUTPUTS.map((name) => inode(work.path('resources', name)));

    await built(['--arch', 'amd64'], { env });
    expectOutputs(scene, 'amd64');
    const amd64 = inodes();
    await built(['--arch', 'arm64'], { env });
    expectOutputs(scene, 'arm64');
    const arm64 = inodes();
    const runsBefore = runs();
    const bytes = diskBytes([...filesBelow(work.path('resources')), ...scene.objects()]);
    server.reset();

    for (const { arch, expected, other } of [
      { arch: 'amd64', expected: amd64, other: 'arm64' },
      { arch: 'arm64', expected: arm64, other: 'amd64' },
      { arch: 'amd64', expected: amd64, other: 'arm64' },
    ]) {
      const states = await scene.status(['--arch', arch], { env });
      for (const name of ['kernel', 'client', 'raw-disk'])
        expect(states.get(name)?.state, name).toBe('cached');
      const result = await built(['--arch', arch], { env });
      expect(outcome(result).ran).toBeUndefined();
      expect(result.restored).toEqual(expect.arrayContaining(['kernel', 'client', 'qcow2', 'raw-disk']));
      expectOutputs(scene, arch);
      // By rename: the very same files.
      expect(inodes()).toEqual(expected);
      expect((await scene.run(['build', '--arch', arch], { env })).stdout).toBe('up to date\n');
      expect((await scene.node('raw-disk', ['--arch', other], { env })).state).toBe('cached');
      expect(diskBytes([...filesBelow(work.path('resources')), ...scene.objects()])).toBe(bytes);
    }
    expect(server.requests()).toEqual([]);
    expect(runs()).toBe(runsBefore);
  });

  it('a named output that nobody asked for does not stay behind with the content of another variant', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    const { built, work } = scene;
    await built(['raw-disk', '--arch', 'amd64']);
    await built(['raw-disk', '--arch', 'arm64']);
    const result = await built(['raw-disk', '--arch', 'amd64']);
    expect(outcome(result)).toMatchObject({ restored: ['qcow2', 'raw-disk'] });
    expect(
      work.read('resources/disk-image.qcow2').equals(readFileSync(published(scene, 'amd64').qcow2)),
    ).toBe(true);
  });

  it('two variants share one lock', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    await scene.built(['kernel', '--arch', 'amd64']);
    await scene.built(['kernel', '--arch', 'arm64']);
    const lock = scene.work.text('resources.lock.yaml');
    for (const arch of ['amd64', 'arm64']) expect(lock).toContain(`vmlinux-focal-${arch}`);
    scene.server.reset();
    expect(outcome(await scene.built(['kernel', '--arch', 'amd64', '--frozen', '--offline']))).toEqual({
      restored: ['kernel'],
    });
    expect(scene.server.requests()).toEqual([]);
  });

  it('a modified output is not lost to the other variant', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    await scene.built(['kernel', '--arch', 'amd64']);
    scene.work.write('resources/kernel', 'mine');
    const { status, stderr } = await scene.run(['build', 'kernel', '--arch', 'arm64']);
    expect(status).toBe(1);
    expect(stderr).toContain('resources/kernel');
    expect(scene.work.text('resources/kernel')).toBe('mine');
  });

  it('an experimental one is warned of once, a stable one is not', async () => {
    const scene = await openRelease({ archs: ['amd64', 'arm64'] });
    const { stderr } = await scene.run(['build', '--arch', 'arm64']);
    expect(stderr.match(/warning:/g)).toHaveLength(1);
    expect(stderr).toMatch(/warning: .*experimental/);
    const stable = await scene.run(['build', '--arch', 'amd64']);
    expect(stable.stderr).not.toContain('warning');
    expect(stable.status).toBe(0);
  });

  it('--for gem5 refuses one that does not work with it before any work, and names those that do', async () => {
    const scene = await openRelease();
    const { status, stderr } = await scene.run(['build', '--os-version', 'jammy', '--for', 'gem5']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/kernel.*gem5/);
    expect(stderr).toMatch(/--os-version focal|--arch amd64 --os-version focal/);
    expect(scene.server.requests()).toEqual([]);
    expect(scene.work.exists('resources')).toBe(false);
    expect((await scene.run(['build', 'kernel', '--for', 'gem5'])).status).toBe(0);
    expect((await scene.run(['build', 'kernel', '--for', 'qemu'])).stdout).toBe('up to date\n');
  });
});
