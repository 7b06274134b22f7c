// `res update`: only what was asked for, only what changed, and nothing when it fails.
import { describe, expect, it } from 'vitest';
import { seededBytes } from '../rig/random.js';
import { makeWorkspace } from '../rig/workspace.js';
import {
  API_RELEASES,
  expectDone,
  expectFailed,
  inFolder,
  KERNEL,
  openServer,
  openSite,
  PART,
  PART_SIZE,
  REPO,
} from './site.js';

const LOCK = 'resources.lock.yaml';

async function urlSite() {
  const server = await openServer();
  const file = await server.file('table.csv', Buffer.from('one\n'));
  const other = await server.file('other.csv', Buffer.from('other\n'));
  const work = makeWorkspace(
    `res: 1\nartifacts:\n  table: { url: "${file.url}", output: table.csv }\n  other: { url: "${other.url}", output: other.csv }\ndefault: [table, other]\n`,
  );
  return { server, file, other, work, ...inFolder(work, {}) };
}

describe('update', () => {
  it('says that nothing changed, and leaves outputs alone', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    const run = await site.res('update');
    expectDone(run);
    expect(run.stdout).toBe('1 source asked, nothing changed\n');
    expect((await site.res('build')).stdout).toBe('up to date\n');
  });

  it('finds that the content of a `url` changed, and the next build takes it', async () => {
    const { server, work, file, res } = await urlSite();
    expectDone(await res('build'));
    await server.file('table.csv', Buffer.from('two\n'));
    expect((await res('build')).stdout).toBe('up to date\n');
    expect(work.text('resources/table.csv')).toBe('one\n');

    const run = await res('update');
    expectDone(run);
    expect(run.stdout).toMatch(
      new RegExp(`changed {3}url:${file.url}\n {10}table\\.csv sha256:[0-9a-f]{8}… -> sha256:[0-9a-f]{8}…\n`),
    );
    expect(run.stdout).toMatch(/1 source of 2 changed in the lock, 1 unchanged/);
    expect(run.stdout).not.toContain('other.csv');
    expectDone(await res('build'));
    expect(work.text('resources/table.csv')).toBe('two\n');
  });

  it('asks for the named node only', async () => {
    const { server, work, file, other, res } = await urlSite();
    expectDone(await res('build'));
    await server.file('table.csv', Buffer.from('two\n'));
    await server.file('other.csv', Buffer.from('other two\n'));
    server.reset();
    const before = work.text(LOCK);
    expectDone(await res('update other'));
    expect(server.requests(file)).toEqual([]);
    expect(server.requests(other)).toHaveLength(1);
    const entryOf = (lock: string, url: string) =>
      lock.slice(lock.indexOf(`url:${url}`)).split(/\n {2}\S/)[0];
    expect(entryOf(work.text(LOCK), file.url)).toBe(entryOf(before, file.url));
    expect(entryOf(work.text(LOCK), other.url)).not.toBe(entryOf(before, other.url));
    expectDone(await res('build'));
    expect([work.text('resources/table.csv'), work.text('resources/other.csv')]).toEqual([
      'one\n',
      'other two\n',
    ]);
  });

  it('names parts that came and went', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    await site.release.put('data.bin.ae', seededBytes('new', 100));
    await site.release.put(PART, seededBytes('changed', PART_SIZE));
    const added = await site.res('update data');
    expect(added.stdout).toMatch(/data\.bin\.ae is new/);
    expect(added.stdout).toMatch(/data\.bin\.ab sha256:/);
    expect(added.stdout).not.toMatch(/data\.bin\.aa/);
    site.server.reset();
    expectDone(await site.res('build'));
    // The other three parts are held already.
    expect(site.server.bytesSent()).toBe(PART_SIZE + 100);
    expect(site.work.read('resources/data.bin')).toHaveLength(4 * PART_SIZE + 100);
    site.release.remove('data.bin.ae');
    expect((await site.res('update data')).stdout).toMatch(/data\.bin\.ae is gone/);
  });

  it('changes nothing when one of the sources cannot be asked', async () => {
    const { server, work, file, other, res } = await urlSite();
    expectDone(await res('build'));
    const lock = work.text(LOCK);
    await server.file('table.csv', Buffer.from('two\n'));
    server.faultAlways(other, { status: 404 });
    expectFailed(await res('update'), [/other\.csv: not found/]);
    expect(work.text(LOCK)).toBe(lock);
    expect(server.requests(file).length).toBeGreaterThan(0);
    expect((await res('build')).stdout).toBe('up to date\n');
  });

  it('puts no pin into the lock that the content does not bear out', async () => {
    const { work, file, res } = await urlSite();
    const pinned = (sha256: string) =>
      work.write(
        'resources.yaml',
        `res: 1\nartifacts:\n  table: { url: "${file.url}", sha256: ${sha256}, size: 4, output: table.csv }\n`,
      );
    pinned('a'.repeat(64));
    expectFailed(await res('update'), [/checksum/]);
    expect(work.exists(LOCK) && work.text(LOCK).includes('a'.repeat(64))).toBe(false);
    pinned(file.sha256);
    expectDone(await res('update'));
    expect(work.text(LOCK)).toContain(file.sha256);
  });

  it('locks sources that were never built, for a first `--frozen` build', async () => {
    const site = await openSite({ digests: false });
    const run = await site.res('update data kernel');
    expectDone(run);
    expect(run.stdout).toMatch(/added {5}github:lab\/images@v1\/data\.bin\.\*/);
    site.server.reset();
    expectDone(await site.res('build --frozen data kernel'));
    expect(site.work.read('resources/kernel').equals(KERNEL)).toBe(true);
    // What the update had to fetch to know its sum is not fetched again.
    expect(site.server.requests()).toEqual([]);
  });

  it('is the same in JSON', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    await site.release.put(PART, seededBytes('changed', PART_SIZE));
    const run = await site.res('update --json');
    expectDone(run);
    expect(JSON.parse(run.stdout)).toEqual({
      sources: [
        {
          source: `github:${REPO}@v1/data.bin.*`,
          change: 'changed',
          details: [expect.stringMatching(/^data\.bin\.ab sha256:[0-9a-f]{8}… -> sha256:[0-9a-f]{8}…$/)],
        },
      ],
    });
  });

  it('drops what it replaced only from the lock: going back costs no download', async () => {
    const site = await openSite();
    expectDone(await site.res('build kernel'));
    const asset = await site.release.put('vmlinux', seededBytes('kernel 2', 1000));
    expectDone(await site.res('update kernel'));
    expectDone(await site.res('build kernel'));
    expect(site.work.read('resources/kernel')).toHaveLength(asset.size);
    await site.release.put('vmlinux', KERNEL);
    expectDone(await site.res('update kernel'));
    site.server.reset();
    expectDone(await site.res('build kernel'));
    expect(site.work.read('resources/kernel').equals(KERNEL)).toBe(true);
    expect(site.server.requests()).toEqual([]);
  });

  it('asks the API once for several artifacts of one release', async () => {
    const site = await openSite();
    expectDone(await site.res('update data kernel'));
    expect(site.server.requests().map(({ path }) => path)).toEqual([`${API_RELEASES}/tags/v1`]);
  });

  it('fetches no more at once than a build does', async () => {
    const site = await openSite({ digests: false, storage: 'none' });
    site.work.write('resources.yaml', `${site.work.text('resources.yaml')}pools: { network: 1 }\n`);
    const frees: (() => void)[] = [];
    for (const part of site.parts()) {
      const until = new Promise<void>((resolve) => frees.push(resolve));
      site.server.fault(part, { stall: { after: 10, until } });
    }
    const run = site.start('update data');
    for (const [i, part] of site.parts().entries()) {
      await site.server.until(({ path, state }) => path === part.contentPath && state === 'stalled');
      expect(site.server.requests().filter(({ path }) => path.includes('/download/'))).toHaveLength(i + 1);
      frees[i]?.();
    }
    expectDone(await run.result);
  });

  it.each(['update', 'build'])(
    'of an API that does not answer ends with 130 at once when interrupted (%s)',
    async (command) => {
      const site = await openSite();
      site.server.faultAlways(`${API_RELEASES}/tags/v1`, { answer: 'never' });
      const run = site.start(command);
      await site.server.until(({ state }) => state === 'stalled');
      run.signal('SIGINT');
      const { status, stderr } = await run.result;
      expect(status, stderr).toBe(130);
      expect(site.work.exists(LOCK)).toBe(false);
    },
  );
});
