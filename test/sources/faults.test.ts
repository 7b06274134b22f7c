// Whatever a server, a proxy or a cable does in whatever order: the right bytes, or an error that a user can read.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResError } from '../../src/model/error.js';
import { type Fault, startReleaseServer } from '../rig/release-server.js';
import { bench, content, onCleanup, outcome, sha256, tempDir } from './harness.js';

const SIZE = 120_000;
const place = fc.integer({ min: 0, max: SIZE });
const by = fc.constantFrom('close' as const, 'reset' as const);

/** Faults that a client can see through without knowing the sum. */
const visible: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ cut: fc.record({ after: place, by }) }),
  fc.record({ cut: fc.record({ after: place }), ignoreRange: fc.constant(true) }),
  fc.record({ cut: fc.record({ after: place }), wrongRange: fc.constant(true) }),
  fc.record({
    cut: fc.record({ after: place }),
    etag: fc.constantFrom('none' as const, 'weak' as const, 'wrong' as const),
  }),
  fc.record({ status: fc.constantFrom(408, 429, 500, 503) }),
  fc.record({ answer: fc.constant('hang-up' as const) }),
  fc.record({ redirect: fc.constant('other-host' as const) }),
  fc.record({ wrongRange: fc.constant(true) }),
  fc.record({ ignoreRange: fc.constant(true) }),
  fc.constant({}),
);
/** Faults that only size or sum give away. */
const hidden: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ corrupt: fc.array(fc.integer({ min: 0, max: SIZE - 1 }), { minLength: 1, maxLength: 3 }) }),
  fc.record({ corrupt: fc.tuple(place), cut: fc.record({ after: place }) }),
  fc.record({
    truncate: fc.record({ to: place, framing: fc.constantFrom('length' as const, 'chunked' as const) }),
  }),
  fc.record({ noLength: fc.constant(true), cut: fc.record({ after: place }) }),
  fc.record({ status: fc.constantFrom(403, 404) }),
);

describe('any sequence of faults', () => {
  it('ends in the expected bytes or in an error, and a good server then mends it', async () => {
    const s = await startReleaseServer();
    onCleanup(() => s.close());
    const dir = tempDir();
    const b = bench({ retries: 3, baseDelayMs: 1 }, dir);
    const bytes = content(SIZE);
    const expected = { sha256: sha256(bytes), size: SIZE };
    let round = 0;
    const faults = fc.array(fc.oneof(visible, hidden), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(faults, async (queue) => {
        round += 1;
        const file = await s.file(`pinned-${round}`, bytes);
        const partial = `${b.partial}-${round}`;
        s.fault(file, ...queue);
        const first = await outcome(b.fetch(file.url, { expected, partial }));
        if (first instanceof ResError) expect(first.hint ?? first.message).toBeTruthy();
        else expect(first).toMatchObject(expected);
        s.reset();
        expect(await b.fetch(file.url, { expected, partial })).toMatchObject(expected);
      }),
      { numRuns: 120 },
    );
  });

  it('never mixes two versions of a file, even when nobody knows the sum', async () => {
    const s = await startReleaseServer();
    onCleanup(() => s.close());
    const b = bench({ retries: 3, baseDelayMs: 1 });
    const versions = [content(SIZE), content(SIZE), content(SIZE - 1000)];
    const sums = new Set(versions.map(sha256));
    const replaced = fc.record({
      replace: fc.constantFrom(...versions),
      cut: fc.record({ after: place }),
    });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(visible, replaced), { maxLength: 6 }), async (queue) => {
        round += 1;
        const file = await s.file(`open-${round}`, versions[0] ?? content(1));
        const partial = `${b.partial}-${round}`;
        s.fault(file, ...queue);
        const first = await outcome(b.fetch(file.url, { partial }));
        if (!(first instanceof ResError)) expect(sums).toContain(first.sha256);
        s.reset();
        expect(sums).toContain((await b.fetch(file.url, { partial })).sha256);
      }),
      { numRuns: 120 },
    );
  });
});

describe('an answer that is compressed, though nobody asked for that', () => {
  // Zeros: compressed they are less than what is missing.
  const bytes = Buffer.alloc(SIZE);
  it.each([
    ['goes on with one that was not', [{ cut: { after: 1000 } }, { gzip: true }]],
    ['goes before one that is not', [{ gzip: true, headers: { 'content-length': null } }]],
  ] as const)('is not mixed with it where it %s', async (_name, faults) => {
    const s = await startReleaseServer();
    onCleanup(() => s.close());
    const b = bench({ retries: 3, baseDelayMs: 1 });
    const file = await s.file('zeros', bytes);
    s.fault(file, ...faults);
    const got = await b.fetch(file.url, { expected: { size: SIZE } });
    expect(got).toMatchObject({ size: SIZE, sha256: sha256(bytes) });
  });
});
