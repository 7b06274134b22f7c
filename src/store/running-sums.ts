// The plain sums of bytes in order, as far as they have come.
import { createHash, type Hash } from 'node:crypto';
import { ChunkSummer, type ChunkSums } from './chunk-summer.js';

export interface FileSums {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  /** Where they were wanted. */
  readonly chunks?: ChunkSums;
}

export interface WantedSums {
  /** The sums of its pieces too. */
  readonly chunks: boolean;
}

export class RunningSums {
  readonly #hash: Hash = createHash('sha256');
  readonly #chunks: ChunkSummer | undefined;
  #size = 0;

  constructor(wanted: WantedSums) {
    this.#chunks = wanted.chunks ? new ChunkSummer() : undefined;
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#chunks?.update(bytes);
    this.#size += bytes.length;
  }

  /** Of the bytes so far; more may follow. */
  sums(): FileSums {
    return {
      size: this.#size,
      sha256: this.#hash.copy().digest('hex'),
      ...(this.#chunks ? { chunks: this.#chunks.sums() } : {}),
    };
  }
}
