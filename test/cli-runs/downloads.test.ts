// What a build makes of a network that misbehaves: the right file, or a specific error with nothing under the final name.
import { describe, expect, it } from 'vitest';
import { seededBytes } from '../rig/random.js';
import type { Fault, RequestRecord } from '../rig/release-server.js';
import {
  API_RELEASES,
  expectDone,
  expectFailed,
  filesBelow,
  openSite,
  PART,
  PART_SIZE,
  partialSizes,
  REPO,
  type Site,
} from './site.js';

const OUTPUT = 'resources/data.bin';
/** Seconds; a connection that stalls is noticed soon. */
const STALL = { RES_STALL_TIMEOUT: '1.5' };

function expectData({ work, data }: Site): void {
  expect(work.read(OUTPUT).equals(data)).toBe(true);
}

const ranges = (requests: readonly RequestRecord[]) => requests.map(({ headers }) => headers.range);

describe('a part whose download goes wrong once ends in the right file', () => {
  interface Case {
    readonly name: string;
    readonly faults: readonly Fault[];
    /** `Range` of each request for the part, in order. */
    readonly asks: readonly (string | undefined)[];
    /** Bytes that the server sent for the part. */
    readonly sent?: number;
    readonly says?: RegExp;
    readonly atLeastMs?: number;
  }
  const half = 500_000;
  const rest = `bytes=${half}-`;
  const cut: Fault = { cut: { after: half } };
  const whole = PART_SIZE;
  const cases: readonly Case[] = [
    {
      name: 'cut in the middle: resumed',
      faults: [cut],
      asks: [undefined, rest],
      sent: whole,
      says: /connection was lost; again in .*retry 1 of/,
    },
    {
      name: 'cut three times: resumed three times',
      faults: [cut, { cut: { after: 100_000 } }, { cut: { after: 1 } }],
      asks: [undefined, rest, 'bytes=600000-', 'bytes=600001-'],
      sent: whole,
    },
    {
      name: 'reset before the first byte',
      faults: [{ cut: { after: 0, by: 'reset' } }],
      asks: [undefined, undefined],
      sent: whole,
    },
    { name: 'hung up on', faults: [{ answer: 'hang-up' }], asks: [undefined, undefined], sent: whole },
    {
      name: 'stalled in the middle: given up and resumed',
      faults: [{ stall: { after: half } }],
      asks: [undefined, rest],
      sent: whole,
      says: /stalled/,
    },
    {
      name: 'never answered',
      faults: [{ answer: 'never' }],
      asks: [undefined, undefined],
      sent: whole,
      says: /stalled/,
    },
    {
      name: '503 with Retry-After: asked again after that time',
      faults: [{ status: 503, retryAfter: 1 }],
      asks: [undefined, undefined],
      says: /status 503; again in 1 s/,
      atLeastMs: 1000,
    },
    {
      name: '429 with Retry-After, as a date',
      faults: [{ status: 429, retryAfter: new Date(0) }],
      asks: [undefined, undefined],
      says: /too many requests \(status 429\); again in 0 ms/,
    },
    {
      name: '500',
      faults: [{ status: 500, retryAfter: 0 }],
      asks: [undefined, undefined],
      says: /status 500/,
    },
    {
      name: 'a server that ignores Range: from the start',
      faults: [cut, { ignoreRange: true }],
      asks: [undefined, rest],
      sent: half + whole,
      says: /from the start/,
    },
    {
      name: 'a server that answers with another range',
      faults: [cut, { wrongRange: true }],
      asks: [undefined, rest, undefined],
    },
    {
      name: 'without an ETag: resumed, since the sum is known',
      faults: [{ ...cut, etag: 'none', headers: { 'last-modified': null } }],
      asks: [undefined, rest],
      sent: whole,
    },
    {
      name: 'with a weak ETag only',
      faults: [{ ...cut, etag: 'weak' }, { etag: 'weak' }],
      asks: [undefined, rest],
      sent: whole,
    },
    {
      name: 'with an ETag that changes: from the start',
      faults: [{ ...cut, etag: 'wrong' }],
      asks: [undefined, rest],
      sent: half + whole,
    },
    {
      name: 'truncated, with a length that agrees',
      faults: [{ truncate: { to: half, framing: 'length' } }],
      asks: [undefined, undefined],
    },
    {
      name: 'truncated, chunked: resumed',
      faults: [{ truncate: { to: half, framing: 'chunked' } }],
      asks: [undefined, rest],
      sent: whole,
    },
    { name: 'without a length', faults: [{ noLength: true }], asks: [undefined], sent: whole },
    {
      name: 'redirected to another host',
      faults: [{ redirect: 'other-host' }],
      asks: [undefined, undefined],
    },
    {
      name: 'corrupted after it was resumed: once more, from the start',
      faults: [cut, { corrupt: [half + 7] }],
      asks: [undefined, rest, undefined],
      says: /wrong checksum.*once more, from the start/,
    },
  ];
  it.concurrent.each(cases)('$name', async ({ faults, asks, sent, says, atLeastMs = 0 }) => {
    const site = await openSite({ storage: 'none' });
    site.server.fault(site.part(), ...faults);
    const run = await site.res(
      'build',
      faults.some(({ stall, answer }) => stall || answer === 'never') ? STALL : {},
    );
    expectDone(run);
    expectData(site);
    const asked = site.server.requests(site.part());
    expect(ranges(asked)).toEqual(asks);
    if (sent !== undefined) expect(site.server.bytesSent(site.part())).toBe(sent);
    if (says !== undefined) expect(run.stderr.replace(/\s+/g, ' ')).toMatch(says);
    expect(run.durationMs).toBeGreaterThan(atLeastMs);
    // The other parts do not suffer from it.
    for (const part of site.parts().filter(({ name }) => name !== PART))
      expect(site.server.requests(part)).toHaveLength(1);
    expect(partialSizes(site.work)).toEqual([]);
  });
});

