import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bench, content, failure, said, server, sha256, tempDir, unusedPort } from './harness.js';

const MiB = 1024 * 1024;

describe('a download', () => {
  it('brings the bytes, their size and their sum, and leaves no notes behind', async () => {
    const s = await server();
    const bytes = content(3 * MiB + 17);
    const file = await s.file('a', bytes);
    const b = bench();
    const got = await b.fetch(file.url);
    expect(got).toEqual({
      path: b.partial,
      size: bytes.length,
      sha256: sha256(bytes),
      downloadedBytes: bytes.length,
      chunks: { size: bytes.length, sums: expect.arrayContaining([expect.any(Number)]) },
    });
    expect(b.bytes().equals(bytes)).toBe(true);
    expect(existsSync(`${b.partial}.json`)).toBe(false);
    expect(b.progress.at(-1)).toEqual([bytes.length, bytes.length]);
  });

  it('may be empty', async () => {
    const s = await server();
    const file = await s.file('empty', new Uint8Array());
    const b = bench();
    expect(await b.fetch(file.url)).toMatchObject({ size: 0, sha256: sha256(new Uint8Array()) });
    expect(b.exists()).toBe(true);
  });

  it('asks for the bytes as they are', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    await bench().fetch(file.url);
    expect(s.requests(file)[0]?.headers['accept-encoding']).toBe('identity');
  });

  it('without a known length has no total, and is whole nevertheless', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { noLength: true });
    const b = bench();
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(b.progress[0]).toEqual([0, null]);
  });

  it('reports progress no more often than every 50 ms', async () => {
    const s = await server();
    const bytes = content(8 * MiB);
    const file = await s.file('a', bytes);
    const b = bench();
    const from = performance.now();
    await b.fetch(file.url);
    expect(b.progress.length).toBeLessThanOrEqual((performance.now() - from) / 50 + 2);
  });
});

describe('a broken connection', () => {
  for (const by of ['close', 'reset'] as const) {
    it(`is taken up where it broke (${by})`, async () => {
      const s = await server();
      const bytes = content(2 * MiB);
      const file = await s.file('a', bytes);
      s.fault(file, { cut: { after: 700_001, by } });
      const b = bench();
      expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
      const [first, second] = s.requests(file);
      expect(first?.headers.range).toBeUndefined();
      const from = Number(/^bytes=(\d+)-$/.exec(second?.headers.range ?? '')?.[1]);
      if (by === 'close') expect(from).toBe(700_001);
      else expect(from).toBeGreaterThan(0);
      expect(second?.headers['if-range']).toMatch(/^"/);
      expect(s.requests(file)).toHaveLength(2);
      expect(b.notices[0]).toMatch(/connection was lost.*again in .*retry 1 of 5/);
    });
  }

  it('may come more often than there are retries, as long as something arrives each time', async () => {
    const s = await server();
    const bytes = content(900_000);
    const file = await s.file('a', bytes);
    s.fault(file, ...Array.from({ length: 8 }, () => ({ cut: { after: 100_000 } })));
    const b = bench({ retries: 2 });
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes), downloadedBytes: bytes.length });
  });

  it('is given up after the retries when nothing arrives', async () => {
    const s = await server();
    const file = await s.file('a', content(100));
    s.faultAlways(file, { answer: 'hang-up' });
    const error = await failure(bench({ retries: 3 }).fetch(file.url));
    expect(error.code).toBe('network');
    expect(s.requests(file)).toHaveLength(4);
  });

  it('at the same place of a server that cannot resume is no progress', async () => {
    const s = await server();
    const file = await s.file('a', content(MiB));
    s.faultAlways(file, { ignoreRange: true, cut: { after: 500_000 } });
    const error = await failure(bench({ retries: 3 }).fetch(file.url));
    expect(error.code).toBe('network');
    expect(s.requests(file)).toHaveLength(4);
  });

  it('that stalls is dropped and asked again', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { stall: { after: 300_000 } });
    const b = bench({ stallMs: 150 });
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(s.requests(file)[1]?.headers.range).toBe('bytes=300000-');
    expect(b.notices[0]).toContain('stalled');
  });

  it('that never answers is dropped and asked again', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    s.fault(file, { answer: 'never' });
    expect(await bench({ stallMs: 150 }).fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
  });

  it('of a body that ends early though well-formed is taken up too, when the size is known', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { truncate: { to: 400_000, framing: 'chunked' } });
    const expected = { size: bytes.length, sha256: sha256(bytes) };
    expect(await bench().fetch(file.url, { expected })).toMatchObject({ sha256: expected.sha256 });
    expect(s.requests(file)[1]?.headers.range).toBe('bytes=400000-');
  });
});

