// Digests of content: while it streams by, and of files at rest. What `sha256:` and `tree:` mean is defined here.
//
// tree: sha256 over the file's length (8 bytes, big endian) and the sha256 of each 4 MiB chunk, in order. Chunks are hashed
// in parallel, and a chunk of zeros is never hashed: images are mostly holes.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { CHUNK_SIZE, type Digest, digestAlgorithm, sha256Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Extent } from './extents.js';
import { ioError } from './files.js';
import { CHUNKS_AHEAD, threadForChunk, worthAThread } from './hash-threads.js';
import { giveBack, lend } from './lent.js';

/** `sha256`: as `sha256sum`. `derived`: plain sha256 up to CHUNK_SIZE bytes, `tree:` above. */
export type HashAlgorithm = 'sha256' | 'derived';

/** How content is hashed again that has this digest. */
export function algorithmOf(digest: Digest): HashAlgorithm {
  return digestAlgorithm(digest) === 'tree' ? 'derived' : 'sha256';
}

export interface ContentDigests {
  /** Bytes. */
  readonly size: number;
  readonly sha256?: Digest;
  readonly derived?: Digest;
}

export interface HashOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes done since the last call, holes included: they add up to the size. */
  readonly onBytes?: (bytes: number) => void;
}

export interface FileHashOptions extends HashOptions {
  /** Ranges that may hold data; what lies outside is taken for zeros and not read. */
  readonly extents?: readonly Extent[];
}

const READ_SIZE = 1024 * 1024;
const ZEROS = Buffer.alloc(CHUNK_SIZE);
/** The sha256 of ZEROS, written out: a build with nothing to do shall not hash 4 MiB to start. */
const ZERO_CHUNK = Buffer.from('bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8', 'hex');

/** Chunks of one stream that are hashed while the next one fills; one core hashes as fast as most streams come. */
const STREAM_CHUNKS = 2;
/** Chunks of files at a time in the whole process, so that memory stays flat however many files are hashed. */
const FILE_CHUNKS = Math.min(4, availableParallelism());

/** In Node's thread pool; the event loop is held only for as long as it takes to copy it, which that way of hashing wants. */
async function digestChunk(chunk: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  // A hole comes as the constant itself and need not even be compared.
  if (chunk.length === CHUNK_SIZE && (chunk.buffer === ZEROS.buffer || ZEROS.equals(chunk)))
    return ZERO_CHUNK;
  return new Uint8Array(await crypto.subtle.digest('SHA-256', chunk));
}

function plainDigest(sum: Uint8Array): Digest {
  return sha256Digest(Buffer.from(sum).toString('hex'));
}

function treeDigest(size: number, chunks: readonly Uint8Array[]): Digest {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(size));
  const hash = createHash('sha256').update(length);
  for (const chunk of chunks) hash.update(chunk);
  return `tree:${hash.digest('hex')}`;
}

/** The derived digest from those of the chunks: content of one chunk is known by its plain sum. */
function derivedDigest(size: number, chunks: readonly Uint8Array[]): Digest {
  const [first = createHash('sha256').digest()] = chunks;
  return size <= CHUNK_SIZE ? plainDigest(first) : treeDigest(size, chunks);
}

/** Digests of bytes that pass by. Await `update`: that is the back-pressure. */
export class ContentHasher {
  readonly #sha256;
  readonly #chunks: ChunkHasher | undefined;
  #size = 0;

  constructor(wanted: { readonly sha256: boolean; readonly derived: boolean }) {
    this.#sha256 = wanted.sha256 ? createHash('sha256') : undefined;
    this.#chunks = wanted.derived ? new ChunkHasher() : undefined;
  }

  /** The chunk may be reused once the result is awaited. */
  update(chunk: Uint8Array): void | Promise<void> {
    this.#size += chunk.length;
    this.#sha256?.update(chunk);
    return this.#chunks?.update(chunk);
  }

