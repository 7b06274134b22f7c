// The lock: trust on first use, the same bytes for everyone afterwards, and what a build without network can do.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sha256OfFile } from '../rig/content.js';
import { vswarmRelease } from '../rig/images.js';
import { seededBytes } from '../rig/random.js';
import { has } from '../rig/tools.js';
import { withWitness } from '../rig/witness.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';
import {
  assetsOf,
  dataOf,
  expectDone,
  expectFailed,
  inFolder,
  KERNEL,
  MANIFEST,
  openServer,
  openSite,
  PART,
  PART_SIZE,
  REPO,
  type Site,
} from './site.js';

const LOCK = 'resources.lock.yaml';
const OUTPUT = 'resources/data.bin';

const hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Another machine: the manifest and the lock, and nothing else. */
function clone(site: Site, env = site.env) {
  const work = makeWorkspace({
    'resources.yaml': site.work.text('resources.yaml'),
    [LOCK]: site.work.text(LOCK),
  });
  return { work, ...inFolder(work, env) };
}

/** What changes when a file is written anew, even with the same bytes. */
function fileIdentity(work: Workspace, name: string) {
  const { ino, mtimeNs, ctimeNs } = statSync(work.path(name), { bigint: true });
  return { ino, mtimeNs, ctimeNs };
}

describe('trust on first use', () => {
  it('locks what an API without digests left open: sha256 and size of every file', async () => {
    const site = await openSite({ digests: false });
    expectDone(await site.res('build'));
    const lock = site.work.text(LOCK);
    for (const { name, sha256, size, url } of site.parts()) {
      expect(lock).toContain(
        `      - name: ${name}\n        url: ${url}\n        sha256: ${/[a-df]/.test(sha256) ? sha256 : `"${sha256}"`}\n        size: ${size}\n`,
      );
    }
    expect(lock).toContain('tag: v1');
  });

  it('lets a second machine have the same bytes without asking the API, and checks them', async () => {
    const site = await openSite({ digests: false });
    expectDone(await site.res('build'));
    site.server.reset();
    const other = clone(site, { GITHUB_API_URL: 'http://127.0.0.1:9/' });
    expectDone(await other.res('build --frozen'));
    expect(other.work.read(OUTPUT).equals(site.data)).toBe(true);
    expect(site.server.requests().filter(({ path }) => path.startsWith('/repos/'))).toEqual([]);
    expect(other.work.text(LOCK)).toBe(site.work.text(LOCK));

    await site.release.put(PART, seededBytes('evil', PART_SIZE));
    const third = clone(site);
    expectFailed(await third.res('build'), [/failed: parts: .*wrong checksum/, /res update parts/]);
    expect(third.work.exists(OUTPUT)).toBe(false);
    expect(third.work.text(LOCK)).toBe(site.work.text(LOCK));
  });

  it('is not written into the lock for content that was refused', async () => {
    const site = await openSite({ digests: false });
    site.work.write(
      'resources.yaml',
      `res: 1\nartifacts:\n  kernel:\n    github: { repo: ${REPO}, release: v1, asset: vmlinux }\n    output: kernel\n    verify: { sha256: ${'a'.repeat(64)} }\ndefault: [kernel]\n`,
    );
    expectFailed(await site.res('build'), [
      /kernel: the content does not have the published checksum/,
      hex(KERNEL),
      'a'.repeat(64),
    ]);
    expect(site.work.exists('resources/kernel')).toBe(false);
    expect(site.work.text(LOCK)).not.toContain('sha256');
  });
});

describe('content that is not what the lock holds', () => {
  it('is an error that names both sums and `res update`; after that it is taken', async () => {
    const site = await openSite();
    expectDone(await site.res('build kernel'));
    const now = seededBytes('kernel 2', KERNEL.length);
    await site.release.put('vmlinux', now);
    expectDone(await site.res('clean --all'));
    const before = site.work.text(LOCK);

    expectFailed(await site.res('build kernel'), [
      /failed: kernel: .*wrong checksum/,
      `expected sha256 ${hex(KERNEL)}`,
      `actual   sha256 ${hex(now)}`,
      /hint: .*res update kernel/,
    ]);
    expect(site.work.exists('resources/kernel')).toBe(false);
    expect(site.work.text(LOCK)).toBe(before);

    const update = await site.res('update kernel');
    expectDone(update);
    expect(update.stdout).toMatch(
      new RegExp(`vmlinux sha256:${hex(KERNEL).slice(0, 8)}… -> sha256:${hex(now).slice(0, 8)}…`),
    );
    expectDone(await site.res('build kernel'));
    expect(site.work.read('resources/kernel').equals(now)).toBe(true);
  });
});

