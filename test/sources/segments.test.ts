// A large file over several connections: the earliest bytes first, whatever the server does, and nothing twice.
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pool } from '../../src/execute/pools.js';
import { ResError } from '../../src/model/error.js';
import type { Fetched, FetcherOptions, FetchRequest } from '../../src/sources/fetch.js';
import type { Slot } from '../../src/sources/segments.js';
import { startProxy } from '../rig/proxy.js';
import type { Fault, FileHandle, ReleaseServer, RequestRecord } from '../rig/release-server.js';
import { bench, content, failure, onCleanup, outcome, server, sha256 } from './harness.js';

const KIB = 1024;
/** Small files behave here as large ones do. */
const RULES = { first: 64 * KIB, worthMs: 0 };
const SIZE = 2000 * KIB;
const SLOW = { bytesPerSecond: 2000 * KIB };

interface Segmented {
  readonly server: ReleaseServer;
  readonly file: FileHandle;
  readonly bytes: Buffer;
  readonly expected: { readonly sha256: string; readonly size: number };
  readonly partial: string;
  readonly notices: string[];
  fetchAt(slot: Slot, request?: Partial<FetchRequest>): Promise<Fetched>;
  /** In one of `places` places of a pool, which it may have all to itself. */
  fetch(request?: Partial<FetchRequest>, places?: number): Promise<Fetched>;
  requests(): readonly RequestRecord[];
}

async function segmented(options: Partial<FetcherOptions> = {}, size = SIZE): Promise<Segmented> {
  const s = await server();
  const bytes = content(size);
  const file = await s.file('large', bytes);
  s.faultAlways(file, SLOW);
  const b = bench({ segments: RULES, ...options });
  const expected = { sha256: sha256(bytes), size };
  const fetchAt = (slot: Slot, request: Partial<FetchRequest> = {}) =>
    b.fetch(file.url, { expected, slot, ...request });
  return {
    server: s,
    file,
    bytes,
    expected,
    partial: b.partial,
    notices: b.notices,
    fetchAt,
    fetch: (request, places = 4) => new Pool(places).run(0, (slot) => fetchAt(slot, request)),
    requests: () => s.requests(file),
  };
}

/** First and last byte that a request asked for. */
function asked({ headers }: RequestRecord): readonly [number, number] {
  const [, start = 0, end = SIZE - 1] = /^bytes=(\d+)-(\d+)?$/.exec(headers.range ?? '') ?? [];
  return [Number(start), Number(end)];
}

const connectionsOf = (requests: readonly RequestRecord[]) =>
  new Set(requests.map(({ connection }) => connection));

