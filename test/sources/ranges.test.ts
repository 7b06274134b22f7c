// Ranges of a file come from where all of it would come, with the same patience, and nothing but them.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFetcher, type FetcherOptions, type PatchRequest } from '../../src/sources/fetch.js';
import type { FetchLocation } from '../../src/sources/source.js';
import { bench, content, failure, onCleanup, said, server, tempDir, unusedPort } from './harness.js';

const MiB = 1024 * 1024;
const RANGES = [
  { start: 10, length: 20 },
  { start: MiB, length: MiB },
  { start: 3 * MiB - 1, length: 1 },
];
const WANTED = 20 + MiB + 1;

interface Patching {
  readonly received: number[];
  readonly notices: string[];
  patch(location: FetchLocation | string, request?: Partial<PatchRequest>): Promise<void>;
  bytes(): Promise<Buffer>;
}

/** A file of `size` zeros, to be patched. */
async function patching(size: number, options: Partial<FetcherOptions> = {}): Promise<Patching> {
  const path = join(tempDir(), 'file');
  const file: FileHandle = await open(path, 'w+');
  onCleanup(() => file.close());
  await file.truncate(size);
  const fetcher = createFetcher({ env: {}, mirrors: [], baseDelayMs: 2, stallMs: 5000, ...options });
  onCleanup(() => fetcher.close());
  const received: number[] = [];
  const notices: string[] = [];
  return {
    received,
    notices,
    patch: (location, request = {}) =>
      fetcher.patch({
        location: typeof location === 'string' ? { urls: [location] } : location,
        file,
        path,
        size,
        ranges: RANGES,
        onReceived: (bytes) => received.push(bytes),
        onNotice: (message) => notices.push(message),
        signal: new AbortController().signal,
        ...request,
      }),
    async bytes() {
      const buffer = Buffer.alloc(size);
      await file.read(buffer, 0, size, 0);
      return buffer;
    },
  };
}

function patched(bytes: Buffer): Buffer {
  const expected = Buffer.alloc(bytes.length);
  for (const { start, length } of RANGES) bytes.copy(expected, start, start, start + length);
  return expected;
}

describe('ranges', () => {
  const bytes = content(3 * MiB);

  it('are put where they belong, and nothing else comes over the wire', async () => {
    const s = await server();
    const file = await s.file('a', bytes);
    const p = await patching(bytes.length);
    await p.patch(file.url);
    expect((await p.bytes()).equals(patched(bytes))).toBe(true);
    expect(s.bytesSent(file)).toBe(WANTED);
    expect(p.received.at(-1)).toBe(WANTED);
    expect(s.connections).toBe(1);
  });

  it.each([
    ['a connection that breaks', { cut: { after: 5 } }],
    ['a reset', { cut: { after: MiB / 2, by: 'reset' } }],
    ['a server that is busy', { status: 503, retryAfter: 0 }],
    ['no answer', { answer: 'hang-up' }],
    ['an answer that ends early', { truncate: { to: 3, framing: 'chunked' } }],
  ] as const)('go on after %s', async (_, fault) => {
    const s = await server();
    const file = await s.file('a', bytes);
    s.fault(file, fault, fault);
    const p = await patching(bytes.length);
    await p.patch(file.url);
    expect((await p.bytes()).equals(patched(bytes))).toBe(true);
    expect(p.notices.length).toBeGreaterThan(0);
  });

  it('come along redirects, and the credentials stay with their host', async () => {
    const s = await server();
    const file = await s.file('a', bytes);
    s.faultAlways(file, { redirect: 'other-host' });
    const p = await patching(bytes.length);
    await p.patch({ urls: [file.url], headers: { authorization: 'Bearer secret' } });
    expect((await p.bytes()).equals(patched(bytes))).toBe(true);
    const all = s.requests();
    expect(all.filter(({ origin }) => origin === 'storage').length).toBe(RANGES.length);
    for (const { origin, headers } of all)
      expect(headers.authorization).toBe(origin === 'main' ? 'Bearer secret' : undefined);
  });

  it('that one mirror broke off are finished by the next place', async () => {
    const s = await server();
    const file = await s.file('a', bytes);
    const copy = await s.file('mirror/a', bytes);
    s.fault(copy, {}, { status: 404 });
    const mirrors = [{ from: file.url.slice(0, -1), to: [copy.url.slice(0, -1)] }];
    const p = await patching(bytes.length, { mirrors });
    await p.patch(file.url);
    expect((await p.bytes()).equals(patched(bytes))).toBe(true);
    // What the mirror had given was not asked for again.
    expect(s.bytesSent(file)).toBe(WANTED - 20);
  });

  it('that are refused come by the other way of their source', async () => {
    const s = await server();
    const file = await s.file('a', bytes);
    const other = await s.file('b', bytes);
    s.faultAlways(file, { status: 404 });
    const p = await patching(bytes.length);
    await p.patch({ urls: [file.url], alternative: async () => ({ urls: [other.url] }) });
    expect((await p.bytes()).equals(patched(bytes))).toBe(true);
  });

  it.each([
    ['gives all of it', { ignoreRange: true }, /gives no parts of it/],
    ['gives another part', { wrongRange: true }, /other parts of it than those asked for/],
    ['has a file of another size', { replace: content(2 * MiB + 1) }, /other parts/],
    ['has it no more', { status: 404 }, /not found/],
  ] as const)('are given up where the server %s, without reading on', async (_, fault, words) => {
    const s = await server();
    const file = await s.file('a', bytes);
    s.faultAlways(file, fault);
    const p = await patching(bytes.length);
    const error = await failure(p.patch(file.url));
    expect(said(error)).toMatch(words);
    expect(p.received).toEqual([]);
  });

  it('are given up where nobody answers', async () => {
    const p = await patching(10, { retries: 1 });
    const error = await failure(p.patch(`http://127.0.0.1:${await unusedPort()}/a`));
    expect(error.code).toBe('network');
  });

  it('are interrupted', async () => {
    const s = await server();
    const file = await s.file('a', bytes);
    s.fault(file, { stall: { after: 5 } });
    const p = await patching(bytes.length);
    const abort = new AbortController();
    const run = failure(p.patch(file.url, { signal: abort.signal }));
    await s.until(({ state }) => state === 'stalled');
    abort.abort(new Error('stop'));
    expect((await run).code).toBe('interrupted');
  });
});

describe('the sums of a download', () => {
  it('are those of the whole, also when it was resumed, restarted or joined from two servers', async () => {
    const s = await server();
    const bytes = content(3 * MiB + 5);
    const file = await s.file('a', bytes);
    const { chunks } = await bench().fetch(file.url);
    expect(chunks).toMatchObject({ size: bytes.length, sums: { length: 4 } });

    const dir = tempDir();
    s.fault(file, { cut: { after: MiB + 77 } });
    const first = bench({ retries: 0 }, dir);
    await failure(first.fetch(file.url));
    expect(first.bytes().length).toBe(MiB + 77);
    const resumed = await bench({}, dir).fetch(file.url);
    expect(s.requests(file).at(-1)?.headers.range).toBe(`bytes=${MiB + 77}-`);
    expect(resumed.chunks).toEqual(chunks);

    s.fault(file, { cut: { after: MiB + 77 } }, { ignoreRange: true });
    expect((await bench().fetch(file.url)).chunks).toEqual(chunks);
  });
});
