// A file that is being downloaded, read by its consumer while it comes: from the disk's cache, so that a slow consumer holds up
// no connection. What was read counts only once the download is whole and its sum is right; its consumer waits for that.
import { type FileHandle, open } from 'node:fs/promises';
import type { Watcher } from '../sources/partial.js';
import { errorCode } from '../store/files.js';
import { lend } from '../store/lent.js';

const PIECE = 1 << 20;

/** What was read is no part of the file any more: its download had to begin anew. It is to be read again when it is whole. */
export class Restarted extends Error {
  constructor() {
    super('a download began anew while it was read');
  }
}

export class Arrival {
  #path: string | undefined;
  #size = 0;
  #restarts = 0;
  #end: { readonly is: 'whole' } | { readonly is: 'failed'; readonly error: unknown } | undefined;
  /** Counts what was told. */
  #version = 0;
  #waiters: (() => void)[] = [];

  /** For the download of the file, which comes in at `path`. */
  watcher(path: string): Watcher {
    return {
      arrived: (bytes) => {
        this.#path = path;
        this.#size = bytes;
        this.#wake();
      },
      restarted: () => {
        this.#size = 0;
        this.#restarts++;
        this.#wake();
      },
    };
  }

  /** @param path where it is now */
  whole(path: string, size: number): void {
    this.#path = path;
    this.#size = size;
    this.#end = { is: 'whole' };
    this.#wake();
  }

  fail(error: unknown): void {
    this.#end ??= { is: 'failed', error };
    this.#wake();
  }

  /** Its bytes in pieces of up to 1 MiB, each as soon as it is there. Throws Restarted, or what the download failed with. */
  async *read(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let offset = 0;
    let file: FileHandle | undefined;
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    const restarts = () => this.#restarts;
    let begun = restarts();
    try {
      for (;;) {
        const version = this.#version;
        signal.throwIfAborted();
        if (restarts() !== begun) {
          if (offset > 0) throw new Restarted();
          begun = restarts();
          await file?.close();
          file = undefined;
        }
        if (this.#end?.is === 'failed') throw this.#end.error;
        if (offset < this.#size) {
          file ??= await this.#open();
          if (file) {
            const buffer = Buffer.allocUnsafe(Math.min(PIECE, this.#size - offset));
            const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
            if (restarts() !== begun) continue;
            if (bytesRead === 0) throw new Restarted();
            offset += bytesRead;
            yield lend(buffer.subarray(0, bytesRead));
            continue;
          }
        } else if (this.#end) return;
        await this.#changed(version);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      await file?.close();
    }
  }

  /** Undefined at the moment in which it goes from where it came in to its place. */
  async #open(): Promise<FileHandle | undefined> {
    const path = this.#path ?? '';
    try {
      return await open(path, 'r');
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      if (!this.#end || this.#path !== path) return undefined;
      // From its place it was taken away since.
      throw new Restarted();
    }
  }

  #changed(since: number): Promise<void> {
    if (this.#version !== since) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    this.#version++;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