describe('a large file', () => {
  it('comes over all connections that it may have, and no byte twice', async () => {
    const s = await segmented();
    const got = await s.fetch();
    expect(got).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
    expect(readFileSync(s.partial).equals(s.bytes)).toBe(true);
    expect(connectionsOf(s.requests()).size).toBe(4);
    expect(got.chunks?.sums).toHaveLength(Math.ceil(SIZE / (1024 * KIB)));
    expect(() => statSync(`${s.partial}.json`)).toThrow('ENOENT');
  });

  it('brings its beginning as fast as all of them bring bytes', async () => {
    const s = await segmented();
    const seen: number[] = [];
    await s.fetch({ watcher: { arrived: (bytes) => seen.push(bytes), restarted: () => seen.push(-1) } });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(SIZE);
    // Each segment is asked for when all before it are there or on their way.
    const starts = s.requests().map((request) => asked(request)[0]);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const longest = Math.max(...s.requests().map((request) => asked(request)[1] - asked(request)[0] + 1));
    expect(longest).toBeLessThanOrEqual(5 * RULES.first);
  });

  it('tells how much there is of it, wherever that lies', async () => {
    const s = await segmented();
    const progress: number[] = [];
    await s.fetch({ onProgress: (done) => progress.push(done) });
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(SIZE);
  });

  it.each([
    ['with a place for one', 1, {}],
    ['that one connection brings in no time', 4, { segments: { ...RULES, worthMs: 60_000 } }],
  ])('comes over one connection: %s', async (_name, places, options) => {
    const s = await segmented(options);
    expect(await s.fetch({}, places)).toMatchObject(s.expected);
    expect(connectionsOf(s.requests()).size).toBe(1);
  });

  it('of which nothing is known is asked for as ever, and taken apart once the server has said how long it is', async () => {
    const s = await segmented();
    expect(await s.fetch({ expected: {} })).toMatchObject(s.expected);
    const [first, ...others] = s.requests();
    expect(first?.headers.range).toBeUndefined();
    expect(connectionsOf(others).size).toBeGreaterThan(2);
    for (const { headers } of others) expect(headers['if-range']).toMatch(/^"/);
  });

  it('that a proxy may keep for others comes in one piece', async () => {
    const proxy = await startProxy();
    onCleanup(() => proxy.close());
    const s = await segmented({ env: { HTTP_PROXY: proxy.url } });
    expect(await s.fetch()).toMatchObject(s.expected);
    expect(s.requests()).toHaveLength(1);
    expect(s.requests()[0]?.headers.range).toBeUndefined();
  });

  it('comes over very many connections without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    onCleanup(() => void process.off('warning', onWarning));
    const s = await segmented({}, 3 * SIZE);
    // Slow enough for all of them to be asked before the first has come to its end.
    s.server.faultAlways(s.file, { bytesPerSecond: 500 * KIB });
    await s.fetch({}, 16);
    await delay(0);
    expect(connectionsOf(s.requests()).size).toBeGreaterThan(10);
    expect(warnings).toEqual([]);
  });

  it('that is all there waits for nobody', async () => {
    const s = await segmented();
    const pool = new Pool(1);
    const ended: string[] = [];
    const large = pool.run(0, (slot) => s.fetchAt(slot)).then(() => ended.push('large'));
    const isLast = () =>
      s.requests().some((request) => asked(request)[0] > 0 && asked(request)[1] === SIZE - 1);
    while (!isLast()) await delay(1);
    const urgent = pool.run(1, () => Promise.race([large, delay(2000)])).then(() => ended.push('urgent'));
    await Promise.all([large, urgent]);
    expect(ended).toEqual(['large', 'urgent']);
  });

  it('lets files go first that are more urgent, or were asked for before', async () => {
    const s = await server();
    const files = await Promise.all([0, 1, 2].map((i) => s.file(`file-${i}`, content(SIZE))));
    for (const file of files) s.faultAlways(file, SLOW);
    const pool = new Pool(3);
    const ends: number[] = [];
    await Promise.all(
      files.map((file, i) => {
        const b = bench({ segments: RULES });
        const expected = { size: SIZE, sha256: file.sha256 };
        return pool.run(0, (slot) => b.fetch(file.url, { expected, slot })).then(() => ends.push(i));
      }),
    );
    expect(ends).toEqual([0, 1, 2]);
    for (const file of files) expect(s.bytesSent(file)).toBe(SIZE);
  });
});

