// The manifest of this repository says of the vSwarm-u release what is known of it: names, versions, what works with what.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadGraph } from '../src/graph/load.js';
import { kinds } from '../src/kinds/registry.js';
import type { Graph } from '../src/model/graph.js';
import type { KindReferences } from '../src/model/node.js';
import { sources } from '../src/sources/registry.js';
import { REPO_ROOT } from './rig/places.js';

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

  it('says in words which kernel and which Ubuntu it is', () => {
    expect(graph.nodes.get('kernel')?.description).toContain(`Linux ${variant.kernel} for ${arch}`);
    expect(graph.nodes.get('qcow2')?.description).toContain(`${variant.ubuntu} for ${arch}`);
  });
});

describe('by default', () => {
  const graph = load({});

  it('is v0.3.0 for amd64 and focal', () => {
    expect(graph.manifest.paramValues).toEqual({ version: 'v0.3.0', arch: 'amd64', 'os-version': 'focal' });
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

  it('checks the disk image against the published sums', () => {
    expect(graph.nodes.get('qcow2')?.verify).toEqual({ sums: 'disk-sums' });
  });

  it('puts its outputs where the scripts of vSwarm-u look for them', () => {
    const outputs = [...graph.nodes.values()].flatMap(({ output }) => output ?? []);
    expect(outputs).toEqual(['kernel', 'client', 'disk-image.qcow2', 'disk-image.raw']);
    expect(graph.manifest.outputDir).toBe(join(REPO_ROOT, 'resources'));
    expect(graph.nodes.get('client')?.executable).toBe(true);
  });
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
