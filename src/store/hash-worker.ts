// What runs in a thread beside: sums files while others write them, each up to where it is known to be written, a piece of each in
// turn; and chunks, in memory or of a file, as they are asked for.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { ChunkOrder, HashReply, PartOf, SumsOrder } from './hash-thread.js';
import type { FilePart } from './holed-file.js';
import { RunningSums, type WantedSums } from './running-sums.js';
import { isZero, SUM_OF_ZEROS, ZEROS } from './zeros.js';

const PIECE = 512 * 1024;
const buffer = Buffer.allocUnsafe(PIECE);

class Followed {
  readonly #sums: RunningSums;
  /** Undefined when it cannot be read. */
  #fd: number | undefined;
  limit = 0;
  asked = false;

  constructor(path: string, wanted: WantedSums) {
    this.#sums = new RunningSums(wanted);
    try {
      this.#fd = openSync(path, 'r');
    } catch {
      // Its caller will read it, and say why that cannot be done.
    }
  }

  get isBehind(): boolean {
    return this.#fd !== undefined && this.#sums.size < this.limit;
  }

  /** The next piece of what is there. */
  readOn(): void {
    if (this.#fd === undefined) return;
    const piece = buffer.subarray(0, this.limit - this.#sums.size);
    try {
      const read = readSync(this.#fd, piece, 0, piece.length, this.#sums.size);
      // What a sparse file lacks at its end is a hole.
      this.#sums.update(read === 0 ? piece.fill(0) : piece.subarray(0, read));
    } catch {
      this.close();
    }
  }

  reply(id: number): HashReply {
    return this.#fd === undefined ? { id } : { id, sums: this.#sums.sums() };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const files = new Map<number, Followed>();
/** Sums that go on over several parts. */
const running = new Map<number, Hash>();
let isReading = false;

parentPort?.on('message', (order: SumsOrder | ChunkOrder) => {
  if (order.is === 'part') reply({ id: order.id, ...sumOfPart(order.part, order.of) });
  else if (order.is === 'chunk')
    reply({ id: order.id, sum: sha256(order.chunk), chunk: order.chunk }, [order.chunk.buffer]);
  else obey(order);
});

function reply(answer: HashReply, moved: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(answer, moved);
}

function obey(order: SumsOrder): void {
  const { id } = order;
  if (order.is === 'close') running.delete(id);
  if (order.is === 'open') files.set(id, new Followed(order.path, order.wanted));
  const file = files.get(id);
  if (!file) {
    if (order.is === 'ask') reply({ id });
    return;
  }
  if (order.is === 'reach') file.limit = order.size;
  if (order.is === 'ask') file.asked = true;
  if (order.is === 'close') {
    file.close();
    files.delete(id);
  }
  readOn();
}

/** A piece of each file, and so on, with an ear for orders in between. */
function readOn(): void {
  if (isReading) return;
  isReading = true;
  setImmediate(() => {
    isReading = false;
    for (const [id, file] of files) {
      if (file.isBehind) file.readOn();
      if (file.isBehind) readOn();
      else if (file.asked) {
        file.asked = false;
        reply(file.reply(id));
      }
    }
  });
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/** Nothing when it cannot be read, or is not there to its end; of what goes on, no bytes before the last part. */
function sumOfPart(part: FilePart, of: PartOf | undefined): { readonly sum?: Uint8Array } {
  if (!of) return sumOfChunk(part);
  const hash = running.get(of.id) ?? createHash('sha256');
  running.set(of.id, hash);
  if (!readPart(part, (bytes) => hash.update(bytes))) return {};
  return { sum: of.isLast ? new Uint8Array(hash.digest()) : new Uint8Array() };
}

/** Zeros are not hashed as long as nothing else came. */
function sumOfChunk(part: FilePart): { readonly sum?: Uint8Array } {
  const hash = createHash('sha256');
  let zeros: number | undefined = 0;
  const isRead = readPart(part, (bytes) => {
    if (zeros !== undefined && isZero(bytes)) {
      zeros += bytes.length;
      return;
    }
    if (zeros !== undefined) hash.update(ZEROS.subarray(0, zeros));
    zeros = undefined;
    hash.update(bytes);
  });
  if (!isRead) return {};
  if (zeros === ZEROS.length) return { sum: SUM_OF_ZEROS };
  return { sum: new Uint8Array(hash.update(ZEROS.subarray(0, zeros ?? 0)).digest()) };
}

/** False when it cannot be read, or is cut short. */
function readPart({ fd, start, length, ranges }: FilePart, take: (bytes: Uint8Array) => void): boolean {
  let at = start;
  const takeZeros = (end: number) => {
    if (at < end) take(ZEROS.subarray(0, end - at));
    at = end;
  };
  try {
    for (const range of ranges) {
      takeZeros(range.start);
      for (const end = range.start + range.length; at < end; ) {
        const read = readSync(fd, buffer, 0, Math.min(PIECE, end - at), at);
        if (read === 0) return false;
        take(buffer.subarray(0, read));
        at += read;
      }
    }
  } catch {
    return false;
  }
  takeZeros(start + length);
  return true;
}