describe('the lock file', () => {
  it('stays the same file, to the inode, while nothing in it is new', async () => {
    const site = await openSite({ digests: false });
    expectDone(await site.res('build data kernel'));
    const text = site.work.text(LOCK);
    const identity = fileIdentity(site.work, LOCK);
    expectDone(await site.res('build data kernel'));
    expectDone(await site.res('clean --all'));
    expectDone(await site.res('build data kernel'));
    expectDone(await site.res('build -B data kernel'));
    expectDone(await site.res('update data kernel'));
    expect(site.work.text(LOCK)).toBe(text);
    expect(fileIdentity(site.work, LOCK)).toEqual(identity);
  });

  it('keeps a comment or another order that somebody gave it, as long as it says the same', async () => {
    const site = await openSite();
    expectDone(await site.res('build data'));
    site.work.write(LOCK, `# our lab\n${site.work.text(LOCK)}`);
    expectDone(await site.res('clean --all'));
    expectDone(await site.res('build data'));
    expect(site.work.text(LOCK)).toMatch(/^# our lab\n/);
  });

  it('holds all variants that were ever built', async () => {
    const server = await openServer();
    const assets = (arch: string) => ({
      [`vmlinux-${arch}`]: seededBytes(arch, 5000),
      [`client-${arch}`]: seededBytes(`c ${arch}`, 500),
    });
    await server.release(REPO, 'v1', { ...assets('amd64'), ...assets('arm64') });
    const work = makeWorkspace(
      `res: 1\nparams:\n  arch: { default: amd64, enum: [amd64, arm64] }\nartifacts:\n  kernel: { github: { repo: ${REPO}, release: v1, asset: "vmlinux-\${arch}" }, output: kernel }\n  client: { github: { repo: ${REPO}, release: v1, asset: "client-\${arch}" }, output: client }\ndefault: [kernel, client]\n`,
    );
    const { res } = inFolder(work, { GITHUB_API_URL: server.apiUrl });
    expectDone(await res('build'));
    expectDone(await res('build --arch arm64'));
    expect(work.read('resources/kernel').equals(seededBytes('arm64', 5000))).toBe(true);
    const sources = [...work.text(LOCK).matchAll(/^ {2}(github:.*):$/gm)].map(([, source]) => source);
    const expected = ['client-amd64', 'client-arm64', 'vmlinux-amd64', 'vmlinux-arm64'].map(
      (asset) => `github:${REPO}@v1/${asset}`,
    );
    expect(sources).toEqual(expected);
    server.reset();
    expectDone(await res('build --frozen --offline'));
    expect(work.read('resources/kernel').equals(seededBytes('amd64', 5000))).toBe(true);
    expect(server.connections).toBe(0);
  });

  it.each([
    [
      'a merge conflict',
      (lock: string) =>
        lock.replace('    tag: v1\n', '<<<<<<< ours\n    tag: v1\n=======\n    tag: v2\n>>>>>>> theirs\n'),
      /resources\.lock\.yaml:5:1: error: .*merge conflict/,
      /marker/,
    ],
    [
      'a torn line',
      (lock: string) => lock.slice(0, lock.indexOf('url: ') + 2),
      /resources\.lock\.yaml:\d+:\d+: error/,
      /version control/,
    ],
    [
      'another field',
      (lock: string) => lock.replace('    tag: v1\n', '    tug: v1\n'),
      /resources\.lock\.yaml:5:5: error: .*tug/,
      /tag|version control/,
    ],
    [
      'a digest that is none',
      (lock: string) => lock.replace(/sha256: .*/, 'sha256: 12ab'),
      /resources\.lock\.yaml:\d+:\d+: error/,
      /version control/,
    ],
    ['emptiness', () => '', /resources\.lock\.yaml:1:1: error: .*empty/, /version control/],
    ['bytes that are no text', () => '\0\0\0', /resources\.lock\.yaml:1:1: error/, /version control/],
    [
      'a format of the future',
      (lock: string) => lock.replace('lock: 1', 'lock: 2'),
      /resources\.lock\.yaml:2:7: error/,
      /version control|newer/,
    ],
  ])(
    'damaged by %s stops everything with the place, and is left as it is',
    async (_what, damage, place, hint) => {
      const site = await openSite();
      expectDone(await site.res('build'));
      const damaged = damage(site.work.text(LOCK));
      site.work.write(LOCK, damaged);
      site.server.reset();
      for (const command of ['build', 'plan', 'status', 'update'])
        expectFailed(await site.res(command), [place, hint], 2);
      expect(site.work.text(LOCK)).toBe(damaged);
      expect(site.server.connections).toBe(0);
    },
  );
});

describe('--frozen', () => {
  it('refuses a source that is not locked, before any request, naming node and source', async () => {
    const site = await openSite();
    expectFailed(await site.res('build --frozen'), [
      /parts: the lock has no entry for github:lab\/images@v1\/data\.bin\.\*/,
      /hint: .*without --frozen/,
    ]);
    expect(site.server.connections).toBe(0);
    expect(site.work.exists(LOCK)).toBe(false);
  });

  it('refuses an entry that lacks a digest', async () => {
    const site = await openSite({ digests: false });
    site.server.faultAlways(site.part(), { status: 404 });
    expectFailed(await site.res('build'), ['failed: parts']);
    site.server.reset();
    expectFailed(await site.res('build --frozen'), [/parts: the lock has an incomplete entry/]);
    expect(site.server.connections).toBe(0);
  });

  it('refuses an entry for another version than the manifest asks for now', async () => {
    const site = await openSite();
    await site.server.release(REPO, 'v2', assetsOf('v2'));
    expectDone(await site.res('build'));
    site.server.reset();
    expectFailed(await site.res('build --frozen --version v2'), [/no entry for github:lab\/images@v2/]);
    expect(site.server.connections).toBe(0);
  });

  it('refuses pins that contradict the lock', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const manifest = (pin: string) =>
      `res: 1\nartifacts:\n  tool: { url: "${file.url}"${pin}, output: tool }\ndefault: [tool]\n`;
    const work = makeWorkspace(manifest(''));
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    work.write('resources.yaml', manifest(`, sha256: ${'b'.repeat(64)}`));
    expectFailed(await res('build --frozen'), [
      /tool: the manifest pins other content for tool than the lock holds/,
      /resources\.yaml:3:\d+/,
      /res update tool/,
    ]);
    expect(work.read('resources/tool').equals(KERNEL)).toBe(true);
  });

  it('works with a full lock, and leaves it alone', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    const other = clone(site);
    const identity = fileIdentity(other.work, LOCK);
    expectDone(await other.res('build --frozen'));
    expect(other.work.read(OUTPUT).equals(site.data)).toBe(true);
    expect(fileIdentity(other.work, LOCK)).toEqual(identity);
  });
});

