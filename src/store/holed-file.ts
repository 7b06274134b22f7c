// An open file with holes, read in parts: what is known to be zeros is not read.
import type { FileHandle } from 'node:fs/promises';
import { ResError } from '../model/error.js';
import type { Extent } from './extents.js';
import { ZEROS } from './zeros.js';

/** `length` bytes of `start` on, which are zeros outside `ranges`. */
export interface FilePart {
  readonly fd: number;
  readonly start: number;
  /** At most CHUNK_SIZE. */
  readonly length: number;
  readonly ranges: readonly Extent[];
}

export class HoledFile {
  readonly size: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #extents: readonly Extent[] | undefined;

  /**
   * @param path for messages
   * @param extents ranges that may hold data; undefined: all of it
   */
  constructor(file: FileHandle, path: string, size: number, extents: readonly Extent[] | undefined) {
    this.#file = file;
    this.#path = path;
    this.size = size;
    this.#extents = extents;
  }

  /** Of up to `most` bytes; less at the end of the file. */
  part(start: number, most: number): FilePart {
    const end = Math.max(start, Math.min(start + most, this.size));
    const length = end - start;
    const ranges =
      this.#extents === undefined && length > 0
        ? [{ start, length }]
        : overlapping(this.#extents ?? [], start, end);
    return { fd: this.#file.fd, start, length, ranges };
  }

  /** The bytes of a part: in `buffer`, or the constant zeros. Rejects with ResError `io` when the file was cut short. */
  async read({ start, length, ranges }: FilePart, buffer: Buffer<ArrayBuffer>): Promise<Buffer<ArrayBuffer>> {
    const [only] = ranges;
    if (only === undefined) return ZEROS.subarray(0, length);
    if (only.length !== length) buffer.fill(0, 0, length);
    for (const range of ranges) await this.#readFully(buffer, range.start - start, range.length, range.start);
    return buffer.subarray(0, length);
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