  async finish(): Promise<ContentDigests> {
    const chunks = await this.#chunks?.finish();
    return {
      size: this.#size,
      ...(this.#sha256 ? { sha256: sha256Digest(this.#sha256.digest('hex')) } : {}),
      ...(chunks ? { derived: derivedDigest(this.#size, chunks) } : {}),
    };
  }
}

class ChunkHasher {
  readonly #sums: Promise<Uint8Array>[] = [];
  #buffer: Buffer<ArrayBuffer> | undefined;
  #filled = 0;

  update(chunk: Uint8Array): void | Promise<void> {
    const room = CHUNK_SIZE - this.#filled;
    // Most pieces only fill the buffer: no promise is made for them.
    if (chunk.length < room) return this.#take(chunk);
    return this.#fill(chunk);
  }

  async #fill(chunk: Uint8Array): Promise<void> {
    let taken = 0;
    while (taken < chunk.length) {
      const part = chunk.subarray(taken, taken + CHUNK_SIZE - this.#filled);
      this.#take(part);
      taken += part.length;
      if (this.#filled === CHUNK_SIZE) {
        this.#dispatch();
        // The oldest that may still be under way: at most STREAM_CHUNKS are.
        await this.#sums[this.#sums.length - STREAM_CHUNKS];
      }
    }
  }

  #take(part: Uint8Array): void {
    this.#buffer ??= takeChunkBuffer();
    this.#buffer.set(part, this.#filled);
    this.#filled += part.length;
  }

  #dispatch(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const sum = this.#digest(buffer.subarray(0, this.#filled));
    // A failure is seen by who awaits it; until then it must not count as unhandled.
    sum.catch(() => undefined);
    this.#sums.push(sum);
    this.#buffer = undefined;
    this.#filled = 0;
  }

  async #digest(chunk: Buffer<ArrayBuffer>): Promise<Uint8Array> {
    const before = this.#sums.length * CHUNK_SIZE;
    const thread = before + chunk.length > worthAThread() ? threadForChunk() : undefined;
    if (thread === undefined) {
      const sum = await digestChunk(chunk);
      leaveChunkBuffer(Buffer.from(chunk.buffer));
      return sum;
    }
    const { sum, chunk: back } = await thread.sumOfChunk(chunk);
    leaveChunkBuffer(Buffer.from(back.buffer));
    return sum;
  }

  finish(): Promise<Uint8Array[]> {
    this.#dispatch();
    return Promise.all(this.#sums);
  }
}

/**
 * The digest of a regular file (symbolic links are followed).
 * Rejects with ResError `io` (also when the file is cut short meanwhile), or with the signal's reason.
 */
export async function digestFile(
  path: string,
  algorithm: HashAlgorithm,
  o: FileHashOptions = {},
): Promise<{ readonly digest: Digest; readonly size: number }> {
  o.signal?.throwIfAborted();
  try {
    const file = await open(path, 'r');
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new ResError('io', `cannot read ${path}: not a regular file`);
      const { size } = stats;
      const digest =
        algorithm === 'sha256'
          ? await plainFile(file, path, size, o)
          : await derivedFile(file, path, size, o);
      return { digest, size };
    } finally {
      await file.close();
    }
  } catch (error) {
    o.signal?.throwIfAborted();
    throw ioError(error, 'cannot read', path);
  }
}

/**
 * One sum from beginning to end. Reading the next MiB while the last one is hashed is a fifth to a third faster here than
 * hasha's worker (0.35 against 0.49 s for 512 MiB), which reads in small pieces and takes one file at a time; the event loop
 * is held for less than a millisecond a piece.
 */
async function plainFile(file: FileHandle, path: string, size: number, o: FileHashOptions): Promise<Digest> {
  const hash = createHash('sha256');
  let current = Buffer.allocUnsafe(READ_SIZE);
  let next = Buffer.allocUnsafe(READ_SIZE);
  const pieces = new Pieces(file, path, size, READ_SIZE, o.extents);
  let reading = pieces.read(current, 0);
  for (let position = 0; position < size; position += READ_SIZE) {
    const piece = await reading;
    o.signal?.throwIfAborted();
    // A failure of the read ahead is seen in the next turn; until then it must not count as unhandled.
    reading = pieces.read(next, position + READ_SIZE);
    reading.catch(() => undefined);
    hash.update(piece);
    o.onBytes?.(piece.length);
    [current, next] = [next, current];
  }
  await reading;
  return sha256Digest(hash.digest('hex'));
}

async function derivedFile(
  file: FileHandle,
  path: string,
  size: number,
  o: FileHashOptions,
): Promise<Digest> {
  const count = Math.ceil(size / CHUNK_SIZE);
  const isLarge = size > worthAThread();
  const sums: Uint8Array[] = new Array(count);
  const pieces = new Pieces(file, path, size, CHUNK_SIZE, o.extents);
  let index = 0;
  async function work(): Promise<void> {
    while (index < count) {
      const start = index++ * CHUNK_SIZE;
      o.signal?.throwIfAborted();
      const length = Math.min(CHUNK_SIZE, size - start);
      sums[start / CHUNK_SIZE] = (await inThread(start, length)) ?? (await inPool(start));
      o.onBytes?.(length);
    }
  }
  /** Without a thread, or where it could not read. */
  function inPool(start: number): Promise<Uint8Array> {
    return withChunkBuffer(async (buffer) => digestChunk(await pieces.read(buffer, start)));
  }
  async function inThread(start: number, length: number): Promise<Uint8Array | undefined> {
    if (!isLarge) return undefined;
    const ranges = pieces.ranges(start, start + length);
    // Zeros need neither be read nor hashed.
    if (ranges.length === 0) return undefined;
    return threadForChunk()?.sumOfPart({ fd: file.fd, start, length, ranges });
  }
  // All are awaited even when one fails: the file is closed afterwards.
  const lanes = Math.min(FILE_CHUNKS + (isLarge ? CHUNKS_AHEAD : 0), count);
  const ends = await Promise.allSettled(Array.from({ length: lanes }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  o.signal?.throwIfAborted();
  return derivedDigest(size, sums);
}

/** Pieces of one length out of a file with holes. */
class Pieces {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #size: number;
  readonly #length: number;
  readonly #extents: readonly Extent[] | undefined;

  constructor(
    file: FileHandle,
    path: string,
    size: number,
    length: number,
    extents: readonly Extent[] | undefined,
  ) {
    this.#file = file;
    this.#path = path;
    this.#size = size;
    this.#length = length;
    this.#extents = extents;
  }

  /** The piece at `start`: in `buffer`, or the constant zeros. Empty beyond the end. */
  async read(buffer: Buffer<ArrayBuffer>, start: number): Promise<Buffer<ArrayBuffer>> {
    const end = Math.min(start + this.#length, this.#size);
    if (end <= start) return buffer.subarray(0, 0);
    const ranges = this.ranges(start, end);
    if (ranges.length === 0) return ZEROS.subarray(0, end - start);
    const [only] = ranges;
    if (ranges.length > 1 || only?.length !== end - start) buffer.fill(0, 0, end - start);
    for (const range of ranges) await this.#readFully(buffer, range.start - start, range.length, range.start);
    return buffer.subarray(0, end - start);
  }

  /** What is to be read of [start, end). */
  ranges(start: number, end: number): readonly Extent[] {
    if (this.#extents === undefined) return [{ start, length: end - start }];
    return overlapping(this.#extents, start, end);
  }

  async #readFully(buffer: Buffer, offset: number, length: number, position: number): Promise<void> {
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#file.read(buffer, offset + done, length - done, position + done);
      if (bytesRead === 0) throw new ResError('io', `${this.#path} was cut short while it was read`);
      done += bytesRead;
    }
  }
}

/** What of the extents lies in [start, end), found by halving: images may have very many. */
function overlapping(extents: readonly Extent[], start: number, end: number): readonly Extent[] {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const extent = extents[middle];
    if (extent !== undefined && extent.start + extent.length <= start) low = middle + 1;
    else high = middle;
  }
  const found: Extent[] = [];
  for (let i = low; i < extents.length; i++) {
    const extent = extents[i];
    if (extent === undefined || extent.start >= end) break;
    const from = Math.max(extent.start, start);
    found.push({ start: from, length: Math.min(extent.start + extent.length, end) - from });
  }
  return found;
}

/** Of files and streams; a new one for each would be as much garbage as there is content. */
const idleBuffers: Buffer<ArrayBuffer>[] = [];
/** As many as are mostly in use; what a busy moment took more is given back at once. */
const MOST_IDLE = 2;

function takeChunkBuffer(): Buffer<ArrayBuffer> {
  return idleBuffers.pop() ?? Buffer.allocUnsafe(CHUNK_SIZE);
}

function leaveChunkBuffer(buffer: Buffer<ArrayBuffer>): void {
  if (idleBuffers.length < MOST_IDLE) idleBuffers.push(buffer);
  else giveBack(lend(buffer));
}

const waiting: (() => void)[] = [];
let buffersInUse = 0;

/** Lends one of the few chunk buffers that files have in the whole process. */
async function withChunkBuffer<T>(use: (buffer: Buffer<ArrayBuffer>) => Promise<T>): Promise<T> {
  while (buffersInUse >= FILE_CHUNKS) await new Promise<void>((resolve) => waiting.push(resolve));
  buffersInUse++;
  const buffer = takeChunkBuffer();
  try {
    return await use(buffer);
  } finally {
    buffersInUse--;
    leaveChunkBuffer(buffer);
    waiting.shift()?.();
  }
}
