// Bytes on their way: read from files in pieces, counted and hashed as they pass, written once.
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { openSparseWriter } from '../store/files.js';
import { type ContentDigests, ContentHasher } from '../store/hashing.js';

const PIECE = 1 << 20;

/** The files, one after the other, in pieces of up to 1 MiB. */
export async function* readFiles(paths: readonly string[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    const stream = createReadStream(path, { highWaterMark: PIECE, signal });
    yield* piecesOf(stream);
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

/** Writes a stream to a new file, zeros as holes, and hashes it on the way. The file is not yet synced. */
export async function writeStream(
  source: AsyncIterable<Uint8Array>,
  path: string,
  wanted: { readonly sha256: boolean; readonly derived: boolean },
): Promise<ContentDigests> {
  const writer = await openSparseWriter(path);
  const tapped = tap(source, wanted);
  try {
    for await (const piece of tapped.stream) await writer.write(piece);
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  const digests = await tapped.digests();
  if (!digests) throw new Error('a stream ended without its digest');
  return digests;
}

/** A name in `folder` for a file that a stream is spooled to. */
export function spoolPath(folder: string, index: number): string {
  return join(folder, `input-${index}`);
}
