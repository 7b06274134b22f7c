import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSparseWriter } from '../../src/store/sparse.js';
import { tempDir } from './temp.js';

const BLOCK = 64 * 1024;

describe('a sparse writer', () => {
  it('writes exactly the bytes it is given, however they are cut', async () => {
    const dir = tempDir();
    let n = 0;
    // Runs of zeros and of other bytes, around the sizes of blocks and buffers.
    const run = fc.record({
      byte: fc.constantFrom(0, 0, 1),
      length: fc.oneof(
        fc.integer({ min: 1, max: 300_000 }),
        fc.constantFrom(BLOCK, BLOCK - 1, BLOCK + 1, 16 * BLOCK, 17 * BLOCK),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 8 }), async (runs) => {
        const path = join(dir, `f${n++}`);
        const writer = await openSparseWriter(path);
        const pieces = runs.map(({ byte, length }) => Buffer.alloc(length, byte));
        for (const piece of pieces) {
          const reused = Buffer.from(piece);
          await writer.write(reused);
          reused.fill(9);
        }
        const expected = Buffer.concat(pieces);
        expect(await writer.close()).toEqual({ size: expected.length });
        expect(readFileSync(path).equals(expected)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('makes holes of zeros, also at the end', async () => {
    const path = join(tempDir(), 'f');
    const writer = await openSparseWriter(path);
    const zeros = Buffer.alloc(16 * BLOCK);
    for (let i = 0; i < 8; i++) await writer.write(zeros);
    await writer.write(Buffer.alloc(BLOCK, 'x'));
    for (let i = 0; i < 8; i++) await writer.write(zeros);
    await writer.close();
    const { size, blocks } = statSync(path);
    expect(size).toBe(257 * BLOCK);
    expect(blocks * 512).toBeLessThanOrEqual(2 * BLOCK);
  });

  it('never writes over a file, and leaves nothing when given up', async () => {
    const path = join(tempDir(), 'f');
    const writer = await openSparseWriter(path);
    await expect(openSparseWriter(path)).rejects.toMatchObject({ code: 'EEXIST' });
    await writer.write(Buffer.alloc(3 * 1024 * 1024, 'x'));
    await writer.abort();
    expect(existsSync(path)).toBe(false);
  });
});
