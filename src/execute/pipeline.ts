// Bytes on their way: read from files in pieces, counted and hashed as they pass, written once.
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { sha256Digest } from '../model/digest.js';
import { ioError, openSparseWriter } from '../store/files.js';
import { GrowingSums } from '../store/growing-sums.js';
import { type ContentDigests, ContentHasher } from '../store/hashing.js';
import { giveBack, lend } from '../store/lent.js';

const PIECE = 1 << 20;
/** Bytes. Read at once: a stream, or only to wait, costs more than it gains. */
const SMALL = 1 << 16;

/** The files, one after the other, in pieces of up to 1 MiB. */
export async function* readFiles(paths: readonly string[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    if (statSync(path).size <= SMALL) {
      signal.throwIfAborted();
      yield readFileSync(path);
      continue;
    }
    const stream = createReadStream(path, { highWaterMark: PIECE, signal });
    for await (const piece of piecesOf(stream)) yield lend(piece);
  }
}

/** What a stream of bytes gives: Node types it as anything. */
export async function* piecesOf(stream: Readable): AsyncGenerator<Uint8Array> {
  for await (const piece of stream) {
    if (!(piece instanceof Uint8Array)) throw new Error('a stream of bytes gave something else');
    yield piece;
  }
}

/** Passes pieces on and tells of each how long it was. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onBytes(piece.length);
    yield piece;
  }
}

/** A stream that is hashed as it is consumed; `digests` is settled once the consumer has seen the end. */
export interface Tapped {
  readonly stream: AsyncIterable<Uint8Array>;
  digests(): Promise<ContentDigests> | undefined;
}

export function tap(
  source: AsyncIterable<Uint8Array>,
  wanted: { readonly sha256: boolean; readonly derived: boolean },
): Tapped {
  let result: Promise<ContentDigests> | undefined;
  async function* pass(): AsyncGenerator<Uint8Array> {
    const hasher = new ContentHasher(wanted);
    for await (const piece of source) {
      await hasher.update(piece);
      yield piece;
    }
    result = hasher.finish();
    await result;
  }
  return { stream: pass(), digests: () => result };
}

export interface WriteOptions {
  readonly sha256: boolean;
  readonly derived: boolean;
  /** Bytes on disk that the file needs beside what is written of it, as far as that is known: told when the disk is full. */
  readonly missingBytes?: () => Promise<number | undefined>;
  /** Called when all is in the file; its digests may not be known yet. */
  readonly onWritten?: () => void;
}

/**
 * Writes a stream to a new file, zeros as holes, and hashes it on the way. The file is not yet synced, and not there when it
 * fails. Rejects with ResError `io` or `no-space`, or as the stream does.
 */
export async function writeStream(
  source: AsyncIterable<Uint8Array>,
  path: string,
  wanted: WriteOptions,
): Promise<ContentDigests> {
  // The system's own error of a write tells no path.
  const writing = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw ioError(error, 'cannot write', path, await wanted.missingBytes?.());
    }
  };
  const writer = await writing(openSparseWriter(path));
  const tapped = tap(source, { sha256: false, derived: wanted.derived });
  const plain = wanted.sha256 ? new GrowingSums(path, { chunks: false }) : undefined;
  try {
    for await (const piece of tapped.stream) {
      plain?.pass(piece);
      await writing(writer.write(piece));
      plain?.reach(writer.written);
      giveBack(piece);
    }
    const { size } = await writing(writer.close());
    wanted.onWritten?.();
    plain?.reach(size);
    const digests = await tapped.digests();
    const sums = await plain?.sums();
    if (!digests) throw new Error('a stream ended without its digest');
    return sums ? { ...digests, sha256: sha256Digest(sums.sha256) } : digests;
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    plain?.close();
  }
}

/** A name in `folder` for a file that a stream is spooled to. */
export function spoolPath(folder: string, index: number): string {
  return join(folder, `input-${index}`);
}
