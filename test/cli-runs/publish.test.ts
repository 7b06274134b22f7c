// What is given to others: provenance, a crate to publish, and a bundle for machines without a network.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Statement } from '../../src/report/provenance.js';
import type { Crate } from '../../src/report/ro-crate.js';
import { fakeTool } from '../rig/fake-tool.js';
import { REPO_ROOT } from '../rig/places.js';
import { validator } from '../rig/schemas.js';
import { tarBytes } from '../rig/tar.js';
import { has } from '../rig/tools.js';
import { makeWorkspace } from '../rig/workspace.js';
import {
  atEnd,
  diskBytes,
  filesBelow,
  inode,
  openRelease,
  openScene,
  type Scene,
  sceneIn,
} from './engine-scene.js';
import { expectFailed } from './site.js';

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function provenanceOf(scene: Scene, ...args: readonly string[]): Promise<Statement> {
  const { stdout, stderr, status } = await scene.run(['provenance', ...args]);
  expect(status, stderr).toBe(0);
  const statement: Statement = JSON.parse(stdout);
  expect(validator('provenance')(statement)).toEqual([]);
  return statement;
}

const FILES = {
  'resources.yaml': `res: 1
name: an experiment
include: [more.yaml]
params: { arch: { default: amd64 } }
artifacts:
  a: { path: in/a }
  tools: { path: in/tools.tar }
targets:
  joined: { merge: [a, more], output: "out/joined-\${arch}" , description: "all of it" }
  tree: { extract: tools, output: tools }
  inner: { merge: [joined, a] }
  all: { group: [joined, tree] }
default: [all]
`,
  'more.yaml': 'res: 1\nartifacts: { more: { path: "in/more files/*" } }\n',
  'in/a': 'a\n',
  'in/more files/50% done.txt': 'half\n',
  'in/tools.tar': tarBytes([
    { name: 'bin/', type: '5' },
    { name: 'bin/run', body: '#!/bin/sh\n', mode: 0o755 },
    { name: 'link', type: '2', link: 'bin/run' },
    { name: 'read me', body: 'read\n' },
  ]),
};

describe('provenance', () => {
  it('says what a node is made of, with plain sums of its files', async () => {
    const scene = openScene(FILES);
    await scene.built();
    const { subject, predicate } = await provenanceOf(scene, 'joined', '--arch', 'amd64');
    const { buildDefinition, runDetails } = predicate;
    expect(subject).toEqual([
      { name: 'out/joined-amd64', digest: { sha256: sha256(Buffer.from('a\nhalf\n')) } },
    ]);
    expect(buildDefinition.externalParameters).toEqual({
      manifest: 'resources.yaml',
      node: 'joined',
      params: { arch: 'amd64' },
    });
    expect(buildDefinition.resolvedDependencies).toEqual(
      ['resources.yaml', 'more.yaml', 'in/a', 'in/more files/50% done.txt'].map((name) =>
        expect.objectContaining({ name, digest: { sha256: sha256(scene.work.read(name)) } }),
      ),
    );
    expect(JSON.stringify(buildDefinition.internalParameters)).toMatch(
      /"node":"a".*"node":"more".*"node":"joined"/,
    );
    const { startedOn = '', finishedOn = '' } = runDetails.metadata;
    expect(Date.parse(finishedOn)).toBeGreaterThanOrEqual(Date.parse(startedOn));
    expect(JSON.stringify(predicate)).not.toContain(scene.work.dir);
    expect(await provenanceOf(scene, 'joined')).toEqual(await provenanceOf(scene, 'joined'));
  });

  it('has each file of a folder', async () => {
    const scene = openScene(FILES);
    await scene.built();
    expect((await provenanceOf(scene, 'tree')).subject).toEqual([
      { name: 'tools/bin/run', digest: { sha256: sha256(Buffer.from('#!/bin/sh\n')) } },
      { name: 'tools/read me', digest: { sha256: sha256(Buffer.from('read\n')) } },
    ]);
  });

  it('says what a person had accepted', async () => {
    const scene = openScene(FILES);
    await scene.built(['joined']);
    scene.work.write('resources/out/joined-amd64', 'mine\n');
    expectFailed(await scene.run(['provenance', 'joined']), [/changed by hand/]);
    await scene.built(['joined', '--as-is']);
    const { subject, predicate } = await provenanceOf(scene, 'joined');
    expect(subject[0]?.digest.sha256).toBe(sha256(Buffer.from('mine\n')));
    expect(JSON.stringify(predicate)).toMatch(/"node":"joined".*"accepted_as_is":true/);
  });

  it('there is none of what is not built, of a group, and of nothing', async () => {
    const { run } = openScene(FILES);
    expectFailed(await run(['provenance', 'joined']), [/joined is not built.*\n.*res build joined/], 1);
    expectFailed(await run(['provenance', 'all']), [/is a group/], 2);
    expectFailed(await run(['provenance', 'jined']), [/did you mean `joined`/], 2);
    expectFailed(await run(['provenance']), [/missing required argument/], 2);
  });

  it.skipIf(!has('qemu-img', 'mke2fs'))(
    'of an image has its release, without what is secret, and the program',
    async () => {
      const scene = await openRelease();
      await scene.built(['raw-disk']);
      const { subject, predicate } = await provenanceOf(scene, 'raw-disk');
      expect(subject).toEqual([
        { name: 'disk-image.raw', digest: { sha256: sha256(readFileSync(scene.amd64.raw)) } },
      ]);
      const { resolvedDependencies } = predicate.buildDefinition;
      for (const part of [...scene.amd64.parts, scene.amd64.sums]) {
        const at = scene.amd64.assets[part]?.path ?? '';
        expect(resolvedDependencies).toContainEqual({
          name: part,
          uri: expect.stringMatching(/^http[^?@]*$/),
          digest: { sha256: sha256(readFileSync(at)) },
          annotations: {
            node: expect.any(String),
            source: expect.stringContaining('github:'),
            release: 'v0.3.0',
          },
        });
      }
      expect(resolvedDependencies.map(({ name }) => name)).toContain('resources.lock.yaml');
      expect(predicate.runDetails.builder.version).toMatchObject({
        'qemu-img': expect.stringMatching(/qemu-img/),
      });
    },
  );
});

