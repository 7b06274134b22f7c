// Other ways to the same bytes: mirrors, further addresses, proxies, pins, files of this machine.
import { describe, expect, it } from 'vitest';
import { type ForwardProxy, startProxy } from '../rig/proxy.js';
import { seededBytes } from '../rig/random.js';
import { withWitness } from '../rig/witness.js';
import { makeWorkspace } from '../rig/workspace.js';
import {
  expectDone,
  expectFailed,
  filesWith,
  inFolder,
  KERNEL,
  MANIFEST,
  openServer,
  openSite,
  type Site,
} from './site.js';

const sha256Of = async (bytes: Buffer) =>
  (await import('node:crypto')).createHash('sha256').update(bytes).digest('hex');

/** One artifact `tool` with output `tool`. */
const toolManifest = (recipe: string, rest = '') =>
  `res: 1\nartifacts:\n  tool: { ${recipe}, output: tool }\ndefault: [tool]\n${rest}`;

async function withProxy<T>(
  credentials: string | undefined,
  work: (proxy: ForwardProxy) => Promise<T>,
): Promise<T> {
  const proxy = await startProxy(credentials === undefined ? {} : { credentials });
  try {
    return await work(proxy);
  } finally {
    await proxy.close();
  }
}

/** A server that has the site's parts under /files/mirror/, as a copy of its downloads. */
async function mirrorOf(site: Site) {
  const mirror = await openServer();
  for (const part of site.parts()) {
    const at = site.parts().indexOf(part) * part.size;
    await mirror.file(`mirror${part.downloadPath}`, site.data.subarray(at, at + part.size));
  }
  const prefix = `${mirror.url}/files/mirror`;
  const served = () => mirror.requests().filter(({ status }) => status === 200).length;
  return { mirror, prefix, served };
}

describe('mirrors', () => {
  it.each(['the manifest', 'RES_MIRRORS'])('of %s are taken before the address itself', async (where) => {
    const site = await openSite({ storage: 'none' });
    const { prefix, served } = await mirrorOf(site);
    // The rig writes / in a name as it stands, and so does the mirror.
    if (where === 'the manifest')
      site.work.write(
        'resources.yaml',
        `${MANIFEST}mirrors: [{ from: "${site.server.url}", to: ["${prefix}"] }]\n`,
      );
    const env = where === 'the manifest' ? {} : { RES_MIRRORS: `${site.server.url}=${prefix}` };
    expectDone(await site.res('build', env));
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    expect(served()).toBe(4);
    for (const part of site.parts()) expect(site.server.requests(part)).toEqual([]);
    // The lock names the publisher's address: it is the same with and without mirrors.
    expect(site.work.text('resources.lock.yaml')).toContain(`url: ${site.part().url}`);
    expect(site.work.text('resources.lock.yaml')).not.toContain(prefix);
  });

  it('that are down are left with a notice', async () => {
    const site = await openSite({ storage: 'none' });
    const { prefix, served } = await mirrorOf(site);
    const down = await openServer();
    const env = { RES_MIRRORS: `${site.server.url}=${down.url}/down,${prefix}` };
    down.faultAlways(`/down${site.part().downloadPath}`, { answer: 'hang-up' });
    const run = await site.res('build', env);
    expectDone(run);
    expect(run.stderr).toMatch(/parts: .*\/down\/.*: not found \(status 404\); taking the next address/);
    expect(served()).toBe(4);
  });

  it('with other content than the lock are left for the publisher', async () => {
    const site = await openSite({ storage: 'none' });
    const mirror = await openServer();
    await mirror.file(`mirror${site.part().downloadPath}`, seededBytes('stale', site.part().size));
    const run = await site.res('build', { RES_MIRRORS: `${site.server.url}=${mirror.url}/files/mirror` });
    expectDone(run);
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    expect(run.stderr).toMatch(/\(a mirror\): wrong checksum.*taking the next address/);
  });

  it('get no token', async () => {
    const token = 'ghp_MirrorsMustNotSeeIt';
    const site = await openSite({ storage: 'none', tokens: [token] });
    const { prefix, mirror } = await mirrorOf(site);
    expectDone(await site.res('build', { RES_MIRRORS: `${site.server.url}=${prefix}`, GITHUB_TOKEN: token }));
    expect(mirror.requests().length).toBeGreaterThan(0);
    for (const { headers } of mirror.requests()) expect(headers.authorization).toBeUndefined();
  });

  it.each([
    ['RES_MIRRORS=nonsense', /RES_MIRRORS: `nonsense` has no `=`/],
    ['RES_MIRRORS=http://a=ftp://b', /RES_MIRRORS: `ftp:\/\/b` is not an http, https or file URL/],
  ])('%s is a bad setting', async (setting, says) => {
    const site = await openSite();
    expectFailed(
      await site.res('build', { RES_MIRRORS: setting.slice('RES_MIRRORS='.length) }),
      [says, /hint: write FROM=TO/],
      2,
    );
  });
});

