// gzip by zlib, which works on threads of its own. Stricter than node:zlib alone, which passes over what follows zero padding.
import type { TransformOptions } from 'node:stream';
import { createGunzip, type Gunzip, type ZlibOptions } from 'node:zlib';
import { giveBack, lend } from '../store/lent.js';
import { isZero } from '../store/zeros.js';
import { DamagedError } from './bytes.js';

/** Inflated bytes a piece, and pieces that may wait for the consumer: the threads work ahead that far. */
const PIECE = 1024 * 1024;
const AHEAD = 3;
/** Pieces come out as objects, for of bytes the stream would put those that wait together into a new one. */
const OPTIONS: ZlibOptions & Pick<TransformOptions, 'readableObjectMode' | 'readableHighWaterMark'> = {
  chunkSize: PIECE,
  readableObjectMode: true,
  readableHighWaterMark: AHEAD,
};

/** Any number of members, then nothing but zeros. Throws DamagedError, which says what is wrong with the data. */
export async function* gunzip(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = createGunzip(OPTIONS);
  let failure: { readonly error: unknown } | undefined;
  const fed = feed(input, decoder).catch((error: unknown) => {
    failure = { error };
    decoder.destroy();
  });
  try {
    for await (const piece of decoder) yield lend(piece);
    // The decoder ends with the last member; what comes after it is still to be looked at.
    await fed;
    if (failure) throw failure.error;
  } catch (error) {
    throw failure ? failure.error : damaged(error);
  } finally {
    decoder.destroy();
    await fed;
  }
}

/** Stops when the decoder fails or is left; rejects with what the input throws. */
async function feed(input: AsyncIterable<Uint8Array>, decoder: Gunzip): Promise<void> {
  let resume: () => void = () => undefined;
  // A decoder that is left in mid-write does not call back.
  decoder.once('close', () => resume());
  // One piece at a time, so that it is known how far the decoder got.
  const write = (piece: Uint8Array) =>
    new Promise<void>((resolve) => {
      resume = resolve;
      decoder.write(piece, () => resolve());
    });
  let given = 0;
  let ended = false;
  for await (const piece of input) {
    let padding = piece;
    if (!ended) {
      await write(piece);
      if (decoder.destroyed) return;
      given += piece.length;
      // It leaves bytes behind only when a member has ended and a zero follows.
      const left = given - decoder.bytesWritten;
      if (left === 0) {
        giveBack(piece);
        continue;
      }
      ended = true;
      padding = piece.subarray(piece.length - left);
    }
    if (!isZero(padding)) throw new DamagedError('something else follows its end');
  }
  decoder.end();
}

function damaged(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('Z_')) return error;
  return new DamagedError(error.code === 'Z_BUF_ERROR' ? 'unexpected end' : error.message, { cause: error });
}
