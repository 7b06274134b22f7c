import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as nodeRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { seededBytes } from './random.js';
import {
  type FileHandle,
  type ReleaseHandle,
  type ReleaseServer,
  type ServerOptions,
  startReleaseServer,
} from './release-server.js';

const REPO = 'vhive-serverless/vSwarm-u';
const BYTES = seededBytes('asset', 300_000);

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** What ended the body early. */
  readonly error: string | undefined;
}

/** One request, no redirects followed, on a connection of its own; never rejects once there was an answer. */
function get(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = nodeRequest(url, { headers, method, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      const done = (error?: Error & { code?: string }) =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          body: Buffer.concat(chunks),
          error: error?.code,
        });
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => done());
      answer.on('error', done);
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function json(url: string, headers: Record<string, string> = {}) {
  const got = await get(url, headers);
  return { ...got, json: JSON.parse(got.body.toString('utf8')) };
}

let servers: ReleaseServer[] = [];
async function start(options: ServerOptions = {}): Promise<ReleaseServer> {
  const server = await startReleaseServer(options);
  servers.push(server);
  return server;
}
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

describe('the releases API', () => {
  let server: ReleaseServer;
  let release: ReleaseHandle;
  const api = (path: string) => `${server.apiUrl}/repos/${REPO}${path}`;
  beforeAll(async () => {
    server = await start({ tokens: ['good'] });
    await server.release(REPO, 'v0.2.0', { 'a.bin': Buffer.from('old') });
    release = await server.release(REPO, 'v0.3.0', { 'a.bin': BYTES, 'b.bin': Buffer.from('b') });
    await server.release(REPO, 'v0.4.0-rc1', {}, { prerelease: true });
    await server.release(REPO, 'v0.5.0', {}, { draft: true });
  });
  afterEach(() => {
    server.reset();
    server.digests = true;
  });

  it('gives a release by its tag, with assets as GitHub describes them', async () => {
    const { status, json: body } = await json(api('/releases/tags/v0.3.0'));
    expect(status).toBe(200);
    expect(body).toMatchObject({ tag_name: 'v0.3.0', draft: false, prerelease: false });
    expect(body.assets[0]).toEqual({
      url: `${server.url}/repos/${REPO}/releases/assets/${release.asset('a.bin').id}`,
      id: release.asset('a.bin').id,
      name: 'a.bin',
      content_type: 'application/octet-stream',
      state: 'uploaded',
      size: BYTES.length,
      digest: `sha256:${createHash('sha256').update(BYTES).digest('hex')}`,
      browser_download_url: `${server.url}/${REPO}/releases/download/v0.3.0/a.bin`,
    });
  });

  it('takes owner and name of a repository in any case', async () => {
    expect((await get(`${server.apiUrl}/repos/VHIVE-serverless/vswarm-U/releases/latest`)).status).toBe(200);
  });

  it('gives no digests when told so', async () => {
    server.digests = false;
    expect((await json(api('/releases/tags/v0.3.0'))).json.assets[0].digest).toBeNull();
  });

  it('takes the newest release that is neither draft nor prerelease for the latest', async () => {
    expect((await json(api('/releases/latest'))).json.tag_name).toBe('v0.3.0');
  });

  it('lists releases newest first, in pages with links', async () => {
    const first = await json(api('/releases?per_page=2'));
    expect(first.json.map((one: { tag_name: string }) => one.tag_name)).toEqual(['v0.4.0-rc1', 'v0.3.0']);
    const next = /<([^>]+)>; rel="next"/.exec(String(first.headers.link))?.[1] ?? '';
    const second = await json(next);
    expect(second.json.map((one: { tag_name: string }) => one.tag_name)).toEqual(['v0.2.0']);
    expect(second.headers.link).not.toContain('rel="next"');
    expect((await get(api('/releases?per_page=100'))).headers.link).toBeUndefined();
  });

  it.each(['/releases/tags/v9', '/releases/tags/v0.5.0', '/releases/assets/999', '/nothing'])(
    'answers 404 in JSON for %s',
    async (path) => {
      expect(await json(api(path))).toMatchObject({ status: 404, json: { message: 'Not Found' } });
    },
  );

  it('answers 304 to who has the answer', async () => {
    const { headers } = await get(api('/releases/latest'));
    const again = await get(api('/releases/latest'), { 'if-none-match': String(headers.etag) });
    expect(again).toMatchObject({ status: 304, body: Buffer.alloc(0) });
  });

  it('refuses a token it does not know', async () => {
    const bad = await json(api('/releases/latest'), { authorization: 'Bearer bad' });
    expect(bad).toMatchObject({ status: 401, json: { message: 'Bad credentials' } });
    expect((await get(api('/releases/latest'), { authorization: 'Bearer good' })).status).toBe(200);
    expect((await get(api('/releases/latest'), { authorization: 'token good' })).status).toBe(200);
  });

  it('limits the rate as GitHub does', async () => {
    const reset = new Date(2_000_000_000_000);
    server.rateLimit({ remaining: 1, reset, anonymousOnly: true });
    expect((await get(api('/releases/latest'))).headers['x-ratelimit-remaining']).toBe('0');
    const limited = await json(api('/releases/latest'));
    expect(limited.status).toBe(403);
    expect(limited.json.message).toContain('API rate limit exceeded');
    expect(limited.headers).toMatchObject({
      'x-ratelimit-remaining': '0',
      'x-ratelimit-limit': '60',
      'x-ratelimit-reset': '2000000000',
    });
    expect((await get(api('/releases/latest'), { authorization: 'Bearer good' })).status).toBe(200);
    server.rateLimit({ remaining: 0, kind: 'secondary', retryAfter: 7 });
    expect(await get(api('/releases/latest'))).toMatchObject({
      status: 429,
      headers: { 'retry-after': '7' },
    });
    server.rateLimit(undefined);
    expect((await get(api('/releases/latest'))).status).toBe(200);
  });

  it('marks an upload that never finished', async () => {
    await server.release('o/unfinished', 'v1', { 'a.bin': BYTES }, { unfinished: ['a.bin'] });
    const { json: body } = await json(`${server.apiUrl}/repos/o/unfinished/releases/tags/v1`);
    expect(body.assets[0]).toMatchObject({ state: 'starter', digest: null });
  });

  it('gives a new upload a new id and digest', async () => {
    const changing = await server.release('o/changing', 'v1', { 'a.bin': Buffer.from('one') });
    const before = changing.asset('a.bin');
    const after = await changing.put('a.bin', Buffer.from('two'));
    expect(after.id).not.toBe(before.id);
    expect((await get(before.url)).headers.location).toContain(`/storage/${after.id}?`);
    changing.remove('a.bin');
    expect((await get(before.url)).status).toBe(404);
    server.removeRelease('o/changing', 'v1');
    expect((await get(`${server.apiUrl}/repos/o/changing/releases/tags/v1`)).status).toBe(404);
  });
});