describe('a second run', () => {
  const interruptedAt = async (
    after: number,
    options: { readonly pinned: boolean; readonly etag?: 'none' },
  ) => {
    const s = await server();
    const bytes = content(2 * MiB);
    const file = await s.file('a', bytes);
    const dir = tempDir();
    const etag = options.etag === undefined ? {} : { etag: options.etag };
    s.fault(file, { stall: { after }, ...etag });
    const expected = options.pinned ? { sha256: sha256(bytes), size: bytes.length } : {};
    const controller = new AbortController();
    const first = bench({}, dir);
    const run = failure(first.fetch(file.url, { expected, signal: controller.signal }));
    await s.until((request) => request.state === 'stalled');
    // Handed to the connection is not arrived yet.
    await delay(50);
    controller.abort();
    expect((await run).code).toBe('interrupted');
    expect((await run).exitStatus).toBe(130);
    return { s, bytes, file, dir, expected, kept: statSync(first.partial).size };
  };

  it('asks only for what an interrupt left out', async () => {
    const { s, bytes, file, dir, expected, kept } = await interruptedAt(1_500_000, { pinned: true });
    expect(kept).toBe(1_500_000);
    const got = await bench({}, dir).fetch(file.url, { expected });
    expect(got).toMatchObject({ sha256: sha256(bytes), downloadedBytes: bytes.length - kept });
    expect(s.requests(file)[1]?.headers.range).toBe(`bytes=${kept}-`);
  });

  it('needs no pinned sum when the server names its content', async () => {
    const { s, bytes, file, dir, kept } = await interruptedAt(1_000_000, { pinned: false });
    const got = await bench({}, dir).fetch(file.url);
    expect(got).toMatchObject({ sha256: sha256(bytes), downloadedBytes: bytes.length - kept });
    expect(s.requests(file)[1]?.headers['if-range']).toMatch(/^"/);
  });

  it('goes by the date where there is no ETag', async () => {
    const { s, bytes, file, dir, kept } = await interruptedAt(1_000_000, { pinned: false, etag: 'none' });
    s.fault(file, { etag: 'none' });
    const got = await bench({}, dir).fetch(file.url);
    expect(got).toMatchObject({ sha256: sha256(bytes), downloadedBytes: bytes.length - kept });
    expect(s.requests(file)[1]?.headers['if-range']).toMatch(/GMT$/);
  });

  it('takes nothing of a file that was replaced in between', async () => {
    const { s, file, dir } = await interruptedAt(1_000_000, { pinned: false });
    const other = content(2 * MiB);
    s.fault(file, { replace: other });
    const b = bench({}, dir);
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(other) });
    expect(b.bytes().equals(other)).toBe(true);
  });

  it('does not believe bytes that changed on disk', async () => {
    const { bytes, file, dir, expected } = await interruptedAt(1_000_000, { pinned: true });
    const damaged = readFileSync(join(dir, 'partial'));
    damaged[5] = (damaged[5] ?? 0) ^ 0xff;
    writeFileSync(join(dir, 'partial'), damaged);
    const b = bench({}, dir);
    expect(await b.fetch(file.url, { expected })).toMatchObject({ sha256: sha256(bytes) });
    expect(b.bytes().equals(bytes)).toBe(true);
    expect(b.notices.join()).toContain('once more, from the start');
  });

  it('starts anew where nothing tells what the bytes were part of', async () => {
    const { s, bytes, file, dir } = await interruptedAt(1_000_000, { pinned: false });
    writeFileSync(join(dir, 'partial.json'), '{"url": torn');
    expect(await bench({}, dir).fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(s.requests(file)[1]?.headers.range).toBeUndefined();
  });

  it('starts anew for another sum', async () => {
    const { s, file, dir } = await interruptedAt(1_000_000, { pinned: true });
    const other = content(2 * MiB);
    s.fault(file, { replace: other });
    const got = await bench({}, dir).fetch(file.url, { expected: { sha256: sha256(other) } });
    expect(got.downloadedBytes).toBe(other.length);
    expect(s.requests(file)[1]?.headers.range).toBeUndefined();
  });

  it('asks nobody when all was there already', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    const dir = tempDir();
    writeFileSync(join(dir, 'partial'), bytes);
    const got = await bench({}, dir).fetch(file.url, { expected: { sha256: sha256(bytes) } });
    expect(got.downloadedBytes).toBe(0);
    expect(s.connections).toBe(0);
  });

  it('accepts 416 as the news that all is there', async () => {
    const s = await server();
    const bytes = content(1_000_000);
    const file = await s.file('a', bytes);
    s.fault(file, { noLength: true, cut: { after: 1_000_000 } });
    expect(await bench().fetch(file.url)).toMatchObject({
      sha256: sha256(bytes),
      downloadedBytes: bytes.length,
    });
    expect(s.requests(file).map(({ status }) => status)).toEqual([200, 416]);
  });
});

