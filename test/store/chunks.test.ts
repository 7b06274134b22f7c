// The sums of a download's pieces name every damage, and are believed only when they are whole themselves.
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkSummer, type ChunkSums, SUM_CHUNK } from '../../src/store/chunk-summer.js';
import { chunkSumsPath, damagedRanges, readChunkSums, recordChunkSums } from '../../src/store/chunks.js';
import { seededBytes } from '../rig/random.js';
import { tempDir } from './temp.js';

const SIZE = 3 * SUM_CHUNK + 1000;
const BYTES = seededBytes('chunks', SIZE);
const NAME = 'ab'.repeat(32);

function sumsOf(bytes: Uint8Array, pieces: readonly number[] = []): ChunkSums {
  const summer = new ChunkSummer();
  let at = 0;
  for (const piece of pieces) {
    summer.update(bytes.subarray(at, at + piece));
    at += piece;
  }
  summer.update(bytes.subarray(Math.min(at, bytes.length)));
  return summer.sums();
}

describe('sums', () => {
  it('are the same however the bytes arrive', () => {
    const whole = sumsOf(BYTES);
    expect(whole).toMatchObject({ size: SIZE });
    expect(whole.sums).toHaveLength(4);
    const piece = fc.oneof(fc.integer({ min: 0, max: 2 * SUM_CHUNK }), fc.constant(SUM_CHUNK));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        expect(sumsOf(BYTES, pieces)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  it('of whole pieces have no empty one at the end', () => {
    expect(sumsOf(BYTES.subarray(0, 2 * SUM_CHUNK)).sums).toHaveLength(2);
    expect(sumsOf(BYTES.subarray(0, 0))).toEqual({ size: 0, sums: [] });
  });

  it('are read as they were recorded', async () => {
    const store = tempDir();
    const sums = sumsOf(BYTES);
    expect(await readChunkSums(store, NAME)).toBeUndefined();
    await recordChunkSums(store, NAME, sums);
    await recordChunkSums(store, NAME, sums);
    expect(await readChunkSums(store, NAME)).toEqual(sums);
  });

  it('are not kept of what is one piece: all of it would be fetched anyway', async () => {
    const store = tempDir();
    await recordChunkSums(store, NAME, sumsOf(BYTES.subarray(0, SUM_CHUNK)));
    expect(await readChunkSums(store, NAME)).toBeUndefined();
  });

  it('that were torn or changed count as absent, and are recorded anew', async () => {
    const store = tempDir();
    const sums = sumsOf(BYTES);
    await recordChunkSums(store, NAME, sums);
    const path = chunkSumsPath(store, NAME);
    const text = readFileSync(path);
    for (let length = 0; length < text.length; length++) {
      writeFileSync(path, text.subarray(0, length));
      expect(await readChunkSums(store, NAME)).toBeUndefined();
    }
    for (let at = 0; at < text.length; at++) {
      const changed = Buffer.from(text);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      expect(await readChunkSums(store, NAME)).toBeUndefined();
    }
    await recordChunkSums(store, NAME, sums);
    expect(await readChunkSums(store, NAME)).toEqual(sums);
  });
});

describe('damage', () => {
  const sums = sumsOf(BYTES);
  function fileWith(change: (bytes: Buffer) => Buffer): string {
    const path = join(tempDir(), 'file');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, change(Buffer.from(BYTES)));
    return path;
  }

  it('of a sound file is none', async () => {
    expect(
      await damagedRanges(
        fileWith((bytes) => bytes),
        sums,
      ),
    ).toEqual([]);
  });

  it('is found at any offset, in just the pieces in which it is', async () => {
    const path = fileWith((bytes) => bytes);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: SIZE - 1 }), { minLength: 1, maxLength: 4 }),
        async (offsets) => {
          const bytes = Buffer.from(BYTES);
          for (const at of offsets) bytes[at] = (bytes[at] ?? 0) ^ 0x10;
          writeFileSync(path, bytes);
          const ranges = await damagedRanges(path, sums);
          const hit = new Set(offsets.map((at) => Math.floor(at / SUM_CHUNK)));
          const named = ranges.flatMap(({ start, length }) =>
            Array.from({ length: Math.ceil(length / SUM_CHUNK) }, (_, i) => start / SUM_CHUNK + i),
          );
          expect(new Set(named)).toEqual(hit);
          expect(named).toHaveLength(hit.size);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('joins neighbours, and ends where the file ends', async () => {
    const path = fileWith((bytes) => bytes.fill(0, 2 * SUM_CHUNK - 1));
    expect(await damagedRanges(path, sums)).toEqual([{ start: SUM_CHUNK, length: SIZE - SUM_CHUNK }]);
  });

  it('of a file that was cut short begins with the piece that is not whole', async () => {
    const path = fileWith((bytes) => bytes);
    truncateSync(path, SUM_CHUNK + 1);
    expect(await damagedRanges(path, sums)).toEqual([{ start: SUM_CHUNK, length: SIZE - SUM_CHUNK }]);
    truncateSync(path, 0);
    expect(await damagedRanges(path, sums)).toEqual([{ start: 0, length: SIZE }]);
  });

  it('is no range where a file has too much', async () => {
    expect(
      await damagedRanges(
        fileWith((bytes) => Buffer.concat([bytes, bytes])),
        sums,
      ),
    ).toEqual([]);
  });
});
