// The manifest of this repository says of the vSwarm-u release what is known of it: names, versions, what works with what.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadGraph } from '../src/graph/load.js';
import { kinds } from '../src/kinds/registry.js';
import { readLock } from '../src/manifest/lockfile.js';
import type { Graph } from '../src/model/graph.js';
import type { KindReferences } from '../src/model/node.js';
import { gitSource } from '../src/sources/git.js';
import { sources } from '../src/sources/registry.js';
import { res } from './cli/in-process.js';
import { bundledManifest, REPO_ROOT } from './rig/places.js';
import { makeWorkspace, removeWorkspaces } from './rig/workspace.js';

afterEach(removeWorkspaces);

const VARIANTS = [
  {
    arch: 'amd64',
    os: 'focal',
    kernel: 'v5.4.84',
    ubuntu: 'Ubuntu 20.04',
    state: 'stable',
    with: ['qemu', 'gem5'],
  },
  {
    arch: 'amd64',
    os: 'jammy',
    kernel: 'v5.15.59',
    ubuntu: 'Ubuntu 22.04',
    state: 'experimental',
    with: ['qemu'],
  },
  {
    arch: 'arm64',
    os: 'focal',
    kernel: 'v5.4.84',
    ubuntu: 'Ubuntu 20.04',
    state: 'experimental',
    with: ['qemu', 'gem5'],
  },
  {
    arch: 'arm64',
    os: 'jammy',
    kernel: 'v5.15.59',
    ubuntu: 'Ubuntu 22.04',
    state: 'experimental',
    with: ['qemu'],
  },
] as const;
const REPO = 'vhive-serverless/vSwarm-u';
const ISO = {
  'amd64 focal': ['20.04.6', 'b8f31413336b9393ad5d8ef0282717b2ab19f007df2e9ed5196c13d8f9153c8b'],
  'amd64 jammy': ['22.04.4', '45f873de9f8cb637345d6e66a583762730bbea30277ef7b32c9c3bd6700a32b2'],
  'arm64 focal': ['20.04.5', 'e42d6373dd39173094af5c26cbf2497770426f42049f8b9ea3e60ce35bebdedf'],
  'arm64 jammy': ['22.04.4', '74b8a9f71288ae0ac79075c2793a0284ef9b9729a3dcf41b693d95d724622b65'],
} as const;
const FROM_SOURCE = ['kernel-from-source', 'client-from-source', 'gem5', 'base-disk', 'wkdir'];

describe.each(VARIANTS)('$arch $os', (variant) => {
  const { arch, os } = variant;
  const graph = load({ arch, 'os-version': os });

  it('takes its assets from the release, under their names', () => {
    const asset = (name: string) => graph.nodes.get(name)?.recipe;
    const from = (name: string) => ({ github: { repo: REPO, release: 'v0.3.0', asset: name } });
    expect(asset('kernel')).toEqual(from(`vmlinux-${os}-${arch}`));
    expect(asset('client')).toEqual(from(`test-client-${arch}`));
    expect(asset('disk-parts')).toEqual(from(`disk-image-${os}-${arch}.qcow2.tar.gz.*`));
    expect(asset('disk-sums')).toEqual(from(`disk-image-${os}-${arch}.qcow2.sums`));
  });

  it('has its row in the support tables', () => {
    const row = (node: string) =>
      graph.nodes
        .get(node)
        ?.variants.find(({ when }) => when.arch === arch && (when['os-version'] ?? os) === os);
    expect(row('kernel')).toMatchObject({
      label: variant.kernel,
      state: variant.state,
      worksWith: variant.with,
    });
    for (const disk of ['qcow2', 'raw-disk']) {
      expect(row(disk)).toMatchObject({
        label: variant.ubuntu,
        state: variant.state,
        worksWith: variant.with,
      });
    }
    expect(row('client')).toMatchObject({ state: 'stable', worksWith: ['qemu', 'gem5'] });
  });

  it('is built from the sources, config and ISO that go with it', () => {
    const recipe = (name: string) => graph.nodes.get(name)?.recipe;
    expect(recipe('linux')).toMatchObject({ git: { ref: variant.kernel } });
    expect(recipe('kernel-config')).toMatchObject({
      member: `configs/linux-configs/${variant.kernel}-${arch}.config`,
    });
    const [release, sha256] = ISO[`${arch} ${os}`];
    const iso = `/ubuntu-${release}-live-server-${arch}.iso`;
    expect(recipe('ubuntu-iso')).toEqual({
      url: [expect.stringContaining(iso), `https://old-releases.ubuntu.com/releases/${release}${iso}`],
      sha256,
    });
    const isa = arch === 'amd64' ? 'X86' : 'ARM';
    expect(recipe('gem5')?.run).toContain(`scons -j "$(nproc)" build/${isa}/gem5.opt\n`);
  });

  it('has an answer for each node of the from-source half, without a network', {
    timeout: 60_000,
  }, async () => {
    const { dir } = makeWorkspace(bundledManifest());
    const set = ['--arch', arch, '--os-version', os];
    for (const command of ['plan', 'status', 'graph']) {
      const offline = command === 'plan' ? ['--offline'] : [];
      const { status, stdout, stderr } = await res([command, ...FROM_SOURCE, ...set, ...offline], {
        cwd: dir,
      });
      expect(status, stderr).toBe(0);
      for (const name of FROM_SOURCE) expect(stdout, command).toContain(name);
    }
    for (const name of FROM_SOURCE) {
      const { status, stdout, stderr } = await res(['show', name, ...set], { cwd: dir });
      expect(status, stderr).toBe(0);
      expect(stdout).toContain(name);
    }
    expect((await res(['list', ...set], { cwd: dir })).stdout).toContain(
      `Linux ${variant.kernel} for ${arch} built here`,
    );
    const script = await res(['show', 'kernel-from-source', ...set], { cwd: dir });
    expect(script.stdout).toMatch(/^ +cd linux$/m);
    const { stdout } = await res(['env', ...set], { cwd: dir });
    expect(stdout).toContain(`RES_BASE_DISK=${dir}/resources/base-disk.qcow2`);
  });

  it('says in words which kernel and which Ubuntu it is', () => {
    expect(graph.nodes.get('kernel')?.description).toContain(`Linux ${variant.kernel} for ${arch}`);
    expect(graph.nodes.get('qcow2')?.description).toContain(`${variant.ubuntu} for ${arch}`);
  });
});