describe('a server that', () => {
  it.each<readonly [string, Fault]>([
    ['ignores ranges', { ignoreRange: true }],
    ['gives other ranges', { wrongRange: true }],
    ['does not name its content', { etag: 'none' }],
    ['names it weakly', { etag: 'weak' }],
  ])('%s has its file fetched nevertheless', async (_name, fault) => {
    const s = await segmented();
    s.server.faultAlways(s.file, { ...SLOW, ...fault });
    expect(await s.fetch()).toMatchObject(s.expected);
    expect(readFileSync(s.partial).equals(s.bytes)).toBe(true);
  });

  it('ignores ranges is not asked over more than one connection', async () => {
    const s = await segmented();
    s.server.faultAlways(s.file, { ...SLOW, ignoreRange: true });
    expect(await s.fetch()).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
    expect(s.requests()).toHaveLength(1);
  });

  it('ignores ranges, and says that it does not, is asked once all the same', async () => {
    const s = await segmented();
    const headers = { 'accept-ranges': 'bytes' };
    s.server.faultAlways(s.file, { ...SLOW, ignoreRange: true, headers });
    expect(await s.fetch()).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
    expect(s.requests()).toHaveLength(1);
  });

  it('wants to be left alone by one connection is not waited for when the others have brought all', async () => {
    const s = await segmented();
    s.server.fault(s.file, SLOW, { status: 503, retryAfter: 3600 });
    expect(await s.fetch()).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
  });

  it('refuses a second connection still gives all over the first', async () => {
    const s = await segmented();
    s.server.fault(s.file, SLOW, SLOW, { status: 503 }, { status: 429 }, SLOW, { status: 503 });
    expect(await s.fetch()).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
  });

  it('breaks connections beside the first one loses only them', async () => {
    const s = await segmented();
    s.server.fault(s.file, SLOW, SLOW, { ...SLOW, cut: { after: 30 * KIB } });
    expect(await s.fetch()).toMatchObject({ ...s.expected, downloadedBytes: SIZE });
  });

  it('has other bytes is found out, and asked once more in one piece', async () => {
    const s = await segmented();
    s.server.faultAlways(s.file, { ...SLOW, corrupt: [SIZE - 5] });
    const error = await failure(s.fetch());
    expect(error.code).toBe('checksum-mismatch');
    expect(s.requests().at(-1)?.headers.range).toBeUndefined();
    expect(() => statSync(s.partial)).toThrow('ENOENT');
  });

  it('is gone for good leaves what had arrived, behind gaps too, to the next run', async () => {
    const s = await segmented({ retries: 1 });
    const first = s.fetch();
    await s.server.until(({ bytesSent }) => bytesSent > 0 && s.server.bytesSent(s.file) > SIZE / 2);
    await s.server.refuse();
    expect((await failure(first)).code).toBe('network');
    await s.server.accept();
    const before = s.server.bytesSent(s.file);
    const again = await s.fetch();
    expect(again).toMatchObject(s.expected);
    // What was on its way in the system's buffers is all that is fetched twice.
    expect(again.downloadedBytes).toBeLessThan(SIZE - SIZE / 3);
    expect(s.server.bytesSent(s.file)).toBeGreaterThan(before);
  });
});

describe('a disk that takes no notes', () => {
  it('is an error, and no file stays open', async () => {
    const s = await segmented();
    let hasBegun = false;
    const arrived = () => {
      if (!hasBegun) mkdirSync(`${s.partial}.json.tmp`);
      hasBegun = true;
    };
    const error = await failure(s.fetch({ watcher: { arrived, restarted: () => undefined } }));
    expect(error.message).toContain('cannot write');
    const open = readdirSync('/proc/self/fd').map((fd) => linkOf(`/proc/self/fd/${fd}`));
    expect(open).not.toContain(s.partial);
  });
});

describe('an address that leads to another one', () => {
  async function redirected() {
    const s = await server();
    const bytes = content(SIZE);
    const release = await s.release('lab/images', 'v1', { large: bytes });
    const asset = release.asset('large');
    s.faultAlways(asset.contentPath, SLOW);
    const b = bench({ segments: RULES });
    const expected = { sha256: sha256(bytes), size: SIZE };
    const location = { urls: [asset.url], headers: { authorization: 'Bearer secret' } };
    const fetch = () => new Pool(4).run(0, (slot) => b.fetch(location, { expected, slot }));
    return { s, asset, expected, fetch };
  }

  it('is asked once, and the other one for all that follows, without what is secret', async () => {
    const { s, asset, expected, fetch } = await redirected();
    expect(await fetch()).toMatchObject({ ...expected, downloadedBytes: SIZE });
    expect(s.requests(asset.downloadPath)).toHaveLength(1);
    const others = s.requests(asset.contentPath);
    expect(connectionsOf(others).size).toBe(4);
    for (const { headers } of others) expect(headers.authorization).toBeUndefined();
  });

  it('is asked again when the other one is good no more', async () => {
    const { s, asset, expected, fetch } = await redirected();
    s.fault(asset.contentPath, SLOW, SLOW, { status: 403 }, SLOW, { status: 403 });
    expect(await fetch()).toMatchObject({ ...expected, downloadedBytes: SIZE });
    expect(s.requests(asset.downloadPath).length).toBeGreaterThan(1);
  });
});