describe('a server that is wrong', () => {
  it('and ignores Range restarts that file', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { cut: { after: 500_000 } }, { ignoreRange: true });
    const b = bench();
    expect(await b.fetch(file.url)).toMatchObject({
      sha256: sha256(bytes),
      downloadedBytes: bytes.length + 500_000,
    });
    expect(b.bytes().equals(bytes)).toBe(true);
  });

  it('and sends another range than asked for is not joined', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { cut: { after: 500_000 } }, { wrongRange: true });
    const b = bench();
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(b.bytes().equals(bytes)).toBe(true);
    expect(s.requests(file)[2]?.headers.range).toBeUndefined();
  });

  it('and changes the file between two requests is not joined, though it ignores If-Range', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    // The object store keeps its range logic but loses the condition: 206 with another ETag.
    s.fault(file, { cut: { after: 500_000 } }, { headers: { etag: '"another"' } });
    const b = bench();
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(s.requests(file)[2]?.headers.range).toBeUndefined();
  });

  it('and sends other bytes than expected gets a checksum error, and nothing is kept', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    s.faultAlways(file, { corrupt: [500] });
    const b = bench();
    const error = await failure(b.fetch(file.url, { expected: { sha256: sha256(bytes), size: 1000 } }));
    expect(error.code).toBe('checksum-mismatch');
    expect(error.message).toContain(file.url);
    expect(error.message).toContain(`expected sha256 ${sha256(bytes)}`);
    expect(error.message).toMatch(/actual {3}sha256 [0-9a-f]{64}/);
    expect(b.exists()).toBe(false);
    expect(s.requests(file)).toHaveLength(1);
  });

  it('takes the expected sum in capitals as well', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    const expected = { sha256: sha256(bytes).toUpperCase() };
    expect(await bench().fetch(file.url, { expected })).toMatchObject({ size: 1000 });
  });

  it('and corrupts the rest of a resumed file is asked once more from the start', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.fault(file, { cut: { after: 500_000 } }, { corrupt: [600_000] });
    const b = bench();
    expect(await b.fetch(file.url, { expected: { sha256: sha256(bytes) } })).toMatchObject({
      sha256: sha256(bytes),
    });
    expect(s.requests(file)).toHaveLength(3);
    expect(s.requests(file)[2]?.headers.range).toBeUndefined();
  });

  it('and corrupts whatever is joined is not asked forever', async () => {
    const s = await server();
    const bytes = content(MiB);
    const file = await s.file('a', bytes);
    s.faultAlways(file, { cut: { after: 600_000 }, corrupt: [1000] });
    const error = await failure(bench().fetch(file.url, { expected: { sha256: sha256(bytes) } }));
    expect(error.code).toBe('checksum-mismatch');
    expect(s.requests(file)).toHaveLength(4);
  });

  it('and has a longer file than expected is stopped before it sends it', async () => {
    const s = await server();
    const file = await s.file('a', content(5 * MiB));
    const b = bench();
    const error = await failure(b.fetch(file.url, { expected: { size: 1000 } }));
    expect(error.code).toBe('size-mismatch');
    expect(error.message).toContain('1000 bytes expected');
    expect(b.exists()).toBe(false);
  });

  it('and sends more than expected without saying so is stopped', async () => {
    const s = await server();
    const file = await s.file('a', content(5 * MiB));
    s.fault(file, { noLength: true });
    const b = bench();
    expect((await failure(b.fetch(file.url, { expected: { size: 1000 } }))).code).toBe('size-mismatch');
    expect(b.exists()).toBe(false);
  });

  it('and has a shorter file is asked twice', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    s.faultAlways(file, { truncate: { to: 500, framing: 'length' } });
    const expected = { size: 1000, sha256: sha256(bytes) };
    expect((await failure(bench().fetch(file.url, { expected }))).code).toBe('size-mismatch');
    expect(s.requests(file)).toHaveLength(2);
    s.faultAlways(file, {});
    s.fault(file, { truncate: { to: 500, framing: 'length' } });
    expect(await bench().fetch(file.url, { expected })).toMatchObject({ size: 1000 });
  });
});

