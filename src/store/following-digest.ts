// The derived digest of a file that a program writes from its beginning to its end, worked out while it does: from the system's
// memory, where a large image would have to be read from the disk again once it is done.
//
// Chunks well behind the last data are hashed, and each keeps what of it was data. In the end a chunk counts only if that is still so:
// of a program that went back to fill a hole after all, or of a file system that cannot tell holes, nothing wrong is believed.
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { CHUNK_SIZE, type Digest } from '../model/digest.js';
import { dataExtents, type Extent, type ExtentOptions } from './extents.js';
import { errorCode } from './files.js';
import { threadForChunk } from './hash-threads.js';
import { digestHoledFile } from './hashing.js';
import { type FilePart, HoledFile } from './holed-file.js';

/** Between two looks at how far the file is, ms: a look costs some ten. */
const FIRST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 400;
/** Behind the last data, bytes: qemu-img writes up to 16 MiB at a time, and a file system may take up to as much for one block. */
const MARGIN = 64 * 1024 * 1024;

interface Known {
  readonly sum: Uint8Array;
  readonly ranges: readonly Extent[];
}

export interface FollowingOptions extends ExtentOptions {
  readonly signal: AbortSignal;
}

export class FollowingDigest {
  readonly #path: string;
  readonly #o: FollowingOptions;
  /** By where the chunk begins; those without data are not in it. */
  readonly #known = new Map<number, Known>();
  readonly #stop = new AbortController();
  readonly #followed: Promise<void>;

  /** @param path of the file, which need not be there yet; its bytes are written once, in order, or left out as holes */
  constructor(path: string, o: FollowingOptions) {
    this.#path = path;
    this.#o = o;
    // What goes wrong meanwhile is met again when the file is done.
    this.#followed = this.#follow().catch(() => undefined);
  }

  async #follow(): Promise<void> {
    let file: FileHandle | undefined;
    try {
      let from = 0;
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MOST_PAUSE_MS)) {
        await delay(pause, undefined, { signal: this.#stop.signal });
        file ??= await this.#open();
        if (!file) continue;
        const { size } = await file.stat();
        if (size === 0) continue;
        const extents = await dataExtents(this.#path, { ...this.#o, signal: this.#stop.signal, from });
        const last = extents?.at(-1);
        const end = last === undefined ? 0 : last.start + last.length;
        // Where a file is data to its end there is no telling how far it is.
        if (extents === undefined || end >= size) return;
        from = await this.#take(new HoledFile(file, this.#path, size, extents), from, end - MARGIN);
      }
    } finally {
      await file?.close();
    }
  }

  /** Undefined as long as it is not there. */
  async #open(): Promise<FileHandle | undefined> {
    try {
      return await open(this.#path, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The chunks of [from, end), as long as there are threads to spare; gives where the first one begins that is not among them. */
  async #take(file: HoledFile, from: number, end: number): Promise<number> {
    let start = from;
    const work = async () => {
      while (start + CHUNK_SIZE <= end && !this.#stop.signal.aborted) {
        const part = file.part(start, CHUNK_SIZE);
        const hasData = part.ranges.length > 0;
        const thread = hasData ? threadForChunk() : undefined;
        if (hasData && !thread) return;
        start += CHUNK_SIZE;
        const sum = await thread?.sumOfPart(part);
        if (sum) this.#known.set(part.start, { sum, ranges: part.ranges });
      }
    };
    await Promise.all([work(), work()]);
    return start;
  }

  /** The digest, once the program has ended well. Rejects as `digestFile` does. */
  async finish(): Promise<{ readonly digest: Digest; readonly size: number }> {
    await this.close();
    return digestHoledFile(this.#path, 'derived', { ...this.#o, known: (part) => this.#sumOf(part) });
  }

  #sumOf(part: FilePart): Uint8Array | undefined {
    const known = this.#known.get(part.start);
    return known && part.length === CHUNK_SIZE && isDeepStrictEqual(known.ranges, part.ranges)
      ? known.sum
      : undefined;
  }

  /** Follows no more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#followed;
  }
}
