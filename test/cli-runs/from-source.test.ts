// The from-source half of this repository's manifest, built whole from its own files. Repositories, the ISO and the large
// programs are small stand-ins; git, make, patch, python3, qemu-img and the release are real.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type GitRepository, gitServer } from '../rig/git.js';
import { standIns } from '../rig/stand-ins.js';
import { has, tool } from '../rig/tools.js';
import { installerIso, PROJECT, STAND_INS, sourceRepositories, TEMPLATES } from '../rig/vswarm-source.js';
import { atEnd, openRelease, outcome, type ReleaseScene, sceneIn } from './engine-scene.js';

const NEEDED = ['git', 'make', 'patch', 'python3', 'qemu-img', 'qemu-io', 'mke2fs'];
const ISO_20 = 'ubuntu-20.04.6-live-server-amd64.iso';
const ISO_22 = 'ubuntu-22.04.4-live-server-arm64.iso';
const PATH = standIns(STAND_INS);

interface SourceScene extends ReleaseScene {
  readonly project: GitRepository;
  /** Flags for the ISO's stand-ins: only their checksum is not that of the manifest. */
  readonly focal: readonly string[];
  readonly jammyArm: readonly string[];
}

/** The manifest as it is; where it looks for sources, mirrors send it to this machine. */
async function openSources(): Promise<SourceScene> {
  const release = await openRelease({ archs: ['amd64', 'arm64'], size: { sizeMiB: 8, dataMiB: 1 } });
  const { root, project } = sourceRepositories();
  const repositories = await gitServer({ root });
  atEnd(() => repositories.close());
  const { server, work } = release;
  const focal = await server.file(`20.04.6/${ISO_20}`, installerIso('20.04'));
  const jammyArm = await server.file(`22.04.4/release/${ISO_22}`, installerIso('22.04'));
  // Not in the workspace, which programs do not see.
  const firmware = join(root, 'QEMU_EFI.fd');
  writeFileSync(firmware, 'firmware');
  const mirrors = {
    'https://github.com/vhive-serverless/vSwarm-u': `${repositories.url}/vSwarm-u`,
    'https://github.com/gem5/gem5': `${repositories.url}/gem5`,
    'https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git': `${repositories.url}/linux`,
    'https://releases.ubuntu.com': `${server.url}/files`,
    'https://cdimage.ubuntu.com/releases': `${server.url}/files`,
  };
  const env = {
    GITHUB_API_URL: server.apiUrl,
    HOME: work.dir,
    PATH,
    QEMU_EFI: firmware,
    RES_MIRRORS: Object.entries(mirrors)
      .map(([from, to]) => `${from}=${to}`)
      .join(';'),
  };
  return {
    ...release,
    ...sceneIn(work, env),
    project,
    focal: ['--iso-sha256', focal.sha256],
    jammyArm: ['--arch', 'arm64', '--os-version', 'jammy', '--iso-sha256', jammyArm.sha256],
  };
}