describe('a status', () => {
  for (const status of [408, 425, 429, 500, 502, 503, 504]) {
    it(`${status} is asked again`, async () => {
      const s = await server();
      const bytes = content(1000);
      const file = await s.file('a', bytes);
      s.fault(file, { status });
      expect(await bench().fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
      expect(s.requests(file)).toHaveLength(2);
    });
  }

  const final = {
    401: 'unauthorized',
    403: 'unauthorized',
    404: 'http-status',
    410: 'http-status',
    418: 'http-status',
  };
  for (const [status, code] of Object.entries(final)) {
    it(`${status} is not`, async () => {
      const s = await server();
      const file = await s.file('a', content(10));
      s.faultAlways(file, { status: Number(status) });
      const b = bench();
      const error = await failure(b.fetch(file.url));
      expect(error.code).toBe(code);
      expect(error.message).toContain(file.url);
      expect(error.message).toContain(status);
      expect(error.hint).toBeTruthy();
      expect(s.requests(file)).toHaveLength(1);
      expect(b.exists()).toBe(false);
    });
  }

  it('503 is asked again when the server said', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    s.fault(file, { status: 503, retryAfter: 1 });
    const b = bench();
    const from = performance.now();
    await b.fetch(file.url);
    expect(performance.now() - from).toBeGreaterThanOrEqual(990);
    expect(b.notices[0]).toContain('again in 1 s');
  });

  it('keeps what had arrived before', async () => {
    const s = await server();
    const bytes = content(1_000_000);
    const file = await s.file('a', bytes);
    s.fault(file, { cut: { after: 600_000 } }, { status: 503 }, { status: 429 });
    expect(await bench().fetch(file.url)).toMatchObject({ downloadedBytes: bytes.length });
  });

  it('that stays is the error', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    s.faultAlways(file, { status: 503 });
    const error = await failure(bench({ retries: 2 }).fetch(file.url));
    expect(error.code).toBe('http-status');
    expect(error.message).toContain('503');
    expect(s.requests(file)).toHaveLength(3);
  });
});