describe('a proxy', () => {
  it('of HTTP_PROXY is what everything goes through', async () => {
    await withProxy(undefined, async (proxy) => {
      const site = await openSite({ env: { HTTP_PROXY: proxy.url } });
      expectDone(await site.res('build'));
      expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
      const direct = site.server.requests().length - proxy.requests().length;
      expect(direct).toBe(0);
      expect(proxy.requests().length).toBe(1 + 2 * 4);
    });
  });

  it('is not asked for hosts of NO_PROXY', async () => {
    await withProxy(undefined, async (proxy) => {
      const site = await openSite({ env: { HTTP_PROXY: proxy.url, NO_PROXY: 'example.org,127.0.0.1' } });
      expectDone(await site.res('build'));
      // The object store is another host: localhost.
      expect(new Set(proxy.requests().map(({ host }) => host))).toEqual(
        new Set([new URL(site.server.storageUrl).host]),
      );
      proxy.reset();
      expectDone(await site.res('clean --all'));
      expectDone(await site.res('build', { NO_PROXY: '*' }));
      expect(proxy.requests()).toEqual([]);
    });
  });

  it('gets its user name and password, which nobody else sees', async () => {
    await withProxy('bob:Pr0xyPass', async (proxy) => {
      const site = await openSite({
        env: { HTTP_PROXY: proxy.url.replace('http://', 'http://bob:Pr0xyPass@') },
      });
      const run = await site.res('build -v');
      expectDone(run);
      for (const { headers } of site.server.requests())
        expect(headers['proxy-authorization']).toBeUndefined();
      expect(run.stdout + run.stderr).not.toContain('Pr0xyPass');
      expect(filesWith(site.work.dir, 'Pr0xyPass')).toEqual([]);
    });
  });

  it('that wants a password and gets none says so, with its address', async () => {
    await withProxy('bob:Pr0xyPass', async (proxy) => {
      const site = await openSite({ env: { HTTP_PROXY: proxy.url } });
      expectFailed(await site.res('build'), [
        `the proxy ${new URL(proxy.url).host} wants a user name and password (407)`,
        /http:\/\/USER:PASSWORD@HOST:PORT/,
      ]);
    });
  });

  it('that is no address is a bad setting', async () => {
    const site = await openSite({ env: { HTTP_PROXY: 'ftp://x' } });
    expectFailed(
      await site.res('build'),
      [/HTTP_PROXY is not the address of a proxy/, /http:\/\/HOST:PORT/],
      2,
    );
  });

  it('that is down is named', async () => {
    const proxy = await startProxy();
    await proxy.close();
    const site = await openSite({ env: { HTTP_PROXY: proxy.url } });
    expectFailed(await site.res('build'), [
      `the proxy ${new URL(proxy.url).host} refused the connection`,
      /HTTP_PROXY/,
    ]);
  });
});

