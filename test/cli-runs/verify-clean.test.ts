// `res verify` finds every byte that is not as recorded; `res clean` removes what res made and nothing else.
import { closeSync, openSync, readdirSync, readSync, statSync, utimesSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeWorkspace } from '../rig/workspace.js';
import { expectDone, expectFailed, filesBelow, inFolder, openSite, type Site } from './site.js';

/** Inverts a byte in the middle and keeps size and modification time: what a bad disk does. */
function flip(path: string, at = Math.floor(statSync(path).size / 2)): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  writeSync(file, Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, at);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

async function builtSite(): Promise<Site> {
  const site = await openSite();
  expectDone(await site.res('build data kernel'));
  return site;
}

function objectFor(site: Site, sha256: string): string {
  const found = filesBelow(site.work.path('.res', 'store')).find((path) => path.includes(sha256));
  if (found === undefined) throw new Error(`no object ${sha256}`);
  return found;
}

describe('verify', () => {
  it('of a sound workspace says how much it read, and asks nobody', async () => {
    const site = await builtSite();
    site.server.reset();
    const run = await site.res('verify data kernel');
    expectDone(run);
    expect(run.stdout).toBe('6 files checked, 7.8 MiB: all as recorded\n');
    expect(site.server.connections).toBe(0);
  });

  it('names an output in which one byte was flipped, and changes nothing', async () => {
    const site = await builtSite();
    flip(site.work.path('resources/kernel'));
    const before = site.work.read('resources/kernel');
    const run = await site.res('verify data kernel');
    expectFailed(run, []);
    expect(run.stdout).toMatch(
      /modified resources\/kernel \(kernel, output\)\n {9}expected sha256:[0-9a-f]{64}\n {9}found {4}sha256:[0-9a-f]{64}\n/,
    );
    expect(run.stdout).toMatch(/6 files checked, .*: 1 not as recorded/);
    expect(site.work.read('resources/kernel').equals(before)).toBe(true);
    const status: unknown = JSON.parse((await site.res('status data kernel --json')).stdout);
    expect(status).toMatchObject({
      summary: { modified: 1 },
      nodes: expect.arrayContaining([expect.objectContaining({ name: 'kernel', state: 'modified' })]),
    });
    // A changed output is the user's until he says otherwise.
    expectFailed(await site.res('build kernel'), [/resources\/kernel was changed by hand/, /--overwrite/]);
    expectDone(await site.res('build kernel --overwrite'));
    expectDone(await site.res('verify kernel data'));
  });

  it('names a large output in which the last byte was flipped', async () => {
    const site = await openSite({
      manifest: `res: 1\nartifacts:\n  parts: { github: { repo: lab/images, release: v1, asset: "data.bin.*" } }\ntargets:\n  data: { merge: [parts, parts], output: data.bin }\ndefault: [data]\n`,
    });
    expectDone(await site.res('build'));
    const path = site.work.path('resources/data.bin');
    expect(statSync(path).size).toBe(8_000_000);
    flip(path, 7_999_999);
    const run = await site.res('verify');
    expectFailed(run, []);
    expect(run.stdout).toMatch(/modified resources\/data\.bin .*\n.*expected tree:/);
  });

  it('names an object of the store in which one byte was flipped', async () => {
    const site = await builtSite();
    const object = objectFor(site, site.part().sha256);
    flip(object);
    const run = await site.res('verify');
    expectFailed(run, []);
    expect(run.stdout).toContain(`damaged  ${object.slice(site.work.dir.length + 1)}`);
    expect(run.stdout).toContain('hint: `res verify --repair` mends what is damaged or missing.');
    expect(run.stdout).toMatch(/1 not as recorded/);
  });

  it('names an output that is gone', async () => {
    const site = await builtSite();
    const { rmSync } = await import('node:fs');
    rmSync(site.work.path('resources/kernel'));
    const run = await site.res('verify kernel');
    expectFailed(run, []);
    expect(run.stdout).toMatch(/missing {2}resources\/kernel \(kernel, output\)/);
  });

  it('tells the same in JSON', async () => {
    const site = await builtSite();
    flip(site.work.path('resources/kernel'));
    const run = await site.res('verify kernel --json');
    expect(run.status).toBe(1);
    const report: unknown = JSON.parse(run.stdout);
    expect(report).toMatchObject({ ok: false, bytes: 4_200_000 });
    expect(report).toHaveProperty('checked.length', 5);
    expect(report).toHaveProperty('checked.0', {
      path: site.work.path('resources/kernel'),
      place: 'output',
      node: 'kernel',
      state: 'mismatch',
      change: 'modified',
      expected: `sha256:${site.release.asset('vmlinux').sha256}`,
      actual: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      size: 200_000,
    });
    expect(report).toHaveProperty('checked.1', expect.objectContaining({ place: 'store', state: 'ok' }));
  });

  it('of a workspace in which nothing was built has nothing to say', async () => {
    const site = await openSite();
    const run = await site.res('verify');
    expectDone(run);
    expect(run.stdout).toMatch(/0 files checked/);
  });
});