describe('downloads', () => {
  it('are redirected to a signed address on another host, which wants no token', async () => {
    const server = await start({ tokens: ['good'] });
    const asset = (await server.release(REPO, 'v1', { 'a.bin': BYTES })).asset('a.bin');
    const first = await get(asset.url);
    expect(first.status).toBe(302);
    const location = String(first.headers.location);
    expect(location.startsWith(`${server.storageUrl}/storage/`)).toBe(true);
    expect(new URL(location).hostname).toBe('localhost');
    expect((await get(location)).body.equals(BYTES)).toBe(true);
    expect((await get(location, { authorization: 'Bearer good' })).status).toBe(400);
    expect((await get(location.replace(/Signature=\w+/, 'Signature=0'))).status).toBe(403);
    expect((await get(`${server.url}/${REPO}/releases/latest/download/a.bin`)).headers.location).toBe(
      asset.url,
    );
  });

  it('of a private repository go through the API, with a token', async () => {
    const server = await start({ tokens: ['good'] });
    const asset = (await server.release(REPO, 'v1', { 'a.bin': BYTES })).asset('a.bin');
    server.makePrivate(REPO);
    const octets = { accept: 'application/octet-stream' };
    const token = { authorization: 'Bearer good' };
    expect((await get(`${server.apiUrl}/repos/${REPO}/releases/latest`)).status).toBe(404);
    expect((await get(`${server.apiUrl}/repos/${REPO}/releases/latest`, token)).status).toBe(200);
    expect((await get(asset.url, token)).status).toBe(404);
    expect((await get(`${server.url}${asset.apiPath}`, octets)).status).toBe(404);
    expect((await json(`${server.url}${asset.apiPath}`, token)).json.name).toBe('a.bin');
    const redirect = await get(`${server.url}${asset.apiPath}`, { ...octets, ...token });
    expect(redirect.status).toBe(302);
    expect((await get(String(redirect.headers.location))).body.equals(BYTES)).toBe(true);
  });

  it('may be served where they are asked for, with the API under a prefix', async () => {
    const server = await start({ storage: 'none', apiPrefix: '/api/v3' });
    const asset = (await server.release(REPO, 'v1', { 'a b+c.bin': BYTES })).asset('a b+c.bin');
    expect((await get(asset.url)).body.equals(BYTES)).toBe(true);
    expect(server.apiUrl).toBe(`${server.url}/api/v3`);
    const { json: body } = await json(`${server.apiUrl}/repos/${REPO}/releases/tags/v1`);
    expect((await get(body.assets[0].url, { accept: 'application/octet-stream' })).body.equals(BYTES)).toBe(
      true,
    );
    expect((await get(`${server.url}/repos/${REPO}/releases/tags/v1`)).status).toBe(404);
  });

  it('stream files on disk', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'res-rig-test-'));
    const big = seededBytes('big', 3_000_000);
    await writeFile(join(dir, 'big.bin'), big);
    const server = await start();
    const file = await server.file('sub dir/big.bin', { path: join(dir, 'big.bin') });
    expect(file.sha256).toBe(createHash('sha256').update(big).digest('hex'));
    expect((await get(file.url)).body.equals(big)).toBe(true);
    const part = await get(file.url, { range: 'bytes=1000000-2500000' });
    expect(part.body.equals(big.subarray(1_000_000, 2_500_001))).toBe(true);
    await rm(dir, { recursive: true });
  });
});