describe('a `url`', () => {
  it('with pins is taken when they hold', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const work = makeWorkspace(
      toolManifest(`url: "${file.url}", sha256: ${file.sha256.toUpperCase()}, size: ${KERNEL.length}`),
    );
    expectDone(await inFolder(work, {}).res('build'));
    expect(work.read('resources/tool').equals(KERNEL)).toBe(true);
  });

  it.each([
    [
      'sha256',
      `sha256: ${'c'.repeat(64)}`,
      [/wrong checksum/, 'c'.repeat(64), /correct the checksum in the manifest/],
    ],
    ['size', 'size: 7', [/7 bytes expected, the server has 200000/, /correct the size in the manifest/]],
  ])('with a wrong %s is refused, and nothing is put in place', async (_which, pin, says) => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const work = makeWorkspace(toolManifest(`url: "${file.url}", ${pin}`));
    expectFailed(await inFolder(work, {}).res('build'), [/failed: tool: /, ...says]);
    expect(work.exists('resources/tool')).toBe(false);
    expect(filesWith(work.path('.res', 'store'), KERNEL.subarray(0, 64).toString('latin1'))).toEqual([]);
  });

  it('pinned and held already is not asked for', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const work = makeWorkspace(
      toolManifest(`url: "${file.url}", sha256: ${file.sha256}, size: ${KERNEL.length}`),
    );
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    work.write(
      'resources.yaml',
      toolManifest(`url: "${file.url}?v=2", sha256: ${file.sha256}, size: ${KERNEL.length}`),
    );
    server.reset();
    expectDone(await res('build'));
    expect(server.requests()).toEqual([]);
  });

  it('with several addresses falls back to the next, and says so', async () => {
    const server = await openServer();
    const file = await server.file('tool', KERNEL);
    const work = makeWorkspace(toolManifest(`url: ["${server.url}/files/gone", "${file.url}"]`));
    const run = await inFolder(work, {}).res('build');
    expectDone(run);
    expect(run.stderr).toMatch(/tool: .*\/files\/gone: not found \(status 404\); taking the next address/);
    expect(work.read('resources/tool').equals(KERNEL)).toBe(true);
  });

  it('whose every address fails tells of each', async () => {
    const server = await openServer();
    const work = makeWorkspace(toolManifest(`url: ["${server.url}/files/a", "${server.url}/files/b"]`));
    expectFailed(await inFolder(work, {}).res('build'), [
      /failed: tool: .*\/files\/b: not found/,
      /Tried before: .*\/files\/a: not found/,
    ]);
  });

  it('resumes at the second address what the first one began, when the sum is known', async () => {
    const server = await openServer();
    const a = await server.file('a', KERNEL);
    const b = await server.file('b', KERNEL);
    server.faultAlways(a, { status: 404 });
    server.fault(a, { cut: { after: 150_000 } });
    const work = makeWorkspace(toolManifest(`url: ["${a.url}", "${b.url}"], sha256: ${a.sha256}`));
    expectDone(await inFolder(work, {}).res('build'));
    expect(server.requests(b).map(({ headers }) => headers.range)).toEqual(['bytes=150000-']);
    expect(work.read('resources/tool').equals(KERNEL)).toBe(true);
  });
});

describe('`parts`', () => {
  it('are many files in the order of the manifest, each with its own pin', async () => {
    const server = await openServer();
    const [one, two] = [
      await server.file('z', Buffer.from('one ')),
      await server.file('a', Buffer.from('two')),
    ];
    const manifest = (pin: string) =>
      `res: 1\nartifacts:\n  pieces: { parts: [{ url: "${one.url}" }, { url: "${two.url}", sha256: ${pin} }] }\ntargets:\n  whole: { merge: pieces, output: whole }\ndefault: [whole]\n`;
    const work = makeWorkspace(manifest('d'.repeat(64)));
    const { res } = inFolder(work, {});
    expectFailed(await res('build'), [/failed: pieces: .*\/files\/a: wrong checksum/]);
    expect(work.exists('resources/whole')).toBe(false);
    work.write('resources.yaml', manifest(two.sha256));
    expectDone(await res('build'));
    expect(work.text('resources/whole')).toBe('one two');
    expect(server.requests(one)).toHaveLength(1);
  });
});

describe('a file: URL', () => {
  it('is relative to the manifest, needs no network, and the file stays where it is', async () => {
    const work = makeWorkspace({
      'resources.yaml': toolManifest('url: "file:images/tool%20v1.bin"'),
      'images/tool v1.bin': KERNEL,
    });
    const witness = withWitness();
    const { res } = inFolder(work, {});
    expectDone(await res('build --offline', witness.env));
    expect(work.read('resources/tool').equals(KERNEL)).toBe(true);
    expect(work.read('images/tool v1.bin').equals(KERNEL)).toBe(true);
    expect(witness.testimony().connections).toEqual([]);
    expect(work.text('resources.lock.yaml')).toContain(await sha256Of(KERNEL));
    // The lock does not say where this checkout lies.
    expect(work.text('resources.lock.yaml')).not.toContain(work.dir);
  });

  it('is locked like any other: other content is an error until `res update`', async () => {
    const work = makeWorkspace({
      'resources.yaml': toolManifest('url: "file:tool.bin"'),
      'tool.bin': KERNEL,
    });
    const { res } = inFolder(work, {});
    expectDone(await res('build'));
    expectDone(await res('clean --all'));
    work.write('tool.bin', 'other');
    expectFailed(await res('build'), [
      /failed: tool: .*tool\.bin: 200000 bytes expected, 5 found/,
      /res update tool/,
    ]);
    expectDone(await res('update'));
    expectDone(await res('build'));
    expect(work.text('resources/tool')).toBe('other');
  });

  it('that is not there names the path', async () => {
    const work = makeWorkspace(toolManifest('url: "file:missing.bin"'));
    expectFailed(await inFolder(work, {}).res('build'), [
      new RegExp(`failed: tool: no such file: ${work.path('missing.bin')}`),
      /relative file: URL starts at the manifest/,
    ]);
  });
});
