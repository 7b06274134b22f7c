// A look at one end of a file that is not here: a few bytes, asked for once. For estimates only, so that nothing that
// goes wrong is an error, and nobody waits for it long.
import { open } from 'node:fs/promises';
import { ResError } from '../model/error.js';
import { filePath } from './local-file.js';
import type { Network } from './network.js';
import { interrupted } from './retry.js';
import type { FetchLocation } from './source.js';
import { type Answer, get } from './wire.js';

export type Span = { readonly first: number } | { readonly last: number };

export interface Peeked {
  readonly bytes: Uint8Array;
  /** Bytes of the whole file, where the answer told. */
  readonly size: number | undefined;
}

/** ms for the whole of it. */
const PATIENCE_MS = 3000;

export interface PeekOptions {
  readonly network: Network;
  readonly url: string;
  readonly headers?: FetchLocation['headers'];
  readonly span: Span;
  readonly signal: AbortSignal;
}

/** The first or last bytes of a file, fewer when it is shorter; undefined when they cannot be had. Rejects with ResError `interrupted`. */
export async function peek(o: PeekOptions): Promise<Peeked | undefined> {
  try {
    return /^file:/i.test(o.url) ? await peekFile(filePath(o.url), o.span) : await ask(o);
  } catch (error) {
    if (o.signal.aborted) throw interrupted();
    // Out of time, a broken connection, no such file: the download will say so, if it comes to that.
    if (
      error instanceof Error &&
      (error instanceof ResError || 'code' in error || error.name === 'TimeoutError')
    )
      return undefined;
    throw error;
  }
}

async function ask({ network, url, headers, span, signal }: PeekOptions): Promise<Peeked | undefined> {
  const count = 'first' in span ? span.first : span.last;
  const answer = await get(network, {
    url,
    headers: { range: 'first' in span ? `bytes=0-${count - 1}` : `bytes=-${count}` },
    ...(headers === undefined ? {} : { ownHeaders: headers }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
  });
  if (answer.kind === 'failed') return undefined;
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '');
  const size = range ? Number(range[3]) : undefined;
  // Not all servers give the range that was asked for.
  const start = 'first' in span ? 0 : Math.max(0, (size ?? 0) - count);
  const isWhole = 'first' in span || Number(range?.[2]) + 1 === size;
  if (answer.status === 206 && Number(range?.[1]) === start && isWhole)
    return { bytes: await firstBytes(answer, count), size };
  // A server that knows no ranges begins with the whole: of that the beginning will do.
  if (answer.status === 200 && 'first' in span) {
    const length = Number(answer.headers['content-length']);
    const bytes = await firstBytes(answer, count);
    return { bytes, size: Number.isSafeInteger(length) ? length : undefined };
  }
  await answer.discard();
  return undefined;
}

async function firstBytes(answer: Answer, count: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const batch of answer.body) {
    for (const piece of batch) {
      pieces.push(piece);
      length += piece.length;
    }
    if (length >= count) break;
  }
  return Buffer.concat(pieces).subarray(0, count);
}

/** The same of a file on this machine. Rejects with the system's error. */
export async function peekFile(path: string, span: Span): Promise<Peeked> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, 'first' in span ? span.first : span.last);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, 'first' in span ? 0 : size - length);
    return { bytes: buffer.subarray(0, bytesRead), size };
  } finally {
    await file.close();
  }
}