describe('clean', () => {
  it('removes outputs, keeps the store: the next build restores without a request', async () => {
    const site = await builtSite();
    const run = await site.res('clean');
    expectDone(run);
    expect(run.stdout).toMatch(/removed resources\/data\.bin \(3\.8 MiB\)/);
    expect(run.stdout).toMatch(/2 files removed, 4\.0 MiB freed/);
    // The folder was res's own too.
    expect(site.work.exists('resources')).toBe(false);
    site.server.reset();
    expectDone(await site.res('build data'));
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    expect(site.server.requests()).toEqual([]);
  });

  it('keeps a foreign file beside the outputs, and its folder', async () => {
    const site = await builtSite();
    site.work.write('resources/notes.txt', 'mine');
    expectDone(await site.res('clean --all --force'));
    expect(readdirSync(site.work.path('resources'))).toEqual(['notes.txt']);
  });

  it('keeps an output that was changed, until --force', async () => {
    const site = await builtSite();
    site.work.write('resources/kernel', 'mine now');
    const run = await site.res('clean');
    expectDone(run);
    expect(run.stdout).toMatch(/kept resources\/kernel: changed by hand; --force removes it/);
    expect(site.work.text('resources/kernel')).toBe('mine now');
    expect(site.work.exists('resources/data.bin')).toBe(false);
    expectDone(await site.res('clean --force'));
    expect(site.work.exists('resources')).toBe(false);
  });

  it('of one node removes its output, of a group those of its members, and none of what they are made of', async () => {
    const work = makeWorkspace({
      'resources.yaml':
        'res: 1\nartifacts: { notes: { path: n } }\ntargets:\n  a: { copy: notes, output: a }\n  b: { copy: a, output: b }\n  c: { copy: b, output: c }\n  both: { group: [b, c] }\n',
      n: 'notes\n',
    });
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    expectDone(await res('clean b'));
    expect(readdirSync(work.path('resources')).sort()).toEqual(['a', 'c']);
    expectDone(await res('build'));
    expectDone(await res('clean both'));
    expect(readdirSync(work.path('resources'))).toEqual(['a']);
  });

  it('removes outputs of a variant that is not the present one', async () => {
    const site = await openSite({
      manifest: `res: 1\nparams:\n  as: { default: a }\nartifacts:\n  kernel: { github: { repo: lab/images, release: v1, asset: vmlinux }, output: "\${as}/kernel" }\ndefault: [kernel]\n`,
    });
    expectDone(await site.res('build --as x'));
    expectDone(await site.res('clean'));
    // Nor the folders that nothing else is in.
    expect(site.work.exists('resources')).toBe(false);
  });

  it('--all empties the store, partial downloads, logs and caches', async () => {
    const site = await builtSite();
    const run = await site.res('clean --all --json');
    expectDone(run);
    const report: unknown = JSON.parse(run.stdout);
    expect(report).toMatchObject({ kept: [], freed_bytes: 2 * 4_000_000 + 200_000 });
    for (const folder of ['store', 'partial', 'logs', 'cache']) {
      if (site.work.exists(`.res/${folder}`)) expect(filesBelow(site.work.path('.res', folder))).toEqual([]);
    }
    site.server.reset();
    expectDone(await site.res('build data'));
    expect(site.server.bytesSent()).toBe(4_000_000);
  });

  it('--all leaves a store alone that lies outside and may be shared', async () => {
    const shared = makeWorkspace();
    const site = await openSite({ env: { RES_STORE: shared.dir } });
    expectDone(await site.res('build data'));
    const objects = filesBelow(shared.dir);
    expect(objects.length).toBeGreaterThanOrEqual(4);
    expectDone(await site.res('clean --all'));
    expect(filesBelow(shared.dir)).toEqual(objects);
  });

  it('where nothing was built finds nothing to remove', async () => {
    const site = await openSite();
    const run = await site.res('clean');
    expectDone(run);
    expect(run.stdout).toBe('nothing to remove\n');
  });

  it('of an unknown node is a mistake', async () => {
    const work = makeWorkspace('res: 1\nartifacts:\n  kernel: { path: k }\n');
    expectFailed(await inFolder(work, {}).res('clean kernle'), [/kernle/, /did you mean `kernel`/i], 2);
  });
});