describe('a part that cannot be had ends in an error of its own', () => {
  interface Case {
    readonly name: string;
    readonly fault: Fault;
    readonly says: readonly (string | RegExp)[];
  }
  const cases: readonly Case[] = [
    {
      name: 'always 503',
      fault: { status: 503, retryAfter: 0 },
      says: [/failed: parts: .*data\.bin\.ab: the server answered with status 503/, /try again later/],
    },
    {
      name: 'always 429',
      fault: { status: 429, retryAfter: 0 },
      says: [/failed: parts: .*too many requests \(status 429\)/],
    },
    {
      name: 'gone',
      fault: { status: 404 },
      says: [/failed: parts: .*data\.bin\.ab: not found/, /res update/],
    },
    {
      name: 'another file of the same size',
      fault: { replace: seededBytes('other', PART_SIZE) },
      says: [
        /failed: parts: .*wrong checksum/,
        /expected sha256 [0-9a-f]{64}/,
        /actual {3}sha256 [0-9a-f]{64}/,
        /resources\.lock\.yaml/,
        /res update parts/,
      ],
    },
    {
      name: 'a shorter file',
      fault: { replace: seededBytes('other', 999) },
      says: [/failed: parts: .*1000000 bytes expected, the server has 999/, /res update parts/],
    },
    {
      name: 'a longer file',
      fault: { replace: seededBytes('other', 1_000_001) },
      says: [/failed: parts: .*1000000 bytes expected, the server has 1000001/],
    },
    {
      name: 'a longer file whose length is not told',
      fault: { replace: seededBytes('other', 2_000_000), noLength: true },
      says: [/failed: parts: .*1000000 bytes expected, the server has more/],
    },
    {
      name: 'always truncated',
      fault: { truncate: { to: 10, framing: 'length' } },
      says: [/failed: parts: .*1000000 bytes expected, the server has 10\b/],
    },
    { name: 'corrupted', fault: { corrupt: [5, 999_999] }, says: [/failed: parts: .*wrong checksum/] },
    { name: 'redirected in a circle', fault: { redirect: 'loop' }, says: [/failed: parts: .*redirects/] },
    {
      name: 'redirected to no http address',
      fault: { redirect: { url: 'ftp://127.0.0.1/x' } },
      says: [/failed: parts: .*not http or https/],
    },
  ];
  it.concurrent.each(cases)('$name', async ({ fault, says }) => {
    const site = await openSite({ storage: 'none' });
    site.server.faultAlways(site.part(), fault);
    const run = await site.res('build');
    expectFailed(run, says);
    expect(site.work.exists(OUTPUT)).toBe(false);
    expect(run.stderr).toMatch(/data: skipped because of parts/);
    // No byte that is known to be wrong is kept, and none that is right is asked for again.
    expect(partialSizes(site.work)).toEqual([]);
    site.server.reset();
    site.server.faultAlways(site.part(), { replace: site.data.subarray(PART_SIZE, 2 * PART_SIZE) });
    expectDone(await site.res('build'));
    expectData(site);
    expect(site.server.requests().map(({ path }) => path)).toEqual([site.part().contentPath]);
  });

  it('cut again and again: what has arrived is kept for the next build', async () => {
    const site = await openSite({ storage: 'none' });
    const cuts: Fault = { status: 503, retryAfter: 0 };
    site.server.fault(site.part(), { cut: { after: 600_000 } }, ...Array.from({ length: 6 }, () => cuts));
    expectFailed(await site.res('build'), [/failed: parts: .*status 503/]);
    expect(partialSizes(site.work)).toEqual([600_000]);
    site.server.reset();
    expectDone(await site.res('build'));
    expectData(site);
    expect(site.server.bytesSent()).toBe(PART_SIZE - 600_000);
  });

  it('one failed part does not stop the others, and -k goes on with other nodes', async () => {
    const site = await openSite({ storage: 'none' });
    site.server.faultAlways(site.part(), { status: 404 });
    expectFailed(await site.res('build -k data kernel'), [/failed: parts/]);
    expect(site.work.exists('resources/kernel')).toBe(true);
    for (const part of site.parts().filter(({ name }) => name !== PART))
      expect(site.server.bytesSent(part)).toBe(PART_SIZE);
  });
});

