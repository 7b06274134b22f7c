import { createHash } from 'node:crypto';
import { openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { CHUNK_SIZE } from '../../src/model/digest.js';
import { threadForChunk } from '../../src/store/hash-threads.js';
import { ContentHasher, digestFile } from '../../src/store/hashing.js';
import { tempDir } from './temp.js';

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The definition, written down a second time. */
function tree(bytes: Uint8Array): string {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  const sums: Buffer[] = [];
  for (let i = 0; i < bytes.length; i += CHUNK_SIZE) sums.push(sha256(bytes.subarray(i, i + CHUNK_SIZE)));
  return `tree:${sha256(length, ...sums).toString('hex')}`;
}

function sample(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let x = seed;
  for (let i = 0; i < size; i += 997) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = x & 255;
  }
  return bytes;
}

async function hashed(pieces: Iterable<Uint8Array>) {
  const hasher = new ContentHasher({ sha256: true, derived: true });
  for (const piece of pieces) await hasher.update(piece);
  return hasher.finish();
}

function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let start = 0;
  for (let i = 0; start < bytes.length; i++) {
    const end = start + (lengths[i % lengths.length] ?? 1);
    yield bytes.subarray(start, end);
    start = end;
  }
}

describe('content digests', () => {
  it('are those of the definition at the boundaries of a chunk', async () => {
    for (const size of [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE]) {
      const bytes = sample(size);
      const plain = `sha256:${sha256(bytes).toString('hex')}`;
      expect(await hashed([bytes])).toEqual({ size, sha256: plain, derived: plain });
    }
    for (const size of [CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE + 5]) {
      const bytes = sample(size);
      expect((await hashed([bytes])).derived).toBe(tree(bytes));
      expect((await hashed([bytes])).sha256).toBe(`sha256:${sha256(bytes).toString('hex')}`);
    }
  });

  it('do not depend on how the stream is cut, nor on the reuse of a piece after update', async () => {
    const bytes = sample(2 * CHUNK_SIZE + 12345);
    bytes.fill(0, 1000, CHUNK_SIZE + 1000);
    const whole = await hashed([bytes]);
    const lengths = fc.array(
      fc.integer({ min: 1, max: 3 * CHUNK_SIZE }).map((n) => n + 60_000),
      {
        minLength: 1,
        maxLength: 5,
      },
    );
    await fc.assert(
      fc.asyncProperty(lengths, async (sizes) => {
        const hasher = new ContentHasher({ sha256: true, derived: true });
        for (const piece of cut(bytes, sizes)) {
          const reused = Buffer.from(piece);
          await hasher.update(reused);
          reused.fill(0xee);
        }
        expect(await hasher.finish()).toEqual(whole);
      }),
      { numRuns: 20 },
    );
  });

  it('are computed only as asked for', async () => {
    const hasher = new ContentHasher({ sha256: false, derived: true });
    await hasher.update(Buffer.from('x'));
    expect(Object.keys(await hasher.finish())).toEqual(['size', 'derived']);
  });
});

/** Threads take part once they run, and some bytes are hashed before that. */
async function untilThreadsRun(): Promise<void> {
  await vi.waitUntil(() => threadForChunk() !== undefined, { timeout: 20_000 });
}

