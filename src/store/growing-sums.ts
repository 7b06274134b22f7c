// The plain sums of a file that is being written, worked out while it grows. The first bytes are summed as they pass; what is
// longer is read again, from the system's memory, by a thread of its own (hash-worker.ts): the sum of a stream can only be computed
// in order, and would keep the thread that moves all bytes busy for as long as they take to unpack.
import { open } from 'node:fs/promises';
import { ioError } from './files.js';
import type { HashThread } from './hash-thread.js';
import { threadForFile, worthAThread } from './hash-threads.js';
import { type FileSums, RunningSums, type WantedSums } from './running-sums.js';
import { unlessAborted } from './unless-aborted.js';

const READ_BUFFER = 1024 * 1024;
/** Bytes. A message to the thread costs as much as to copy half a MiB. */
const STRIDE = 4 * 1024 * 1024;

export class GrowingSums {
  readonly #path: string;
  readonly #wanted: WantedSums;
  /** Until there are too many bytes for it, or some that did not pass. */
  #passing: RunningSums | undefined;
  #size = 0;
  /** Of which the thread knows. */
  #told = 0;
  /** Who reads it, and what it knows the file by. */
  #reader: { readonly thread: HashThread; readonly id: number } | undefined;

  /** @param path of the file, which is there before `reach` tells of bytes that did not pass */
  constructor(path: string, wanted: WantedSums) {
    this.#path = path;
    this.#wanted = wanted;
    this.#passing = new RunningSums(wanted);
  }

  /** The next bytes; they need not be in the file yet. The piece may be reused at once. */
  pass(bytes: Uint8Array): void {
    if (this.#passing === undefined) return;
    if (this.#passing.size + bytes.length > worthAThread()) this.#passing = undefined;
    else this.#passing.update(bytes);
  }

  /** So many bytes from the beginning are in the file, and stay as they are. */
  reach(size: number): void {
    this.#size = size;
    if (this.#passing !== undefined && size <= this.#passing.size) return;
    this.#passing = undefined;
    this.#reader ??= this.#open();
    if (size - this.#told >= STRIDE) this.#tell();
  }

  #open(): { readonly thread: HashThread; readonly id: number } {
    const thread = threadForFile();
    return { thread, id: thread.open(this.#path, this.#wanted) };
  }

  #tell(): void {
    this.#reader?.thread.reach(this.#reader.id, this.#size);
    this.#told = this.#size;
  }

  /** Of the bytes that `reach` told of. Rejects with ResError `io`, or with the signal's reason. */
  async sums(signal?: AbortSignal): Promise<FileSums> {
    if (this.#passing !== undefined) {
      if (this.#passing.size !== this.#size) throw new Error('bytes passed that never came into the file');
      return this.#passing.sums();
    }
    try {
      this.#tell();
      const asked = this.#reader?.thread.ask(this.#reader.id);
      const known = asked && (await unlessAborted(asked, signal));
      return known ?? (await readSums(this.#path, this.#size, this.#wanted, signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw ioError(error, 'cannot read', this.#path);
    }
  }

  /** Nothing that was told of holds any more. */
  restart(): void {
    this.close();
    this.#passing = new RunningSums(this.#wanted);
    this.#size = 0;
  }

  close(): void {
    this.#reader?.thread.close(this.#reader.id);
    this.#reader = undefined;
    this.#told = 0;
  }
}

async function readSums(
  path: string,
  size: number,
  wanted: WantedSums,
  signal: AbortSignal | undefined,
): Promise<FileSums> {
  const running = new RunningSums(wanted);
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BUFFER);
    while (running.size < size) {
      signal?.throwIfAborted();
      const length = Math.min(READ_BUFFER, size - running.size);
      const { bytesRead } = await file.read(buffer, 0, length, running.size);
      // What a sparse file lacks at its end is a hole.
      running.update(
        bytesRead > 0 ? buffer.subarray(0, bytesRead) : buffer.fill(0, 0, length).subarray(0, length),
      );
    }
  } finally {
    await file.close();
  }
  return running.sums();
}