describe('by default', () => {
  const graph = load({});

  it('is v0.3.0 for amd64 and focal', () => {
    const values = { version: 'v0.3.0', arch: 'amd64', 'os-version': 'focal', origin: 'release' };
    expect(graph.manifest.paramValues).toMatchObject(values);
  });

  it('builds everything, and each node says what it is', () => {
    expect(graph.manifest.defaults).toEqual(['all']);
    expect(graph.nodes.get('all')?.references.map(({ node }) => node)).toEqual([
      'kernel',
      'client',
      'raw-disk',
    ]);
    for (const node of graph.nodes.values()) expect(node.description, node.name).toMatch(/\w/);
  });

  it('builds nothing from source', () => {
    const needed = new Set<string>(graph.manifest.defaults);
    for (const name of needed)
      for (const { node } of graph.nodes.get(name)?.references ?? []) needed.add(node);
    const released = ['all', 'client', 'disk-parts', 'disk-sums', 'kernel', 'merged', 'qcow2', 'raw-disk'];
    expect([...needed].sort()).toEqual(released);
  });

  it('checks the disk image against the published sums', () => {
    expect(graph.nodes.get('qcow2')?.verify).toEqual({ sums: 'disk-sums' });
  });

  it('puts its outputs where the scripts of vSwarm-u look for them', () => {
    const outputs = [...graph.nodes.values()].flatMap(({ output }) => output ?? []);
    expect(outputs.slice(0, 4)).toEqual(['kernel', 'client', 'disk-image.qcow2', 'disk-image.raw']);
    for (const name of ['gem5', 'wkdir/kernel', 'wkdir/disk.img', 'wkdir/test-client'])
      expect(outputs).toContain(name);
    expect(graph.manifest.outputDir).toBe(join(REPO_ROOT, 'resources'));
    expect(graph.nodes.get('client')?.executable).toBe(true);
  });
});

it('has params that follow from others: help does not show how, and list leaves them out', async () => {
  const { dir } = makeWorkspace(bundledManifest());
  const help = await res(['plan', '--help'], { cwd: dir });
  expect(help.stdout).toMatch(/--iso-sha256 <VALUE> +its sha256 \(default: follows from other values\)/);
  const list = await res(['list'], { cwd: dir });
  expect(list.stdout).toMatch(
    /in force: version v0\.3\.0, arch amd64, os-version focal, project main, origin release\n$/,
  );
});

it('has commits in its lock for sources that it names, and for no others', () => {
  const { sources: locked } = readLock(join(REPO_ROOT, 'resources.lock.yaml'));
  const named = VARIANTS.flatMap(({ arch, os }) =>
    [...load({ arch, 'os-version': os }).nodes.values()].flatMap(({ kind, recipe }) =>
      kind === 'git' ? [gitSource.identity(recipe)] : [],
    ),
  );
  for (const [source, { commit }] of Object.entries(locked)) {
    expect(named).toContain(source);
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
  }
  expect(Object.keys(locked)).toHaveLength(3);
});

it('RESOURCES and GEM5_DIR in the environment move the outputs and gem5', () => {
  const moved = load({}, { RESOURCES: '/scratch/res' });
  expect(moved.manifest.outputDir).toBe('/scratch/res');
  expect(moved.manifest.exports).toEqual({ RESOURCES: '/scratch/res', GEM5_DIR: '/scratch/res/gem5' });
  expect(load({}, { GEM5_DIR: '/opt/gem5' }).manifest.exports.GEM5_DIR).toBe('/opt/gem5');
});

function load(set: Record<string, string>, env: Record<string, string> = {}): Graph {
  const known = new Map<string, KindReferences>([...sources, ...kinds]);
  return loadGraph({ file: join(REPO_ROOT, 'resources.yaml'), cwd: REPO_ROOT, set, env, kinds: known });
}