describe('digests of what is large', () => {
  const size = 6 * CHUNK_SIZE + 777;
  const bytes = sample(size, 5);
  bytes.fill(0, CHUNK_SIZE, 2 * CHUNK_SIZE);
  const runs = [
    { start: 4096, length: CHUNK_SIZE - 4096 },
    { start: 2 * CHUNK_SIZE - 10, length: 20 },
    { start: 2 * CHUNK_SIZE + 100_000, length: 2 * CHUNK_SIZE },
    { start: size - 1, length: 1 },
  ];

  it('of a stream are those of the definition, with threads as without', async () => {
    const expected = tree(bytes);
    for (const piece of [999_999, CHUNK_SIZE, 3 * CHUNK_SIZE + 1]) {
      expect((await hashed(cut(bytes, [piece]))).derived).toBe(expected);
      await untilThreadsRun();
    }
    // Several at a time, more than there are threads for.
    const all = await Promise.all(Array.from({ length: 5 }, () => hashed(cut(bytes, [1_000_000]))));
    for (const { derived } of all) expect(derived).toBe(expected);
  });

  it.each(['derived', 'sha256'] as const)(
    'of a file with holes are those of the bytes: %s',
    async (algorithm) => {
      const holed = Buffer.alloc(size);
      for (const { start, length } of runs) bytes.copy(holed, start, start, start + length);
      const path = join(tempDir(), 'holed');
      writeFileSync(path, holed);
      const of = (all: Uint8Array) =>
        algorithm === 'derived' ? tree(all) : `sha256:${sha256(all).toString('hex')}`;
      const expected = of(holed);
      // Before threads run, and when they do.
      for (const extents of [undefined, runs, runs]) {
        let done = 0;
        const onBytes = (count: number) => (done += count);
        const options = extents ? { extents, onBytes } : { onBytes };
        expect((await digestFile(path, algorithm, options)).digest).toBe(expected);
        expect(done).toBe(size);
        await untilThreadsRun();
      }
      // What a thread takes for a hole it does not read.
      expect((await digestFile(path, algorithm, { extents: [{ start: 0, length: 1 }] })).digest).toBe(
        of(Buffer.concat([holed.subarray(0, 1), Buffer.alloc(size - 1)])),
      );
      // Several at a time, more than there are threads for.
      const all = await Promise.all(Array.from({ length: 5 }, () => digestFile(path, algorithm)));
      for (const { digest } of all) expect(digest).toBe(expected);
    },
  );

  it.each(['derived', 'sha256'] as const)(
    'are none of a file that is cut short, or is to be read no more: %s',
    async (algorithm) => {
      const path = join(tempDir(), 'short');
      writeFileSync(path, bytes);
      await untilThreadsRun();
      const cutIt = () => truncateSync(path, 1000);
      await expect(digestFile(path, algorithm, { onBytes: cutIt })).rejects.toThrow(/was cut short while/);
      writeFileSync(path, bytes);
      const stop = new AbortController();
      const onBytes = () => stop.abort(new Error('stopped'));
      await expect(digestFile(path, algorithm, { onBytes, signal: stop.signal })).rejects.toThrow('stopped');
    },
  );
});

describe('file digests', () => {
  it('are those of the bytes, by either algorithm', async () => {
    const dir = tempDir();
    for (const size of [0, 10, 1024 * 1024 + 1, CHUNK_SIZE, 2 * CHUNK_SIZE + 7]) {
      const path = join(dir, `f${size}`);
      const bytes = sample(size, size);
      writeFileSync(path, bytes);
      const expected = await hashed([bytes]);
      expect(await digestFile(path, 'derived')).toEqual({ digest: expected.derived, size });
      expect(await digestFile(path, 'sha256')).toEqual({ digest: expected.sha256, size });
    }
  });

  it('of a file with holes are those of the zeros in them, read or not', async () => {
    const path = join(tempDir(), 'sparse');
    const size = 3 * CHUNK_SIZE + 4321;
    const extents = [
      { start: 8192, length: 4096 },
      { start: CHUNK_SIZE - 4096, length: 8192 },
      { start: 3 * CHUNK_SIZE + 4096, length: 225 },
    ];
    const bytes = Buffer.alloc(size);
    writeFileSync(path, '');
    truncateSync(path, size);
    const fd = openSync(path, 'r+');
    for (const { start, length } of extents) {
      bytes.fill(7, start, start + length);
      writeSync(fd, bytes, start, length, start);
    }
    const expected = await hashed([bytes]);
    for (const algorithm of ['derived', 'sha256'] as const) {
      expect((await digestFile(path, algorithm)).digest).toBe(expected[algorithm]);
      expect((await digestFile(path, algorithm, { extents })).digest).toBe(expected[algorithm]);
    }
    // What is said to be a hole is really not read.
    expect((await digestFile(path, 'derived', { extents: [] })).digest).toBe(tree(Buffer.alloc(size)));
  });

  it('report every byte once, and stop at a signal', async () => {
    const path = join(tempDir(), 'f');
    const size = 2 * CHUNK_SIZE + 99;
    writeFileSync(path, sample(size));
    for (const algorithm of ['derived', 'sha256'] as const) {
      let done = 0;
      await digestFile(path, algorithm, { onBytes: (n) => (done += n) });
      expect(done).toBe(size);
      const stop = new AbortController();
      const run = digestFile(path, algorithm, {
        signal: stop.signal,
        onBytes: () => stop.abort(new Error('stopped')),
      });
      await expect(run).rejects.toThrow('stopped');
    }
  });

  it('say what is wrong with a path', async () => {
    const dir = tempDir();
    await expect(digestFile(join(dir, 'none'), 'sha256')).rejects.toMatchObject({ code: 'io' });
    await expect(digestFile(dir, 'derived')).rejects.toMatchObject({ code: 'io' });
  });
});