describe('content that changes between two requests', () => {
  const other = seededBytes('changed', PART_SIZE);

  it('is refused when the release says what it should be', async () => {
    const site = await openSite({ storage: 'none' });
    site.server.fault(site.part(), { cut: { after: 300_000 } }, { replace: other });
    expectFailed(await site.res('build'), [/wrong checksum/, /res update/]);
    expect(site.work.exists(OUTPUT)).toBe(false);
  });

  it('is taken whole, never mixed, when nothing is known of it before', async () => {
    const site = await openSite({ storage: 'none', digests: false });
    site.server.fault(site.part(), { cut: { after: 300_000 } }, { replace: other });
    expectDone(await site.res('build'));
    expect(
      site.work
        .read(OUTPUT)
        .subarray(PART_SIZE, 2 * PART_SIZE)
        .equals(other),
    ).toBe(true);
    expect(site.server.requests(site.part())[1]?.headers['if-range']).toBeDefined();
  });
});

describe('a build that is killed in mid-download', () => {
  /** Kills it when three parts are there and one is at this many bytes. */
  async function killed(site: Site, bytes: number, signal: 'SIGKILL' | 'SIGINT') {
    site.server.fault(site.part(), { stall: { after: bytes } });
    const run = site.start('build');
    const others = site.parts().filter(({ name }) => name !== PART);
    await site.server.until(({ path, state }) => path === site.part().contentPath && state === 'stalled');
    for (const { contentPath } of others)
      await site.server.until(({ path, state }) => path === contentPath && state === 'ended');
    const stored = () => filesBelow(site.work.path('.res', 'store')).map((path) => path.split('/').at(-1));
    await expect
      .poll(() => others.filter(({ sha256 }) => stored().some((name) => name?.includes(sha256))).length, {
        timeout: 10_000,
        interval: 20,
      })
      .toBe(others.length);
    await expect.poll(() => partialSizes(site.work), { timeout: 10_000, interval: 20 }).toEqual([bytes]);
    run.signal(signal);
    const ended = await run.result;
    site.server.reset();
    return ended;
  }

  it.each([true, false])('asks for the missing bytes only (digests in the API: %s)', async (digests) => {
    const site = await openSite({ digests });
    expect(await killed(site, 700_000, 'SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    expect(site.work.exists(OUTPUT)).toBe(false);

    const run = await site.res('build');
    expectDone(run);
    expectData(site);
    expect(ranges(site.server.requests(site.part()))).toEqual(['bytes=700000-']);
    expect(site.server.bytesSent()).toBe(PART_SIZE - 700_000);
    // Neither the release nor a finished part is asked for again: the part's address, and where it leads.
    expect(site.server.requests().map(({ path }) => path)).toEqual([
      site.part().downloadPath,
      site.part().contentPath,
    ]);
    expect(run.stdout).toMatch(/293 KiB downloaded/);
  });

  it('does so after an interrupt too, which ends it with 130', async () => {
    const site = await openSite({ digests: false });
    const { status, stderr } = await killed(site, 250_000, 'SIGINT');
    expect(status, stderr).toBe(130);
    expect(stderr).toMatch(/partial downloads are kept/);
    expectDone(await site.res('build'));
    expectData(site);
    expect(site.server.bytesSent()).toBe(PART_SIZE - 250_000);
  });

  it('does not believe bytes that changed on disk in between', async () => {
    const site = await openSite();
    await killed(site, 700_000, 'SIGKILL');
    const [partial] = filesBelow(site.work.path('.res', 'partial')).filter((path) => !path.includes('.json'));
    if (partial === undefined) throw new Error('no partial file');
    site.work.write(partial.slice(site.work.dir.length + 1), Buffer.alloc(700_000, 1));
    expectDone(await site.res('build'));
    expectData(site);
    expect(site.server.bytesSent()).toBe(PART_SIZE - 700_000 + PART_SIZE);
  });
});

describe('downloads side by side', () => {
  /** Most connections for content that were open at once, seen while all of them are held. */
  async function together(site: Site, count: number): Promise<void> {
    let free: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      free = resolve;
    });
    for (const part of site.parts()) site.server.fault(part, { stall: { after: 1000, until } });
    site.server.fault(site.release.asset('vmlinux'), { stall: { after: 1000, until } });
    const run = site.start('build data kernel');
    const stalled = () => site.server.requests().filter(({ state }) => state === 'stalled').length;
    await expect.poll(stalled, { timeout: 10_000, interval: 20 }).toBe(count);
    // Whoever is let through comes soon; nobody may.
    await site.server
      .until((_request) => stalled() > count, 300)
      .then(
        () => expect.unreachable('more downloads than allowed'),
        () => undefined,
      );
    expect(stalled()).toBe(count);
    free();
    expectDone(await run.result);
    expectData(site);
  }

  it('are four at a time', async () => {
    await together(await openSite({ storage: 'none' }), 4);
  });

  it('are as many as `pools.network` says', async () => {
    const site = await openSite({ storage: 'none' });
    site.work.write('resources.yaml', `${site.work.text('resources.yaml')}pools: { network: 1 }\n`);
    await together(site, 1);
  });

  it('of one file by two nodes do not get into each other', async () => {
    const site = await openSite({ storage: 'none' });
    const recipe = `github: { repo: lab/images, release: v1, asset: ${PART} }`;
    site.work.write(
      'resources.yaml',
      `res: 1\nartifacts:\n  a: { ${recipe}, output: a }\n  b: { ${recipe}, output: b }\ndefault: [a, b]\n`,
    );
    site.server.faultAlways(site.part(), { bytesPerSecond: 3_000_000 });
    expectDone(await site.res('build'));
    const bytes = site.data.subarray(PART_SIZE, 2 * PART_SIZE);
    expect(site.work.read('resources/a').equals(bytes)).toBe(true);
    expect(site.work.read('resources/b').equals(bytes)).toBe(true);
    expect(site.server.bytesSent(site.part())).toBe(PART_SIZE);
  });
});