describe('several addresses', () => {
  it('are asked in order, and the first that has it is enough', async () => {
    const s = await server();
    const bytes = content(1000);
    const a = await s.file('a', bytes);
    const b = await s.file('b', bytes);
    await bench().fetch({ urls: [a.url, b.url] });
    expect(s.requests(b)).toHaveLength(0);
  });

  it('are gone on with where the one before broke off, when the sum is known', async () => {
    const s = await server();
    const bytes = content(1_000_000);
    const a = await s.file('a', bytes);
    const b = await s.file('b', bytes);
    s.fault(a, { cut: { after: 600_000 } });
    s.faultAlways(a, { status: 404 });
    const got = await bench().fetch({ urls: [a.url, b.url] }, { expected: { sha256: sha256(bytes) } });
    expect(got.downloadedBytes).toBe(bytes.length);
    expect(s.requests(b)[0]?.headers.range).toBe('bytes=600000-');
  });

  it('are not mixed when it is not', async () => {
    const s = await server();
    const a = await s.file('a', content(1_000_000));
    const bytes = content(1_000_000);
    const b = await s.file('b', bytes);
    s.fault(a, { cut: { after: 600_000 } });
    s.faultAlways(a, { status: 404 });
    expect(await bench().fetch({ urls: [a.url, b.url] })).toMatchObject({ sha256: sha256(bytes) });
  });

  it('are not mixed by a run that no longer knows the sum either', async () => {
    const s = await server();
    const bytes = content(2 * MiB);
    const file = await s.file('good/a', bytes);
    const other = await s.file('other/a', content(2 * MiB));
    s.fault(other, { cut: { after: MiB } });
    s.fault(file, { cut: { after: 300_000 } });
    const dir = tempDir();
    const expected = { sha256: sha256(bytes), size: bytes.length };
    const first = bench({ retries: 0 }, dir).fetch({ urls: [other.url, file.url] }, { expected });
    expect((await failure(first)).code).toBe('network');
    expect(await bench({}, dir).fetch(file.url)).toMatchObject(expected);
  });

  it('with mirrors: those first, then the address itself', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('dir/a', bytes);
    const mirrors = [{ from: `${s.url}/files/dir/`, to: [`${s.url}/one/`, `${s.url}/two/`] }];
    const b = bench({ mirrors });
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(s.requests().map(({ path }) => path)).toEqual(['/one/a', '/two/a', '/files/dir/a']);
    expect(b.notices.join()).toContain('taking the next address');
  });

  it('with a mirror that has something else: that is thrown away', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('good/a', bytes);
    const bad = await s.file('bad/a', content(1000));
    const b = bench({ mirrors: [{ from: `${s.url}/files/good/`, to: [`${s.url}/files/bad/`] }] });
    expect(await b.fetch(file.url, { expected: { sha256: sha256(bytes) } })).toMatchObject({ size: 1000 });
    expect(s.requests(bad)).toHaveLength(1);
    expect(b.bytes().equals(bytes)).toBe(true);
  });

  it('with a mirror that is down do not wait for it', async () => {
    const s = await server();
    const port = await unusedPort();
    const file = await s.file('a', content(1000));
    const b = bench({ mirrors: [{ from: s.url, to: [`http://127.0.0.1:${port}`] }], baseDelayMs: 60_000 });
    expect(await b.fetch(file.url)).toMatchObject({ size: 1000 });
  });

  it('that all fail are all named', async () => {
    const s = await server();
    const error = await failure(bench().fetch({ urls: [`${s.url}/files/a`, `${s.url}/files/b`] }));
    expect(error.code).toBe('http-status');
    expect(said(error)).toContain('/files/a');
    expect(said(error)).toContain('/files/b');
  });

  it('with an alternative: it is asked for only where the others refuse', async () => {
    const s = await server();
    const bytes = content(1000);
    const open = await s.file('open', bytes);
    const hidden = await s.file('hidden', bytes);
    let asked = 0;
    const alternative = async () => {
      asked += 1;
      return { urls: [hidden.url], headers: { 'X-Key': 'k' } };
    };
    await bench().fetch({ urls: [open.url], alternative });
    expect(asked).toBe(0);
    await bench().fetch({ urls: [`${s.url}/files/no`], alternative });
    expect(asked).toBe(1);
    expect(s.requests(hidden)[0]?.headers['x-key']).toBe('k');
    s.faultAlways(open, { status: 500 });
    await failure(bench({ retries: 0 }).fetch({ urls: [open.url], alternative }));
    expect(asked).toBe(1);
  });
});

describe('a redirect', () => {
  it('to another host takes no credentials along', async () => {
    const s = await server();
    const bytes = content(1000);
    const file = await s.file('a', bytes);
    s.fault(file, { redirect: 'other-host' });
    const headers = { Authorization: 'Bearer secret', 'X-Key': 'secret' };
    expect(await bench().fetch({ urls: [file.url], headers })).toMatchObject({ sha256: sha256(bytes) });
    const [first, second] = s.requests(file);
    expect(first?.headers).toMatchObject({ authorization: 'Bearer secret', 'x-key': 'secret' });
    expect(second?.origin).toBe('storage');
    expect(second?.headers.authorization).toBeUndefined();
    expect(second?.headers['x-key']).toBeUndefined();
  });

  it('that leaves and comes back has lost them', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    const there = await s.file('there', content(10));
    s.fault(file, { redirect: { url: `${s.storageUrl}${there.path}` } });
    s.fault(there, { redirect: { url: `${s.url}/files/back` } });
    await s.file('back', content(10));
    await bench().fetch({ urls: [file.url], headers: { authorization: 'Bearer secret' } });
    expect(s.requests('/files/back')[0]?.headers.authorization).toBeUndefined();
  });

  it('on the same host keeps them, and the range', async () => {
    const s = await server();
    const bytes = content(1_000_000);
    const file = await s.file('a', bytes);
    const real = await s.file('real', bytes);
    s.faultAlways(file, { redirect: { url: real.url } });
    s.fault(real, { cut: { after: 600_000 } });
    await bench().fetch({ urls: [file.url], headers: { authorization: 'Bearer secret' } });
    expect(s.requests(real)[1]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      range: 'bytes=600000-',
    });
  });

  it('in a circle is an error', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    s.faultAlways(file, { redirect: { url: file.url } });
    const error = await failure(bench().fetch(file.url));
    expect(error.code).toBe('network');
    expect(error.message).toContain('circle');
    expect(s.requests(file)).toHaveLength(1);
  });

  it('without end is an error', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    s.fault(file, { redirect: 'loop' });
    const error = await failure(bench().fetch(file.url));
    expect(error.message).toContain('more than 10 redirects');
    expect(s.requests(file)).toHaveLength(11);
  });

  it('to a file is refused', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    s.fault(file, { redirect: { url: 'file:///etc/hostname' } });
    expect((await failure(bench().fetch(file.url))).code).toBe('network');
  });
});