describe.skipIf(!has(...NEEDED))('from source', { timeout: 120_000 }, () => {
  let scene: SourceScene;
  beforeEach(async () => {
    scene = await openSources();
  });
  const text = (name: string) => scene.work.text(`resources/${name}`);
  const asset = (name: 'kernel' | 'client') => scene.amd64.assets[scene.amd64[name]]?.path ?? '';
  const isProgram = (name: string) => (statSync(scene.work.path('resources', name)).mode & 0o111) !== 0;

  describe('the kernel', () => {
    const NODE = 'kernel-from-source';

    it('is made of linux-stable, the config and the patch of the project', async () => {
      const { ran } = await scene.built([NODE]);
      expect([...ran].sort()).toEqual([
        'kernel-config',
        'kernel-from-source',
        'kernel-patch',
        'linux',
        'vswarm-u',
      ]);
      expect(text(NODE)).toBe(`compiled by gcc
# v5.4.84
obj-y = smpboot.o ucount.o

obj-y += m5struct.o
obj-m = kmod.o
CONFIG_OF="v5.4.84 amd64"
# completed for x86_64
x86_64 at 1970-01-01 by res
`);
      expect(scene.work.text('resources.lock.yaml')).toContain(scene.project.id('main'));
      expect(outcome(await scene.built([NODE]))).toEqual({
        fresh: ['kernel-config', 'kernel-from-source', 'kernel-patch', 'linux', 'vswarm-u'],
      });
    });

    it('for arm64 is made by the cross compiler, and v5.15.59 without the patch', async () => {
      await scene.built([NODE, '--arch', 'arm64', '--os-version', 'jammy']);
      expect(text(NODE)).toBe(`compiled by aarch64-linux-gnu-gcc
# v5.15.59
obj-y = smpboot.o ucount.o regset.o

obj-m = kmod.o
CONFIG_OF="v5.15.59 arm64"
# completed for arm64
arm64 at 1970-01-01 by res
`);
      await scene.built([NODE, '--arch', 'arm64'], { env: { CROSS_COMPILE: 'aarch64-linux-gnu-' } });
      expect(text(NODE)).toContain('m5struct.o');
    });

    it('is not made again for a commit that leaves its config and patch as they are', async () => {
      await scene.built([NODE]);
      scene.project.commit({ ...PROJECT, 'README.md': 'new\n' });
      await scene.run(['update', 'vswarm-u']);
      const after = outcome(await scene.built([NODE]));
      expect(after.fresh).toContain(NODE);
      scene.project.commit({ ...PROJECT, 'configs/linux-configs/v5.4.84-amd64.config': 'CONFIG_NEW=y\n' });
      await scene.run(['update', 'vswarm-u']);
      expect((await scene.built([NODE])).ran).toContain(NODE);
      expect(text(NODE)).toContain('CONFIG_NEW=y');
    });
  });

  describe('the client', () => {
    it.each([
      ['amd64', '', 'x86'],
      ['arm64', 'aarch64-linux-gnu-', 'aarch64'],
    ])('for %s is made by go and the C compiler for it', async (arch, prefix, isa) => {
      await scene.built(['client-from-source', '--arch', arch]);
      expect(text('client-from-source')).toBe(`go for linux ${arch} with ${prefix}gcc and cgo 1
package main
joined by ${prefix}ar
compiled by ${prefix}gcc
# ${isa}
`);
      expect(isProgram('client-from-source')).toBe(true);
    });

    it('is made again by another go, though that does not say its version', async () => {
      await scene.built(['client-from-source']);
      expect((await scene.node('client-from-source')).state).toBe('fresh');
      const newer = { env: { PATH: standIns({ ...STAND_INS, go: `${STAND_INS.go}# newer\n` }) } };
      expect(await scene.node('client-from-source', [], newer)).toMatchObject({
        state: 'stale',
        reasons: [{ code: 'tool-changed' }],
      });
    });
  });

  it('gem5 lies in GEM5_DIR with m5 and m5term, without what was compiled on the way', async () => {
    await scene.built(['gem5']);
    const env = JSON.parse((await scene.run(['env', '--json'])).stdout);
    expect(env).toMatchObject({ GEM5_DIR: scene.work.path('resources/gem5') });
    expect(text('gem5/build/X86/gem5.opt')).toBe('build/X86/gem5.opt \ngem5\n');
    expect(text('gem5/util/m5/build/x86/out/m5')).toBe('build/x86/out/m5 x86.CROSS_COMPILE=\nm5\n');
    expect(text('gem5/util/term/m5term')).toBe('compiled by gcc\nm5term\n');
    expect(text('gem5/configs/example/fs.py')).toBe('a script\n');
    for (const name of ['build/X86/gem5.opt', 'util/m5/build/x86/out/m5', 'util/term/m5term'])
      expect(isProgram(`gem5/${name}`)).toBe(true);
    expect(readdirSync(scene.work.path('resources/gem5/build/X86'))).toEqual(['gem5.opt']);
    await scene.built(['gem5', '--arch', 'arm64']);
    expect(readdirSync(scene.work.path('resources/gem5/build'))).toEqual(['ARM']);
    expect(text('gem5/util/m5/build/arm64/out/m5')).toContain('arm64.CROSS_COMPILE=aarch64-linux-gnu-');
    expect(outcome(await scene.built(['gem5']))).toMatchObject({ restored: ['gem5'] });
  });

  describe('the base disk', () => {
    it('is what the installer of the ISO made of an empty disk of 16 GiB', async () => {
      await scene.built(['base-disk', ...scene.focal]);
      const disk = await beginning('base-disk.qcow2');
      const booted = `qemu-system-x86_64, machine no
installer's kernel 20.04
installer's initrd 20.04
${String(PROJECT['configs/disk-image-configs/autoinstall-amd64.yaml']).replace(':3003', '')}m5 for amd64
m5 for arm64
the gem5init service
`;
      expect(disk.subarray(0, booted.length).toString()).toBe(booted);
      const client = readFileSync(asset('client'));
      expect(disk.subarray(booted.length, booted.length + client.length).equals(client)).toBe(true);
      const info = await tool([
        'qemu-img',
        'info',
        '--output=json',
        scene.work.path('resources/base-disk.qcow2'),
      ]);
      expect(JSON.parse(info)).toMatchObject({ 'virtual-size': 16 * 2 ** 30, format: 'qcow2' });
      expect((await scene.node('base-disk', scene.focal)).state).toBe('fresh');
    });

    it('for arm64 is installed with firmware, and its client can be one that is built here', async () => {
      await scene.built(['base-disk', '--origin', 'source', ...scene.jammyArm]);
      const disk = (await beginning('base-disk.qcow2')).toString();
      expect(disk).toContain(`qemu-system-aarch64, machine virt,gic-version=max\ninstaller's kernel 22.04\n`);
      expect(disk).toContain('# arm64\n');
      expect(disk).toContain('go for linux arm64');
    });

    it('is made of no other ISO than that whose checksum is known', async () => {
      const result = await scene.run(['build', 'base-disk']);
      expect(result.status).toBe(1);
      expect(result.stderr).toContain('b8f31413336b9393ad5d8ef0282717b2ab19f007df2e9ed5196c13d8f9153c8b');
      expect(scene.work.exists('resources/base-disk.qcow2')).toBe(false);
    });
  });

  /** The first 64 KiB of what is on a disk. */
  async function beginning(name: string): Promise<Buffer> {
    const start = scene.work.path('start');
    const image = scene.work.path('resources', name);
    await tool(['qemu-img', 'dd', '-O', 'raw', 'bs=65536', 'count=1', `if=${image}`, `of=${start}`]);
    return scene.work.read('start');
  }

  describe('the working directory', () => {
    const SCRIPTS = [
      'setup_function.sh',
      'setup_all_functions.sh',
      'sim_function.sh',
      'sim_all_functions.sh',
    ];

    it('has the released kernel, raw disk and client, and the scripts with all placeholders filled in', async () => {
      await scene.built(['wkdir']);
      for (const [name, path] of [
        ['kernel', asset('kernel')],
        ['test-client', asset('client')],
        ['disk.img', scene.amd64.raw],
      ] as const)
        expect(scene.work.read(`resources/wkdir/${name}`).equals(readFileSync(path)), name).toBe(true);
      const outputs = scene.work.path('resources');
      expect(text('wkdir/setup_function.sh')).toBe(`#!/bin/bash
# setup one
GEM5=${outputs}/gem5/build/X86/gem5.opt
GEM5_CONFIG=${outputs}/wkdir/vswarm_simple.py
FN=\${1:-fibonacci-go}
sudo $GEM5 $GEM5_CONFIG --kernel kernel --disk disk.img --function \${FN} --mode=setup
`);
      expect(text('wkdir/run_sim.py')).toContain(`ROOT = '${outputs}/vswarm-u'\n`);
      expect(text('vswarm-u/gem5utils/systems/simple/system.py')).toContain('SimpleSystem');
      expect(text('wkdir/vswarm_simple.py')).toContain('ISA.X86');
      const names = [
        ...SCRIPTS,
        'disk.img',
        'functions.list',
        'functions.yaml',
        'kernel',
        'run_sim.py',
        'test-client',
        'vswarm_simple.py',
      ];
      expect(readdirSync(scene.work.path('resources/wkdir')).sort()).toEqual(names.sort());
      for (const name of names) {
        expect(scene.work.read(`resources/wkdir/${name}`).includes('<__'), name).toBe(false);
        expect(isProgram(`wkdir/${name}`), name).toBe([...SCRIPTS, 'test-client'].includes(name));
      }
      expect(outcome(await scene.built(['wkdir']))).not.toHaveProperty('ran');
    });

    it('for arm64 has what simulates it; GEM5_DIR is where gem5 is said to be', async () => {
      await scene.built(['wkdir', '--arch', 'arm64'], { env: { GEM5_DIR: '/opt/gem5' } });
      expect(text('wkdir/sim_all_functions.sh')).toContain('GEM5=/opt/gem5/build/ARM/gem5.opt\n');
      expect(text('wkdir/setup_function.sh')).toContain('/wkdir/vswarm_simple_arm.py\n');
      expect(text('wkdir/vswarm_simple_arm.py')).toContain('ISA.ARM');
    });

    it('has what was built here when that is wanted', async () => {
      await scene.built(['wkdir', '--origin', 'source', ...scene.focal]);
      expect(text('wkdir/kernel')).toContain('compiled by gcc');
      expect(text('wkdir/test-client')).toContain('go for linux amd64');
      const disk = statSync(scene.work.path('resources/wkdir/disk.img'));
      expect(disk.size).toBe(16 * 2 ** 30);
      expect(disk.blocks * 512).toBeLessThan(2 ** 20);
      expect(scene.server.requests().filter(({ path }) => path.includes('vmlinux'))).toEqual([]);
    });

    it('is made anew in that part only whose template changed', async () => {
      await scene.built(['wkdir']);
      const others = [
        'kernel',
        'test-client',
        'disk.img',
        'run_sim.py',
        'setup_function.sh',
        'sim_all_functions.sh',
      ];
      const written = () => others.map((name) => statSync(scene.work.path('resources/wkdir', name)).mtimeMs);
      const before = written();
      const template = `${TEMPLATES}/sim_function.tmpl.sh`;
      scene.project.commit({ ...PROJECT, [template]: `${String(PROJECT[template])}# new\n` });
      await scene.run(['update', 'vswarm-u']);
      const { ran } = await scene.built(['wkdir']);
      const templates = ran.filter((name) => /^wkdir-(setup|sim|run)/.test(name));
      expect(templates).toEqual(['wkdir-sim-function']);
      expect(ran).not.toContain('wkdir-disk');
      expect(text('wkdir/sim_function.sh')).toMatch(/\n# new\n$/);
      expect(written()).toEqual(before);
    });

    it('keeps a disk that functions were installed into', async () => {
      await scene.built(['wkdir']);
      writeFileSync(scene.work.path('resources/wkdir/disk.img'), 'functions', { flag: 'r+' });
      expect((await scene.node('wkdir-disk')).state).toBe('modified');
      const result = await scene.run(['build', 'wkdir']);
      expect(result.status).toBe(1);
      expect(scene.work.read('resources/wkdir/disk.img').subarray(0, 9).toString()).toBe('functions');
    });
  });
});