/** What RO-Crate 1.1 asks for, as far as it can be seen in a folder. */
function expectCrate(dir: string): Crate {
  const crate: Crate = JSON.parse(readFileSync(join(dir, 'ro-crate-metadata.json'), 'utf8'));
  const graph = crate['@graph'];
  expect(crate['@context'][0]).toBe('https://w3id.org/ro/crate/1.1/context');
  const ids = graph.map((entity) => String(entity['@id']));
  // The graph is flat: each entity once, with a type and an id that is a URI reference, and every reference leads to one.
  expect(new Set(ids).size).toBe(ids.length);
  for (const entity of graph) {
    expect(entity['@type']).toBeDefined();
    const id = String(entity['@id']);
    expect(id).not.toMatch(/[\s"<>\\^`{|}]|%(?![0-9A-F]{2})/);
    for (const [key, value] of Object.entries(entity))
      for (const each of Array.isArray(value) ? value : [value]) {
        if (typeof each !== 'object' || each === null) continue;
        expect(Object.keys(each), `${id} ${key}`).toEqual(['@id']);
        if (key !== 'conformsTo') expect(ids).toContain(each['@id']);
      }
  }
  const descriptor = graph.find((entity) => entity['@id'] === 'ro-crate-metadata.json');
  expect(descriptor).toMatchObject({
    '@type': 'CreativeWork',
    conformsTo: { '@id': 'https://w3id.org/ro/crate/1.1' },
    about: { '@id': './' },
  });
  const root = graph.find((entity) => entity['@id'] === './');
  expect(root).toMatchObject({
    '@type': 'Dataset',
    name: expect.any(String),
    description: expect.any(String),
  });
  expect(root?.license).toBeTruthy();
  expect(String(root?.datePublished)).toMatch(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);
  // All data entities are parts of the root; those that are no URL are there, with the size and sum that is said.
  const parts = new Set(
    (Array.isArray(root?.hasPart) ? root.hasPart : []).map((part) => JSON.stringify(part)),
  );
  for (const entity of graph) {
    const id = String(entity['@id']);
    if (id === './' || (entity['@type'] !== 'File' && entity['@type'] !== 'Dataset')) continue;
    expect(parts).toContain(JSON.stringify({ '@id': id }));
    if (/^https?:/.test(id)) continue;
    const path = join(dir, decodeURIComponent(id));
    expect(statSync(path).isDirectory()).toBe(entity['@type'] === 'Dataset');
    if (entity['@type'] === 'Dataset') {
      expect(id).toMatch(/\/$/);
      continue;
    }
    if (entity.contentSize !== undefined) expect(entity.contentSize).toBe(String(statSync(path).size));
    if (entity.sha256 !== undefined) expect(entity.sha256).toBe(sha256(readFileSync(path)));
  }
  return crate;
}

describe('an export', () => {
  it('is a crate of manifest, provenance and outputs, which stay where they are', async () => {
    const scene = openScene(FILES);
    await scene.built();
    const { work } = scene;
    const before = inode(work.path('resources/out/joined-amd64'));
    const { stdout, stderr, status } = await scene.run(['export', 'crate', 'all', 'inner']);
    expectFailed({ status, stdout, stderr, signal: null, durationMs: 0 }, [/inner is not built/]);
    expect(work.exists('crate')).toBe(false);
    await scene.built(['inner']);
    expect((await scene.run(['export', 'crate', 'all', 'inner', '--format', 'ro-crate'])).status).toBe(0);
    const crate = expectCrate(work.path('crate'));
    expect(
      filesBelow(work.path('crate'))
        .map((path) => path.slice(work.path('crate').length + 1))
        .sort(),
    ).toEqual(
      [
        'more.yaml',
        'outputs/inner/inner',
        'outputs/out/joined-amd64',
        'outputs/tools/bin/run',
        'outputs/tools/link',
        'outputs/tools/read me',
        'provenance/inner.json',
        'provenance/joined.json',
        'provenance/tree.json',
        'resources.yaml',
        'ro-crate-metadata.json',
      ].map((name) => (name === 'outputs/inner/inner' ? expect.stringMatching(/^outputs\/inner\//) : name)),
    );
    expect(work.text('crate/outputs/out/joined-amd64')).toBe('a\nhalf\n');
    expect(inode(work.path('resources/out/joined-amd64'))).toBe(before);
    expect(inode(work.path('crate/outputs/out/joined-amd64'))).not.toBe(before);
    expect(statSync(work.path('crate/outputs/tools/bin/run')).mode & 0o111).not.toBe(0);
    expect(JSON.parse(work.text('crate/provenance/joined.json'))).toEqual(
      await provenanceOf(scene, 'joined'),
    );
    const root = crate['@graph'].find((entity) => entity['@id'] === './');
    expect(root).toMatchObject({ name: 'an experiment', license: expect.stringMatching(/No licence/) });
    const action = crate['@graph'].find((entity) => entity['@id'] === '#build-joined');
    expect(action).toMatchObject({
      '@type': 'CreateAction',
      instrument: [{ '@id': '#res' }],
      result: [{ '@id': 'outputs/out/joined-amd64' }],
    });
    expect(scene.temporaries()).toEqual([]);
    expect((await scene.built()).ran).toEqual([]);
  });

  it('has a licence, and all combinations of params', async () => {
    const scene = openScene(FILES);
    const matrix = ['--matrix', 'arch=amd64,arm64'];
    await scene.built(matrix);
    const license = 'https://creativecommons.org/licenses/by/4.0/';
    expect((await scene.run(['export', 'c', ...matrix, '--license', license])).status).toBe(0);
    const crate = expectCrate(scene.work.path('c'));
    expect(crate['@graph'].find((entity) => entity['@id'] === './')).toMatchObject({
      license: { '@id': license },
    });
    expect(readdirSync(scene.work.path('c/provenance')).sort()).toEqual([
      'joined@arch=amd64.json',
      'joined@arch=arm64.json',
      'tree.json',
    ]);
  });

  it.skipIf(!has('qemu-img', 'mke2fs'))('names what was downloaded by its address', async () => {
    const scene = await openRelease();
    await scene.built(['raw-disk']);
    expect((await scene.run(['export', 'c', 'raw-disk'])).status).toBe(0);
    const crate = expectCrate(scene.work.path('c'));
    const web = crate['@graph'].filter((entity) =>
      /^https?:.*\.qcow2\.tar\.gz\./.test(String(entity['@id'])),
    );
    expect(web).toHaveLength(scene.amd64.parts.length);
    expect(web[0]).toMatchObject({
      '@type': 'File',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      version: 'v0.3.0',
    });
    expect(crate['@graph']).toContainEqual(
      expect.objectContaining({ '@id': '#tool-qemu-img', '@type': 'SoftwareApplication' }),
    );
    // The image is as sparse as it was.
    expect(diskBytes([scene.work.path('c/outputs/disk-image.raw')])).toBeLessThan(8 * 1024 * 1024);
  });

  it('leaves a folder alone that has something in it, and takes an empty one', async () => {
    const scene = openScene({ ...FILES, 'c/mine': 'mine' });
    await scene.built();
    expectFailed(await scene.run(['export', 'c']), [/is there already/], 2);
    expectFailed(await scene.run(['export', 'c/mine']), [/is there already/], 2);
    expect(filesBelow(scene.work.path('c'))).toEqual([scene.work.path('c/mine')]);
    await scene.run(['clean', 'joined']);
  });

  it.each([
    ['a: { path: in/a }', 'a: { url: "https://me:secret@example.org/a" }', /URL of a has a password/],
    [
      'include: [more.yaml]',
      'include: [more.yaml]\nmirrors: [{ from: "https://e.org/", to: ["https://me:pw@e.org/"] }]',
      /mirror/,
    ],
  ])('and a bundle give no secret away', async (from, to, words) => {
    const scene = openScene({ ...FILES, 'resources.yaml': FILES['resources.yaml'].replace(from, to) });
    expectFailed(await scene.run(['export', 'c', 'tree']), [words], 2);
    expectFailed(await scene.run(['bundle', 'b.tar', 'tree']), [words], 2);
    expect(scene.work.exists('c')).toBe(false);
  });
});

/** A machine that has nothing of the first one. */
function elsewhere(file: string): Scene {
  const work = makeWorkspace({});
  atEnd(() => work.remove());
  cpSync(file, work.path('b.tar'));
  return sceneIn(work, { GITHUB_API_URL: 'http://127.0.0.1:9' });
}

describe('a bundle', () => {
  const needsTools = !has('qemu-img', 'mke2fs');

  it.skipIf(needsTools)('is all that a machine without a network needs, for the same digests', async () => {
    const scene = await openRelease();
    await scene.built(['raw-disk', 'client']);
    const packed = await scene.run(['bundle', 'b.tar', 'raw-disk', 'client']);
    expect(packed.status, packed.stderr).toBe(0);
    const digests = async (at: Scene) =>
      [...(await at.status(['raw-disk', 'client'])).values()].map(({ name, outputs }) => [
        name,
        outputs.map(({ digest }) => digest),
      ]);
    const there = await digests(scene);
    const file = scene.work.path('b.tar');
    // Not larger than what is in it, holes left out.
    expect(statSync(file).size).toBeLessThan(9 * 1024 * 1024);
    await scene.server.close();

    const other = elsewhere(file);
    const unpacked = await other.run(['unbundle', 'b.tar']);
    expect(unpacked.status, unpacked.stderr).toBe(0);
    expect(unpacked.stdout).toContain('res build --offline raw-disk client');
    const built = await other.built(['--offline', 'raw-disk', 'client']);
    expect([built.ran, built.restored.toSorted()]).toEqual([[], ['client', 'raw-disk']]);
    expect(await digests(other)).toEqual(there);
    expect(other.work.read('resources/disk-image.raw').equals(readFileSync(scene.amd64.raw))).toBe(true);
    expect(statSync(other.work.path('resources/client')).mode & 0o111).not.toBe(0);
    expect(other.work.text('resources.lock.yaml')).toBe(scene.work.text('resources.lock.yaml'));
    expect(other.temporaries()).toEqual([]);
    expect((await other.run(['verify'])).status).toBe(0);
  });

  it.skipIf(needsTools)('is enough where the program has another version, or is not there', async () => {
    const scene = await openRelease();
    await scene.built(['raw-disk']);
    await scene.run(['bundle', 'b.tgz', 'raw-disk']);
    const other = elsewhere(scene.work.path('b.tgz'));
    expect((await other.run(['unbundle', 'b.tar'])).status).toBe(0);
    const without = await other.built(['--offline', 'raw-disk'], { env: { PATH: '/nonexistent' } });
    expect(without.restored).toEqual(['raw-disk']);
    const qemu = fakeTool();
    atEnd(() => qemu.remove());
    const made = await other.built(['--offline', 'raw-disk'], { env: { PATH: qemu.path } });
    expect(made.ran).toEqual(['raw-disk']);
    expect(other.work.read('resources/disk-image.raw').equals(readFileSync(scene.amd64.raw))).toBe(true);
  });

  it('has files of the workspace, folders, and the params it was packed with', async () => {
    const scene = openScene(FILES);
    await scene.built(['--arch', 'arm64', 'all', 'inner']);
    const packed = await scene.run(['bundle', 'b.tar.gz', 'all', 'inner', '--arch', 'arm64']);
    expect(packed.stdout).toMatch(/^b.tar.gz: 3 objects, 5 files, /);
    const other = elsewhere(scene.work.path('b.tar.gz'));
    const { stdout } = await other.run(['unbundle', 'b.tar', 'deep/er']);
    expect(stdout).toContain('res -C deep/er build --offline --set=arch=arm64 joined tree inner');
    const built = await other.built(['-C', 'deep/er', '--offline', '--set=arch=arm64', 'all', 'inner']);
    expect(built).toMatchObject({ ok: true, ran: [] });
    expect(other.work.text('deep/er/resources/out/joined-arm64')).toBe('a\nhalf\n');
    expect(other.work.text('deep/er/resources/tools/link')).toBe('#!/bin/sh\n');
    expect(statSync(other.work.path('deep/er/resources/tools/bin/run')).mode & 0o111).not.toBe(0);
    // It is a workspace as any other: what is changed is made anew.
    other.work.write('deep/er/in/a', 'b\n');
    expect((await other.built(['-C', 'deep/er', '--offline', '--arch', 'arm64', 'joined'])).ran).toEqual([
      'joined',
    ]);
  });

  it('is the same bytes each time, and of all combinations of params', async () => {
    const scene = openScene(FILES);
    const matrix = ['--matrix', 'arch=amd64,arm64'];
    await scene.built(matrix);
    for (const name of ['1.tar', '2.tar', '1.tgz', '2.tgz'])
      expect((await scene.run(['bundle', name, 'all', ...matrix])).status).toBe(0);
    expect(scene.work.read('1.tar').equals(scene.work.read('2.tar'))).toBe(true);
    expect(scene.work.read('1.tgz').equals(scene.work.read('2.tgz'))).toBe(true);
    const other = elsewhere(scene.work.path('1.tar'));
    await other.run(['unbundle', 'b.tar']);
    const built = await other.built(['--offline', 'all', ...matrix]);
    expect(built.ran).toEqual([]);
    expect(existsSync(other.work.path('resources/out/joined-arm64'))).toBe(true);
  });

  it('goes into a shared store', async () => {
    const scene = openScene(FILES);
    await scene.built();
    await scene.run(['bundle', 'b.tar', 'tree']);
    const other = elsewhere(scene.work.path('b.tar'));
    const env = { RES_STORE: other.work.path('store') };
    expect((await other.run(['unbundle', 'b.tar', 'w'], { env })).status).toBe(0);
    // Another workspace's `gc` finds that they are needed, before there was a build here.
    other.work.write('another/resources.yaml', 'res: 1\nartifacts: {}\n');
    expect((await other.run(['-C', 'another', 'gc'], { env })).status).toBe(0);
    expect((await other.built(['-C', 'w', 'tree', '--offline'], { env })).restored).toEqual(['tree']);
  });

  it('is refused where it cannot be made, and leaves nothing', async () => {
    const scene = openScene(FILES);
    await scene.built();
    const refused = [
      ['b.tar', '', /needs the names of nodes/, 2],
      ['b.zip', 'tree', /ending says/, 2],
      ['b.tar', 'inner', /inner is not built/, 1],
      ['b.tar', 'tre', /no node is called/, 2],
      ['no/b.tar', 'tree', /cannot write/, 1],
    ] as const;
    for (const [file, node, words, status] of refused) {
      const packed = await scene.run(['bundle', file, ...(node === '' ? [] : [node])]);
      expectFailed(packed, [words], status);
    }
    expect(readdirSync(scene.work.dir).filter((name) => name.includes('b.'))).toEqual([]);
  });

  it('replaces no file of another content, and leaves nothing then', async () => {
    const scene = openScene(FILES);
    await scene.built();
    await scene.run(['bundle', 'b.tar', 'tree']);
    const other = elsewhere(scene.work.path('b.tar'));
    other.work.write('w/in/tools.tar', 'mine');
    expectFailed(await other.run(['unbundle', 'b.tar', 'w']), [
      /in\/tools.tar in .* is not what the bundle has/,
    ]);
    expect(filesBelow(other.work.path('w'))).toEqual([other.work.path('w/in/tools.tar')]);
    writeFileSync(other.work.path('w/in/tools.tar'), FILES['in/tools.tar']);
    expect((await other.run(['unbundle', 'b.tar', 'w'])).status).toBe(0);
    expect((await other.run(['unbundle', 'b.tar', 'w'])).status).toBe(0);
  });

  it('of a real image stays small', async () => {
    const dir = join(REPO_ROOT, 'examples/quickstart');
    if (!has('qemu-img')) return;
    const work = makeWorkspace({});
    atEnd(() => work.remove());
    cpSync(dir, work.dir, { recursive: true, filter: (path) => !/\/(?:\.res|resources)$/.test(path) });
    const scene = sceneIn(work, {});
    await scene.built(['raw-disk']);
    await scene.run(['bundle', 'b.tar', 'raw-disk']);
    expect(statSync(work.path('resources/disk-image.raw')).size).toBe(16 * 1024 * 1024);
    expect(statSync(work.path('b.tar')).size).toBeLessThan(2.5 * 1024 * 1024);
  });
});