describe('--offline', () => {
  it('does everything that needs no byte from outside, and opens no connection', async () => {
    const site = await openSite();
    expectDone(await site.res('build parts kernel'));
    const witness = withWitness();
    const run = await site.res('build --offline', witness.env);
    expectDone(run);
    expect(site.work.read(OUTPUT).equals(site.data)).toBe(true);
    const { connections, lookups } = witness.testimony();
    expect({ connections, lookups }).toEqual({ connections: [], lookups: [] });
  });

  it.each([
    ['when the source is not even locked', false],
    ['when the bytes are missing', true],
  ])('stops before any work, naming the node, %s', async (_when, locked) => {
    const site = await openSite();
    if (locked) {
      expectDone(await site.res('build data kernel'));
      expectDone(await site.res('clean --all'));
    }
    const witness = withWitness();
    const run = await site.res('build --offline', witness.env);
    expectFailed(run, [/error: parts: .*--offline/, /hint: .*without --offline/]);
    const { connections, lookups } = witness.testimony();
    expect({ connections, lookups }).toEqual({ connections: [], lookups: [] });
    expect(run.stderr).not.toMatch(/downloading/);
    expect(site.work.exists('resources')).toBe(false);
  });

  it('refuses `update`, which is about asking', async () => {
    const site = await openSite();
    expectFailed(await site.res('update --offline'), [/--offline/]);
    expect(site.server.connections).toBe(0);
  });

  it('lets `plan` say what is not known', async () => {
    const site = await openSite();
    const run = await site.res('plan --offline');
    expectDone(run);
    expect(run.stdout).toMatch(/parts/);
    expect(site.server.connections).toBe(0);
  });
});

