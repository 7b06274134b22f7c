// Sums of the pieces of a stream, of one length each: what `chunks.ts` keeps of a download.
import { crc32 } from 'node:zlib';

/** Bytes a sum; of the last one, what is left. */
export const SUM_CHUNK = 1024 * 1024;

export interface ChunkSums {
  /** Bytes of the whole. */
  readonly size: number;
  /** CRC-32 of each SUM_CHUNK bytes, in order. */
  readonly sums: readonly number[];
}

/** Takes in bytes that pass by. */
export class ChunkSummer {
  readonly #sums: number[] = [];
  #size = 0;
  #current = 0;

  update(bytes: Uint8Array): void {
    let taken = 0;
    while (taken < bytes.length) {
      const filled = this.#size % SUM_CHUNK;
      const part = bytes.subarray(taken, taken + SUM_CHUNK - filled);
      this.#current = crc32(part, filled === 0 ? 0 : this.#current);
      this.#size += part.length;
      taken += part.length;
      if (this.#size % SUM_CHUNK === 0) this.#sums.push(this.#current);
    }
  }

  /** Of the bytes so far. */
  sums(): ChunkSums {
    const size = this.#size;
    return { size, sums: size % SUM_CHUNK === 0 ? [...this.#sums] : [...this.#sums, this.#current] };
  }
}