describe('an interrupt', () => {
  it('ends all connections, and the next run fetches what is missing', async () => {
    const s = await segmented();
    const stop = new AbortController();
    const first = s.fetch({ signal: stop.signal });
    while (s.server.bytesSent(s.file) < SIZE / 2) await delay(5);
    stop.abort();
    expect((await failure(first)).code).toBe('interrupted');
    const { present } = JSON.parse(readFileSync(`${s.partial}.json`, 'utf8'));
    const there = present.reduce((sum: number, [start, end]: [number, number]) => sum + end - start, 0);
    expect(there).toBeGreaterThan(SIZE / 4);
    const again = await s.fetch();
    expect(again).toMatchObject({ ...s.expected, downloadedBytes: SIZE - there });
  });

  it('leaves a beginning that a run over one connection goes on with', async () => {
    const s = await segmented();
    const stop = new AbortController();
    const first = s.fetch({ signal: stop.signal });
    while (s.server.bytesSent(s.file) < SIZE / 2) await delay(5);
    stop.abort();
    await failure(first);
    const { present } = JSON.parse(readFileSync(`${s.partial}.json`, 'utf8'));
    const again = await s.fetch({}, 1);
    expect(again).toMatchObject(s.expected);
    expect(again.downloadedBytes).toBeLessThanOrEqual(SIZE - present[0][1]);
  });
});

describe('any sequence of faults', () => {
  const place = fc.integer({ min: 0, max: 200 * KIB });
  const by = fc.constantFrom('close' as const, 'reset' as const);
  const etag = fc.constantFrom('none' as const, 'weak' as const, 'wrong' as const);
  const visible: fc.Arbitrary<Fault> = fc.oneof(
    fc.record({ cut: fc.record({ after: place, by }) }),
    fc.record({ cut: fc.record({ after: place }), etag }),
    fc.record({ status: fc.constantFrom(408, 429, 500, 503) }),
    fc.record({ answer: fc.constant('hang-up' as const) }),
    fc.record({ wrongRange: fc.constant(true) }),
    fc.record({ ignoreRange: fc.constant(true) }),
    fc.record({ ignoreRange: fc.constant(true), cut: fc.record({ after: place }) }),
    fc.constant({}),
  );
  const size = 600 * KIB;
  const segments = { first: 20 * KIB, worthMs: 0 };

  it('ends in the expected bytes or in an error, and a good server then mends it', async () => {
    const s = await server();
    const b = bench({ retries: 2, baseDelayMs: 1, segments });
    const bytes = content(size);
    const expected = { sha256: sha256(bytes), size };
    const corrupt = fc.record({ corrupt: fc.array(fc.nat(size - 1), { minLength: 1, maxLength: 3 }) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(visible, corrupt), { maxLength: 10 }), async (queue) => {
        const file = await s.file(`pinned-${++round}`, bytes);
        const partial = `${b.partial}-${round}`;
        const fetch = () => new Pool(3).run(0, (slot) => b.fetch(file.url, { expected, partial, slot }));
        s.fault(file, ...queue);
        const first = await outcome(fetch());
        if (!(first instanceof ResError)) expect(first).toMatchObject(expected);
        s.heal(file);
        expect(await fetch()).toMatchObject(expected);
        expect(sha256(readFileSync(partial))).toBe(expected.sha256);
      }),
      { numRuns: 80 },
    );
  });

  it('never mixes two versions of a file, even when nobody knows the sum', async () => {
    const s = await server();
    const b = bench({ retries: 2, baseDelayMs: 1, segments });
    const versions = [content(size), content(size), content(size - 1000)];
    const sums = new Set(versions.map(sha256));
    const replaced = fc.record({ replace: fc.constantFrom(...versions), cut: fc.record({ after: place }) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(visible, replaced), { maxLength: 10 }), async (queue) => {
        const file = await s.file(`open-${++round}`, versions[0] ?? content(1));
        const partial = `${b.partial}-${round}`;
        const fetch = () => new Pool(3).run(0, (slot) => b.fetch(file.url, { partial, slot }));
        s.fault(file, ...queue);
        const first = await outcome(fetch());
        if (!(first instanceof ResError)) expect(sums).toContain(first.sha256);
        s.heal(file);
        expect(sums).toContain((await fetch()).sha256);
      }),
      { numRuns: 80 },
    );
  });
});

/** Where a link leads; of one that is gone, nowhere. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
