import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChunkSummer } from '../../src/store/chunk-summer.js';
import { GrowingSums } from '../../src/store/growing-sums.js';
import { seededBytes } from '../rig/random.js';

const MiB = 1024 * 1024;
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'res-growing-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function expected(bytes: Uint8Array) {
  const chunks = new ChunkSummer();
  chunks.update(bytes);
  return {
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    chunks: chunks.sums(),
  };
}

/** A file that is written piece by piece. */
class Growing {
  readonly path = join(dir, `file-${Math.random()}`);
  readonly sums = new GrowingSums(this.path, { chunks: true });
  readonly #fd = openSync(this.path, 'w');
  #size = 0;

  /** @param passes whether the piece is seen on its way */
  add(piece: Uint8Array, passes: boolean): void {
    if (passes) this.sums.pass(piece);
    writeSync(this.#fd, piece, 0, piece.length, this.#size);
    this.#size += piece.length;
    this.sums.reach(this.#size);
  }

  close(): void {
    this.sums.close();
    closeSync(this.#fd);
  }
}

describe('the sums of a growing file', () => {
  const bytes = seededBytes('growing', 20 * MiB);

  it.each([
    ['in small pieces that pass', 100_000, 2 * MiB, true],
    ['in pieces that nobody saw', 100_000, 2 * MiB, false],
    ['longer than what is summed in passing', MiB, 20 * MiB, true],
    ['longer, unseen', MiB, 20 * MiB, false],
    ['of nothing', 1, 0, true],
  ])('are those of its bytes: %s', async (_name, piece, size, passes) => {
    const file = new Growing();
    for (let at = 0; at < size; at += piece) file.add(bytes.subarray(at, Math.min(at + piece, size)), passes);
    expect(await file.sums.sums()).toEqual(expected(bytes.subarray(0, size)));
    file.close();
  });

  it('may be asked for on the way, however its bytes came', async () => {
    const step = fc.record({ length: fc.nat(300_000), passes: fc.boolean(), asks: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const file = new Growing();
        let at = 0;
        for (const { length, passes, asks } of steps) {
          file.add(bytes.subarray(at, at + length), passes);
          at += length;
          if (asks) expect(await file.sums.sums()).toEqual(expected(bytes.subarray(0, at)));
        }
        expect(await file.sums.sums()).toEqual(expected(bytes.subarray(0, at)));
        file.close();
      }),
      { numRuns: 40 },
    );
  });

  it('count what a sparse file lacks at its end as zeros', async () => {
    const path = join(dir, 'sparse');
    writeFileSync(path, 'data');
    const sums = new GrowingSums(path, { chunks: true });
    sums.reach(3 * MiB);
    const zeros = Buffer.alloc(3 * MiB);
    zeros.write('data');
    expect(await sums.sums()).toEqual(expected(zeros));
    sums.close();
  });

  it('forget all when it begins anew', async () => {
    const file = new Growing();
    file.add(bytes.subarray(0, 2 * MiB), false);
    await file.sums.sums();
    truncateSync(file.path, 0);
    file.sums.restart();
    writeFileSync(file.path, bytes.subarray(5, MiB));
    file.sums.reach(MiB - 5);
    expect(await file.sums.sums()).toEqual(expected(bytes.subarray(5, MiB)));
    file.close();
  });

  it('of a file that is gone are an error that names it', async () => {
    const sums = new GrowingSums(join(dir, 'nowhere'), { chunks: false });
    sums.reach(5);
    await expect(sums.sums()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('nowhere'),
    });
    sums.close();
  });

  it('are not waited for after an interrupt', async () => {
    const file = new Growing();
    file.add(bytes, false);
    const stop = new AbortController();
    const asked = file.sums.sums(stop.signal);
    stop.abort(new Error('stop'));
    await expect(asked).rejects.toThrow('stop');
    file.close();
  });
});
