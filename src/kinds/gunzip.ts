// gzip by zlib, which works on threads of its own. Stricter than node:zlib alone, which passes over what follows zero padding.
import { once } from 'node:events';
import { createGunzip, type Gunzip } from 'node:zlib';
import { isZero } from './bytes.js';

/** Inflated bytes a piece, and as many as may wait for the consumer: the threads work ahead that far. */
const PIECE = 256 * 1024;
const AHEAD = 4 * PIECE;

/** Any number of members, then nothing but zeros. Throws an Error that says what is wrong with the data. */
export async function* gunzip(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = createGunzip({ chunkSize: PIECE, highWaterMark: AHEAD });
  // A failure of the feeding comes out of the decoder; this promise itself never rejects.
  const fed = feed(input, decoder).catch((error: unknown) => {
    decoder.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    yield* decoder as AsyncIterable<Uint8Array>;
    await fed;
    // What comes after the last member is looked at only when the decoder has ended.
    if (decoder.errored) throw decoder.errored;
  } finally {
    decoder.destroy();
    await fed;
  }
}

async function feed(input: AsyncIterable<Uint8Array>, decoder: Gunzip): Promise<void> {
  let given = 0;
  let ended = false;
  for await (const piece of input) {
    let padding = piece;
    if (!ended) {
      await write(decoder, piece);
      if (decoder.destroyed && !decoder.readableEnded) return;
      given += piece.length;
      // The decoder leaves bytes behind only when a member ended and zeros follow it.
      const left = given - decoder.bytesWritten;
      if (left === 0) continue;
      ended = true;
      padding = piece.subarray(piece.length - left);
    }
    if (!isZero(padding)) throw new Error('something else follows its end');
  }
  if (!decoder.writableEnded) decoder.end();
}

/** One piece at a time, so that it is known how far the decoder got. */
async function write(decoder: Gunzip, piece: Uint8Array): Promise<void> {
  const closed = new AbortController();
  try {
    // A decoder that its consumer leaves in mid-write never calls back.
    await Promise.race([
      new Promise<void>((resolve) => decoder.write(piece, () => resolve())),
      once(decoder, 'close', { signal: closed.signal }).catch(() => undefined),
    ]);
  } finally {
    closed.abort();
  }
}