describe('ranges', () => {
  let server: ReleaseServer;
  let file: FileHandle;
  beforeAll(async () => {
    server = await start();
    file = await server.file('a.bin', BYTES);
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=100-', 100, BYTES.length],
    ['bytes=-10', BYTES.length - 10, BYTES.length],
    ['bytes=299999-999999', 299_999, BYTES.length],
  ])('%s', async (range, start, end) => {
    const got = await get(file.url, { range });
    expect(got.status).toBe(206);
    expect(got.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${BYTES.length}`);
    expect(got.headers['content-length']).toBe(String(end - start));
    expect(got.body.equals(BYTES.subarray(start, end))).toBe(true);
  });

  it('beyond the end are 416, and nonsense is ignored', async () => {
    const beyond = await get(file.url, { range: `bytes=${BYTES.length}-` });
    expect(beyond.status).toBe(416);
    expect(beyond.headers['content-range']).toBe(`bytes */${BYTES.length}`);
    expect((await get(file.url, { range: 'lines=1-2' })).status).toBe(200);
  });

  it('hold only if the validator does', async () => {
    const { headers } = await get(file.url, {}, 'HEAD');
    expect(headers['accept-ranges']).toBe('bytes');
    const ranged = async (condition: string) =>
      (await get(file.url, { range: 'bytes=5-', 'if-range': condition })).status;
    expect(await ranged(String(headers.etag))).toBe(206);
    expect(await ranged(String(headers['last-modified']))).toBe(206);
    expect(await ranged('"other"')).toBe(200);
    expect(await ranged(`W/${String(headers.etag)}`)).toBe(200);
    expect((await get(file.url, { 'if-none-match': String(headers.etag) })).status).toBe(304);
  });
});

describe('faults', () => {
  let server: ReleaseServer;
  let file: FileHandle;
  beforeAll(async () => {
    server = await start();
  });
  let n = 0;
  const fresh = async () => {
    n += 1;
    file = await server.file(`${n}.bin`, BYTES);
    return file;
  };
  afterEach(() => server.reset());

  it('come one a request, then all is normal', async () => {
    const { url } = await fresh();
    server.fault(file, { status: 503, retryAfter: 2 }, {}, { status: 429, retryAfter: new Date(0) });
    expect(await get(url)).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    expect((await get(url)).status).toBe(200);
    expect(await get(url)).toMatchObject({
      status: 429,
      headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    });
    expect((await get(url)).status).toBe(200);
  });

  it('may last', async () => {
    const { url } = await fresh();
    server.faultAlways(file, { status: 500 });
    expect((await get(url)).status).toBe(500);
    expect((await get(url)).status).toBe(500);
    server.faultAlways(file, {});
    expect((await get(url)).status).toBe(200);
  });

  it.each([0, 1, 100_000])('cut after exactly %i bytes', async (after) => {
    const { url } = await fresh();
    server.fault(file, { cut: { after } });
    const got = await get(url);
    expect(got).toMatchObject({ status: 200, error: 'ECONNRESET' });
    expect(got.headers['content-length']).toBe(String(BYTES.length));
    expect(got.body.equals(BYTES.subarray(0, after))).toBe(true);
    const record = await server.until((one) => one.state === 'broken');
    expect(record.bytesSent).toBe(after);
  });

  it('cut a range counting from its beginning', async () => {
    const { url } = await fresh();
    server.fault(file, { cut: { after: 10, by: 'reset' } });
    const got = await get(url, { range: 'bytes=1000-' }).catch((error: unknown) => error);
    // A reset may overtake what was sent just before it, the head of the answer included.
    if (got instanceof Error) expect(got).toMatchObject({ code: 'ECONNRESET' });
    else expect(got).toMatchObject({ status: 206, error: 'ECONNRESET' });
    const record = await server.until((one) => one.state === 'broken');
    expect(record).toMatchObject({ status: 206, bytesSent: 10 });
  });

  it('hang up before any answer', async () => {
    const { url } = await fresh();
    server.fault(file, { answer: 'hang-up' });
    await expect(get(url)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await server.until((one) => one.state === 'broken' && one.status === 0);
  });

  it('never answer', async () => {
    const { url } = await fresh();
    server.fault(file, { answer: 'never' });
    const pending = get(url);
    await server.until((one) => one.state === 'stalled');
    expect(server.openConnections).toBe(1);
    server.fault(file, {});
    expect((await get(url)).status).toBe(200);
    pending.catch(() => undefined);
  });

  it('stall until the test lets go on', async () => {
    const { url } = await fresh();
    let letGo = () => {};
    const until = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    server.fault(file, { stall: { after: 70_000, until } });
    const pending = get(url);
    const record = await server.until((one) => one.state === 'stalled');
    expect(record.bytesSent).toBe(70_000);
    letGo();
    expect((await pending).body.equals(BYTES)).toBe(true);
  });

  it('end the body early, well-formed', async () => {
    const { url } = await fresh();
    server.fault(
      file,
      { truncate: { to: 1000, framing: 'chunked' } },
      { truncate: { to: 1000, framing: 'length' } },
    );
    const chunked = await get(url);
    expect(chunked.body.equals(BYTES.subarray(0, 1000))).toBe(true);
    expect(chunked.error).toBeUndefined();
    expect(chunked.headers['content-length']).toBeUndefined();
    expect(await get(url)).toMatchObject({ headers: { 'content-length': '1000' }, error: undefined });
  });

  it('corrupt the bytes they name, ranges included', async () => {
    const { url } = await fresh();
    const wrong = Buffer.from(BYTES);
    for (const at of [0, 150_000, 299_999]) wrong[at] = (wrong[at] ?? 0) ^ 0xff;
    server.faultAlways(file, { corrupt: [0, 150_000, 299_999] });
    expect((await get(url)).body.equals(wrong)).toBe(true);
    expect(
      (await get(url, { range: 'bytes=149999-150001' })).body.equals(wrong.subarray(149_999, 150_002)),
    ).toBe(true);
  });

  it('change content between requests', async () => {
    const { url } = await fresh();
    const before = await get(url);
    server.fault(file, {}, { replace: Buffer.from('new') });
    expect((await get(url)).headers.etag).toBe(before.headers.etag);
    const after = await get(url, { range: 'bytes=2-', 'if-range': String(before.headers.etag) });
    expect(after).toMatchObject({ status: 200, body: Buffer.from('new') });
    expect(after.headers.etag).not.toBe(before.headers.etag);
    expect(after.headers['last-modified']).not.toBe(before.headers['last-modified']);
    expect((await get(url)).body.toString()).toBe('new');
  });

  it('ignore or mistake ranges', async () => {
    const { url } = await fresh();
    server.fault(file, { ignoreRange: true }, { wrongRange: true });
    const ignored = await get(url, { range: 'bytes=10-' });
    expect(ignored).toMatchObject({ status: 200, headers: { 'accept-ranges': 'none' } });
    expect(ignored.body.equals(BYTES)).toBe(true);
    const mistaken = await get(url, { range: 'bytes=10-' });
    expect(mistaken.status).toBe(206);
    expect(mistaken.headers['content-range']).toBe(`bytes 0-${BYTES.length - 1}/${BYTES.length}`);
  });

  it('give no, a weak or a wrong ETag, or no length', async () => {
    const { url } = await fresh();
    const etags: unknown[] = [];
    server.fault(file, {}, { etag: 'none' }, { etag: 'weak' }, { etag: 'wrong' }, { etag: 'wrong' });
    for (let turn = 0; turn < 5; turn += 1) etags.push((await get(url)).headers.etag);
    expect(etags[1]).toBeUndefined();
    expect(etags[2]).toBe(`W/${String(etags[0])}`);
    expect(new Set(etags).size).toBe(5);
    server.fault(file, { noLength: true }, { headers: { 'last-modified': null, 'x-extra': 'yes' } });
    const got = await get(url);
    expect(got.headers['content-length']).toBeUndefined();
    expect(got.body.equals(BYTES)).toBe(true);
    const other = await get(url);
    expect(other.headers['last-modified']).toBeUndefined();
    expect(other.headers['x-extra']).toBe('yes');
  });

  it('redirect to the other host, in a circle, or anywhere', async () => {
    const { url, path } = await fresh();
    server.fault(file, { redirect: 'other-host' }, {}, { redirect: 'loop' });
    const other = await get(url);
    expect(other).toMatchObject({ status: 302, headers: { location: `${server.storageUrl}${path}` } });
    expect((await get(String(other.headers.location))).body.equals(BYTES)).toBe(true);
    let next = url;
    for (let turn = 0; turn < 5; turn += 1) {
      const hop = await get(next);
      expect(hop.status).toBe(302);
      next = String(hop.headers.location);
    }
    expect(next).toContain('loop=5');
    server.reset();
    server.fault(file, { redirect: { url: 'http://x.invalid/' } });
    expect((await get(url)).headers.location).toBe('http://x.invalid/');
  });

  it('hold down the rate', async () => {
    const { url } = await fresh();
    server.fault(file, { bytesPerSecond: 1_000_000 });
    const began = performance.now();
    expect((await get(url)).body.equals(BYTES)).toBe(true);
    expect(performance.now() - began).toBeGreaterThan(250);
  });

  it('reach the API too', async () => {
    await server.release('o/r', 'v1', {});
    const path = '/repos/o/r/releases/tags/v1';
    server.fault(path, { status: 502 }, { answer: 'hang-up' });
    expect((await get(server.url + path)).status).toBe(502);
    await expect(get(server.url + path)).rejects.toThrow();
    expect((await get(server.url + path)).status).toBe(200);
  });
});

describe('the record', () => {
  it('has what was asked, over which connection, and what was sent', async () => {
    const server = await start();
    const asset = (await server.release(REPO, 'v1', { 'a.bin': BYTES })).asset('a.bin');
    const { headers } = await get(asset.url);
    await get(String(headers.location), { range: 'bytes=0-99', 'x-note': 'hello' });
    await server.until((one) => one.origin === 'storage' && one.state === 'ended');
    const [first, second] = server.requests();
    expect(first).toMatchObject({
      origin: 'main',
      method: 'GET',
      path: asset.downloadPath,
      status: 302,
      connection: 1,
    });
    expect(second).toMatchObject({
      origin: 'storage',
      path: asset.contentPath,
      status: 206,
      bytesSent: 100,
      state: 'ended',
      connection: 2,
    });
    expect(second?.headers).toMatchObject({
      range: 'bytes=0-99',
      'x-note': 'hello',
      host: server.storageUrl.slice('http://'.length),
    });
    expect(server.bytesSent(asset)).toBe(100);
    expect(server.bytesSent()).toBe(100);
    expect(server.requests(asset)).toHaveLength(1);
    expect(server.connections).toBe(2);
    server.reset();
    expect(server.requests()).toEqual([]);
    expect(server.connections).toBe(0);
  });

  it('says what was seen when what was awaited does not come', async () => {
    const server = await start();
    await get(`${server.url}/files/nothing`);
    await expect(server.until(() => false, 20)).rejects.toThrow('GET /files/nothing 404');
  });

  it('ends with the server, whatever is open', async () => {
    const server = await startReleaseServer();
    const file = await server.file('a.bin', BYTES);
    server.fault(file, { stall: { after: 10 } });
    const pending = get(file.url);
    await server.until((one) => one.state === 'stalled');
    await server.close();
    expect((await pending).error).toBe('ECONNRESET');
    await expect(get(file.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