describe.skipIf(!has('qemu-img', 'mke2fs', 'tar', 'split'))(
  'a published sum that does not agree with the image',
  () => {
    const manifest = `res: 1
artifacts:
  disk-parts: { github: { repo: ${REPO}, release: v1, asset: "disk-image-focal-amd64.qcow2.tar.gz.*" } }
  disk-sums: { github: { repo: ${REPO}, release: v1, asset: disk-image-focal-amd64.qcow2.sums } }
targets:
  merged: { merge: disk-parts }
  qcow2: { extract: merged, member: "**/disk-image.qcow2", verify: { sums: disk-sums }, output: disk-image.qcow2 }
  raw-disk: { convert: qcow2, to: raw, output: disk-image.raw }
default: [raw-disk]
`;

    it('stops the build with both sums, until the publisher has mended it', async () => {
      const image = await vswarmRelease();
      const server = await openServer();
      const wrong = 'f'.repeat(64);
      const release = await server.release(REPO, 'v1', {
        ...image.assets,
        [image.sums]: Buffer.from(`${wrong}  temp/disk-image.qcow2\n`),
      });
      const work = makeWorkspace(manifest);
      const { res } = inFolder(work, { GITHUB_API_URL: server.apiUrl });
      const right = await sha256OfFile(image.qcow2);

      for (const _again of [1, 2]) {
        expectFailed(await res('build'), [
          /failed: qcow2: .*published checksum/,
          right,
          wrong,
          /disk-sums for temp\/disk-image\.qcow2/,
          /raw-disk: skipped/,
        ]);
        expect(work.exists('resources/disk-image.qcow2')).toBe(false);
        expect(work.exists('resources/disk-image.raw')).toBe(false);
      }

      await release.put(image.sums, Buffer.from(`${right}  temp/disk-image.qcow2\n`));
      // The lock still holds the bad list, so that nothing changes by itself.
      expectFailed(await res('build'), [/failed: qcow2/]);
      expectDone(await res('update'));
      server.reset();
      expectDone(await res('build'));
      expect(work.read('resources/disk-image.raw').equals(readFileSync(image.raw))).toBe(true);
      // The parts were right all along: they are not fetched again.
      expect(server.requests().filter(({ path }) => path.includes('.tar.gz.'))).toEqual([]);
    });
  },
);

