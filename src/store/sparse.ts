// Writes a stream of bytes so that its zeros take no room: disk images are mostly holes and must stay so.
import { closeSync, ftruncateSync, open, rmSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { isZero } from './zeros.js';

export interface SparseWriter {
  /** Bytes from the beginning that are in the file; a hole at their end may not be yet, and is when it is closed. */
  readonly written: number;
  /** Takes the next bytes; the chunk may be reused once the promise is fulfilled. Rejects with the system's error. */
  write(chunk: Uint8Array): Promise<void>;
  /** Writes what is left and sets the length; does not sync. */
  close(): Promise<{ readonly size: number }>;
  /** Closes and removes the file. */
  abort(): Promise<void>;
}

/** A zero block of this size that is aligned becomes a hole; smaller ones would fragment the file for little gain. */
const BLOCK = 64 * 1024;
const BUFFER = 1024 * 1024;

/** Of writers that are done: a new one for each of very many small files would keep the garbage collector busy. */
const idleBuffers: Buffer<ArrayBuffer>[] = [];
const MOST_IDLE = 8;

function takeBuffer(): Buffer<ArrayBuffer> {
  return idleBuffers.pop() ?? Buffer.allocUnsafe(BUFFER);
}

/** Creates `path`, which must not exist. Rejects with the system's error. */
export async function openSparseWriter(path: string): Promise<SparseWriter> {
  // Not at once: to create a file may wait for the disk, where much is synced.
  const fd = await openFile(path, 'wx');
  let filling = takeBuffer();
  let spare = takeBuffer();
  let filled = 0;
  /** Where `filling` begins in the file; a multiple of BUFFER. */
  let position = 0;
  let written = 0;
  let open_ = true;
  // One write is under way while the next buffer fills: producer and disk overlap.
  let underWay: Promise<unknown> = Promise.resolve();

  async function flush(): Promise<void> {
    await underWay;
    const end = position + filled;
    const job = writeBlocks(fd, filling.subarray(0, filled), position).then(() => {
      written = end;
    });
    // A failure is seen by the next await of `underWay`; until then it must not count as unhandled.
    job.catch(() => undefined);
    underWay = job;
    position = end;
    filled = 0;
    [filling, spare] = [spare, filling];
  }

  function closeFile(): void {
    if (!open_) return;
    open_ = false;
    idleBuffers.push(filling, spare);
    idleBuffers.length = Math.min(idleBuffers.length, MOST_IDLE);
    closeSync(fd);
  }

  return {
    get written() {
      return written;
    },
    async write(chunk) {
      let taken = 0;
      while (taken < chunk.length) {
        const part = chunk.subarray(taken, taken + BUFFER - filled);
        filling.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled === BUFFER) await flush();
      }
    },
    async close() {
      await flush();
      await underWay;
      ftruncateSync(fd, position);
      closeFile();
      return { size: position };
    },
    async abort() {
      await Promise.allSettled([underWay]);
      closeFile();
      rmSync(path, { force: true });
    },
  };
}

async function writeBlocks(fd: number, bytes: Buffer, position: number): Promise<void> {
  let start = 0;
  while (start < bytes.length) {
    const zero = isHole(bytes, start);
    let end = start + BLOCK;
    while (end < bytes.length && isHole(bytes, end) === zero) end += BLOCK;
    end = Math.min(end, bytes.length);
    if (!zero) await writeAll(fd, bytes.subarray(start, end), position + start);
    start = end;
  }
}

function isHole(bytes: Buffer, start: number): boolean {
  // Most blocks are told by their first byte.
  return bytes[start] === 0 && isZero(bytes.subarray(start, start + BLOCK));
}

async function writeAll(fd: number, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const args = [bytes, done, bytes.length - done, position + done] as const;
    // What is small is in the system's memory before a promise would be made for it.
    done += bytes.length <= BLOCK ? writeSync(fd, ...args) : (await writeAt(fd, ...args)).bytesWritten;
  }
}

const openFile = promisify(open);
const writeAt = promisify(write);
