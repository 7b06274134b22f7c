// What a release server hands out: bytes in memory or a file on disk, with the validators HTTP needs.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Bytes, or a file that is streamed. A known `sha256` (hex) of a file saves hashing it. */
export type Bytes = Uint8Array | { readonly path: string; readonly sha256?: string };

export interface Content {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  /** Strong, by content, with its quotes. */
  readonly etag: string;
  /** Whole seconds, as HTTP dates are. */
  readonly modified: Date;
  /** The bytes from `start` up to, not including, `end`. */
  chunks(start: number, end: number): AsyncIterable<Uint8Array>;
}

const MEMORY_CHUNK = 64 * 1024;
const FILE_CHUNK = 1024 * 1024;

export async function contentOf(bytes: Bytes, modified: Date): Promise<Content> {
  if (bytes instanceof Uint8Array) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return content(bytes.byteLength, sha256, modified, (start, end) => slices(bytes, start, end));
  }
  const { size } = await stat(bytes.path);
  const sha256 = bytes.sha256 ?? (await sha256OfFile(bytes.path));
  return content(size, sha256, modified, (start, end) => fileChunks(bytes.path, start, end));
}

/** Hex sha256 of a file. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of fileChunks(path, 0, Number.POSITIVE_INFINITY)) hash.update(chunk);
  return hash.digest('hex');
}

function content(size: number, sha256: string, modified: Date, chunks: Content['chunks']): Content {
  return { size, sha256, etag: `"${sha256.slice(0, 32)}"`, modified, chunks };
}

async function* slices(bytes: Uint8Array, start: number, end: number): AsyncIterable<Uint8Array> {
  for (let at = start; at < end; at += MEMORY_CHUNK)
    yield bytes.subarray(at, Math.min(end, at + MEMORY_CHUNK));
}

async function* fileChunks(path: string, start: number, end: number): AsyncIterable<Uint8Array> {
  if (end <= start) return;
  const stream = createReadStream(path, { start, end: end - 1, highWaterMark: FILE_CHUNK });
  for await (const chunk of stream) if (chunk instanceof Uint8Array) yield chunk;
}