describe('releases that move on', () => {
  it('`latest` stays what it was locked to until `res update`, which says what changed', async () => {
    const site = await openSite({ manifest: MANIFEST.replace('default: v1', 'default: latest') });
    expectDone(await site.res('build'));
    expect(site.work.text(LOCK)).toMatch(/github:lab\/images@latest\/data\.bin\.\*"?:\n {4}tag: v1\n/);
    const next = assetsOf('v2');
    await site.server.release(REPO, 'v2', next);
    site.server.reset();

    const again = await site.res('build');
    expectDone(again);
    expect(again.stdout).toBe('up to date\n');
    expect(site.server.connections).toBe(0);
    expect(clone(site).work.text(LOCK)).toContain('tag: v1');
    const other = clone(site);
    expectDone(await other.res('build'));
    expect(other.work.read(OUTPUT).equals(site.data)).toBe(true);

    const update = await site.res('update');
    expectDone(update);
    expect(update.stdout).toMatch(/changed {3}github:lab\/images@latest\/data\.bin\.\*\n {10}tag v1 -> v2\n/);
    expect(update.stdout).toMatch(/data\.bin\.aa sha256:[0-9a-f]{8}… -> sha256:[0-9a-f]{8}…/);
    expectDone(await site.res('build'));
    expect(site.work.read(OUTPUT).equals(dataOf(next))).toBe(true);
  });

  it('with the same bytes under a new tag costs no download and no work', async () => {
    const site = await openSite({ manifest: MANIFEST.replace('default: v1', 'default: latest') });
    expectDone(await site.res('build'));
    await site.server.release(REPO, 'v2', assetsOf('v1'));
    expectDone(await site.res('update'));
    expect(site.work.text(LOCK)).toContain('tag: v2');
    site.server.reset();
    const run = await site.res('build');
    expectDone(run);
    expect(run.stdout).toBe('up to date\n');
    expect(site.server.connections).toBe(0);
  });
});

describe('a pin in the manifest', () => {
  it('gets into the lock only with the content that it holds for: a slip in it can be corrected', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const manifest = (pin: string) =>
      `res: 1\nartifacts:\n  tool: { url: "${file.url}", sha256: ${pin}, output: tool }\ndefault: [tool]\n`;
    const work = makeWorkspace(manifest('e'.repeat(64)));
    const { res } = inFolder(work, {});
    expectFailed(await res('build'), [/wrong checksum/]);
    expect(work.text(LOCK)).not.toContain('e'.repeat(64));
    work.write('resources.yaml', manifest(file.sha256));
    expectDone(await res('build'));
    expect(work.text(LOCK)).toContain(file.sha256);
    expectDone(await res('build --frozen'));
  });

  it('is enough for --frozen where the content was at hand already', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const manifest = (query: string) =>
      `res: 1\nartifacts:\n  tool: { url: "${file.url}${query}", sha256: ${file.sha256}, size: ${file.size}, output: tool }\ndefault: [tool]\n`;
    const work = makeWorkspace(manifest(''));
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    work.write('resources.yaml', manifest('?v=2'));
    expectFailed(await res('build --frozen'), [/the lock has no entry for url:.*\?v=2/]);
    expectDone(await res('build'));
    expectDone(await res('build --frozen'));
  });
});

describe('`verify` of an artifact', () => {
  const verified = (kind: string, sha256: string) =>
    `res: 1\nartifacts:\n  tool: { ${kind}, verify: { sha256: ${sha256} }${kind.startsWith('path') ? '' : ', output: tool'} }\ndefault: [tool]\n`;

  it('holds for content that was fetched before it was asked for', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const work = makeWorkspace(verified(`url: "${file.url}"`, file.sha256));
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    work.write('resources.yaml', verified(`url: "${file.url}"`, 'a'.repeat(64)));
    expectFailed(await res('build'), [
      /error: tool: tool does not have the checksum that `verify` asks for/,
      file.sha256,
      'a'.repeat(64),
      /resources\.yaml:3:/,
    ]);
  });

  it('holds for files of the workspace', async () => {
    const work = makeWorkspace({
      'resources.yaml': verified('path: tool.bin', 'a'.repeat(64)),
      'tool.bin': KERNEL,
    });
    const { res } = inFolder(work, {});
    expectFailed(await res('build'), [/error: tool: tool\.bin does not have the checksum/, hex(KERNEL)]);
    expect(work.exists('resources')).toBe(false);
    work.write('resources.yaml', verified('path: tool.bin', hex(KERNEL)));
    expectDone(await res('build'));
  });

  it('stops before the download when the publisher says another sum', async () => {
    const site = await openSite({
      manifest: verified(`github: { repo: ${REPO}, release: v1, asset: vmlinux }`, 'a'.repeat(64)),
    });
    expectFailed(await site.res('build'), [/error: tool: vmlinux does not have the checksum/]);
    expect(site.server.requests().filter(({ path }) => !path.startsWith('/repos/'))).toEqual([]);
  });
});