describe('secrets', () => {
  it('in a URL become basic authentication and are never shown', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    const url = file.url.replace('://', '://user:p%40ss@');
    const b = bench();
    await b.fetch(url);
    expect(s.requests(file)[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
    );
    s.fault(file, { cut: { after: 5 } });
    s.faultAlways(file, { status: 403 });
    const error = await failure(b.fetch(`${url}?X-Amz-Signature=abcdef`));
    for (const text of [said(error), ...b.notices, JSON.stringify(error.cause ?? '')]) {
      expect(text).not.toMatch(/p%40ss|p@ss|user:|abcdef/);
    }
  });
});

describe('a file: URL', () => {
  it('is copied, with its sum, and stays where it is', async () => {
    const dir = tempDir();
    const bytes = content(2 * MiB);
    const from = join(dir, 'a b.img');
    writeFileSync(from, bytes, { mode: 0o444 });
    const b = bench();
    const got = await b.fetch(pathToFileURL(from).href, { expected: { sha256: sha256(bytes) } });
    expect(got).toEqual({ path: b.partial, size: bytes.length, sha256: sha256(bytes), downloadedBytes: 0 });
    expect(readFileSync(from).equals(bytes)).toBe(true);
    expect(statSync(from).ino).not.toBe(statSync(b.partial).ino);
    expect(b.progress.at(-1)).toEqual([bytes.length, bytes.length]);
  });

  it('keeps its holes', async () => {
    const dir = tempDir();
    const from = join(dir, 'sparse');
    const bytes = Buffer.alloc(16 * MiB);
    bytes.write('end', bytes.length - 3);
    writeFileSync(from, bytes);
    const b = bench();
    expect(await b.fetch(pathToFileURL(from).href)).toMatchObject({ sha256: sha256(bytes) });
    expect(statSync(b.partial).blocks * 512).toBeLessThan(4 * MiB);
  });

  it('that is not there is named', async () => {
    const error = await failure(bench().fetch('file:///no/such/file.img'));
    expect(error.code).toBe('file-not-found');
    expect(error.message).toContain('/no/such/file.img');
  });

  it('with other bytes is an error', async () => {
    const from = join(tempDir(), 'a');
    writeFileSync(from, 'abc');
    const b = bench();
    const error = await failure(
      b.fetch(pathToFileURL(from).href, { expected: { sha256: sha256(content(3)) } }),
    );
    expect(error.code).toBe('checksum-mismatch');
    expect(b.exists()).toBe(false);
  });

  it('takes the place of what had arrived, and who read that along is told', async () => {
    const s = await server();
    const file = await s.file('a', content(MiB));
    s.fault(file, { cut: { after: 300_000 } });
    const b = bench({ retries: 0 });
    const local = join(tempDir(), 'a');
    writeFileSync(local, content(MiB / 2));
    const seen: (number | string)[] = [];
    await b.fetch(
      { urls: [file.url, pathToFileURL(local).href] },
      {
        watcher: {
          arrived: (bytes) => seen.push(bytes),
          restarted: () => seen.push(existsSync(`${b.partial}.json`) ? 'noted' : 'restarted'),
        },
      },
    );
    expect(seen.slice(-2)).toEqual([300_000, 'restarted']);
  });

  it('gives way to the next address', async () => {
    const s = await server();
    const file = await s.file('a', content(10));
    expect(await bench().fetch({ urls: ['file:///no/such', file.url] })).toMatchObject({ size: 10 });
  });
});
