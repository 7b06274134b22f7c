// bzip2 without the program. Drives the block decoder of unbzip2-stream itself: its stream would decode all that it has at
// once, and a few bytes of bzip2 can be gigabytes.
import bitIterator from 'unbzip2-stream/lib/bit_iterator.js';
import bzip2 from 'unbzip2-stream/lib/bzip2.js';
import { ByteReader } from '../store/byte-reader.js';
import { DamagedError } from './bytes.js';

/** A block is never longer than this, compressed, for each 100 kB of its level; and the header of a stream. */
const PER_LEVEL = 100_000 + 25_000;
const LEVEL_MAX = 9;

/** Any number of streams. Throws DamagedError, which says what is wrong with the data. */
export async function* unbzip2(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(input);
  // The bit reader asks for its first piece at once.
  const pieces: Uint8Array[] = [new Uint8Array(0)];
  let held = 0;
  const bits = bitIterator(() => pieces.shift());
  const work = new Int32Array(100_000 * LEVEL_MAX);
  let level = 0;
  let crc: number | null = null;
  try {
    for (;;) {
      while (held - bits.bytesRead < PER_LEVEL * LEVEL_MAX) {
        const piece = await reader.some(Number.POSITIVE_INFINITY);
        if (piece === undefined) break;
        pieces.push(piece);
        held += piece.length;
      }
      if (crc === null) {
        if (held === bits.bytesRead) return;
        level = decode(() => bzip2.header(bits));
        crc = 0;
        continue;
      }
      const block = new GrowingBytes();
      const before: number = crc;
      crc = decode(() => bzip2.decompress(bits, (byte) => block.push(byte), work, 100_000 * level, before));
      if (block.length > 0) yield block.bytes();
    }
  } finally {
    await reader.close();
  }
}

/** The decoder reads beyond the end of its input with a TypeError. */
function decode<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof TypeError) throw new DamagedError('unexpected end');
    throw new DamagedError(
      error instanceof Error && error.message.includes('crc32')
        ? 'a checksum does not match'
        : 'its data is damaged',
    );
  }
}

class GrowingBytes {
  #bytes = Buffer.allocUnsafe(1024 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(byte: number): void {
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], this.#length * 2);
    this.#bytes[this.#length++] = byte;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
