import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { giveBack, lend } from '../../src/store/lent.js';

/** Memory of its own, as a stream's piece has it. */
function memory(bytes = 256 * 1024): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes)).fill(7);
}

describe('memory that was lent', () => {
  it('is free once it is given back', () => {
    const piece = lend(memory());
    giveBack(piece);
    expect(piece.buffer.byteLength).toBe(0);
    expect(piece).toHaveLength(0);
    expect(() => giveBack(piece)).not.toThrow();
  });

  it('in parts is free with its last byte', () => {
    const whole = memory();
    const [first, last] = [lend(whole.subarray(0, 1000)), lend(whole.subarray(1000))];
    giveBack(first);
    giveBack(last.subarray(0, 1000));
    expect(whole[0]).toBe(7);
    giveBack(last.subarray(1000));
    expect(whole).toHaveLength(0);
  });

  it('is left alone when nobody lent it, or others have a share in it', () => {
    const own = memory();
    giveBack(own);
    expect(own[0]).toBe(7);
    const pooled = Buffer.from('a small buffer lies among others');
    giveBack(lend(new Uint8Array(pooled.buffer)));
    giveBack(lend(pooled));
    expect(pooled.toString()).toBe('a small buffer lies among others');
  });

  it('is free also when it is as long as what small buffers share', () => {
    // Both as long as Node 20 has it, which is little, and as what a socket gives at most.
    for (const bytes of [Buffer.poolSize + 1, 64 * 1024]) {
      const piece = lend(memory(bytes));
      giveBack(piece);
      expect(piece).toHaveLength(0);
    }
  });

  it('is not garbage: gigabytes of it leave the process small', async () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let round = 0; round < 200; round++) {
      giveBack(lend(memory(1 << 20)));
      await nextTurn();
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
    }
  });
});