describe('large parts', () => {
  const MiB = 1024 * 1024;
  const size = 20 * MiB;
  const manifest = (more: string) => `res: 1
artifacts:
  parts: { github: { repo: ${REPO}, release: v2, asset: "large.*" } }
targets:
  large: { merge: parts, output: large.bin }
default: [large]
${more}`;

  async function openLarge(more = '', rate = 6 * MiB): Promise<Site & { readonly bytes: Buffer }> {
    const site = await openSite({ storage: 'none', manifest: manifest(more) });
    const [a, b] = [seededBytes('large a', size), seededBytes('large b', size)];
    const release = await site.server.release(REPO, 'v2', { 'large.a': a, 'large.b': b });
    const parts = [release.asset('large.a'), release.asset('large.b')];
    for (const part of parts) site.server.faultAlways(part, { bytesPerSecond: rate });
    return { ...site, parts: () => parts, bytes: Buffer.concat([a, b]) };
  }

  it('come one after the other, each over all connections, and no byte twice', async () => {
    const site = await openLarge();
    expectDone(await site.res('build'));
    expect(site.work.read('resources/large.bin').equals(site.bytes)).toBe(true);
    const [first = [], second = []] = site.parts().map((part) => site.server.requests(part));
    expect(new Set(first.map(({ connection }) => connection)).size).toBeGreaterThan(2);
    expect(new Set(second.map(({ connection }) => connection)).size).toBeGreaterThan(2);
    for (const part of site.parts()) expect(site.server.bytesSent(part)).toBe(size);
  });

  it('come over one connection where `pools.network` gives no more', async () => {
    const site = await openLarge('pools: { network: 1 }', 20 * MiB);
    expectDone(await site.res('build'));
    expect(new Set(site.server.requests().map(({ connection }) => connection)).size).toBe(1);
  });

  it('are gone on with after kill -9, gaps and all', async () => {
    const site = await openLarge();
    const run = site.start('build');
    const sent = () => site.parts().reduce((sum, part) => sum + site.server.bytesSent(part), 0);
    await expect.poll(sent, { timeout: 10_000, interval: 10 }).toBeGreaterThan(size);
    await run.kill();
    const before = sent();
    expectDone(await site.res('build'));
    expect(site.work.read('resources/large.bin').equals(site.bytes)).toBe(true);
    // What was on its way at that moment, a segment of a connection each, is all that is fetched again.
    expect(sent() - before).toBeLessThan(size + 4 * 16 * MiB);
    expect(partialSizes(site.work)).toEqual([]);
  });
});

describe('the stall time-out', () => {
  it.each(['0', '-1', 'soon', '1e9', '99999999'])('RES_STALL_TIMEOUT=%s is a bad setting', async (value) => {
    const site = await openSite();
    expectFailed(
      await site.res('build', { RES_STALL_TIMEOUT: value }),
      [`RES_STALL_TIMEOUT: \`${value}\``, /seconds/],
      2,
    );
    expect(site.server.connections).toBe(0);
  });

  it('holds for the API too', async () => {
    const site = await openSite();
    site.server.fault(`${API_RELEASES}/tags/v1`, { answer: 'never' });
    const run = await site.res('build', STALL);
    expectDone(run);
    expectData(site);
  });

  it('is in the help', async () => {
    const site = await openSite();
    expect((await site.res('--help')).stdout).toContain('RES_STALL_TIMEOUT');
  });
});
