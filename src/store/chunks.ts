// Sums of the pieces of a download, noted when the whole was first verified: should its bytes rot on the disk, they say
// which of them to fetch again.
//
// CRC-32 (zlib's, 4 GB/s here beside 1.4 for sha256): the sums only have to find damage, and miss that of a piece once in four
// thousand million times. Whether a mended file is right is always decided by the sha256 of all of it. They lie in the store beside the
// objects, `chunks/ab/abcd…`, by the sha256 of the whole, so that an output which is a download has them too.
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { crcHex, sumHex } from '../model/crc.js';
import { type ChunkSums, SUM_CHUNK } from './chunk-summer.js';
import { errorCode, ioError } from './files.js';
import { groupOf, makeStoreFolder, openToGroup } from './group.js';

export interface ByteRange {
  /** Bytes. */
  readonly start: number;
  readonly length: number;
}

/**
 * Notes the sums of a file that was just verified. Nothing is noted of one that is a single piece: all of it would be fetched
 * anyway. Rejects with ResError `io` or `no-space`.
 * @param sha256 hex, of the whole
 */
export async function recordChunkSums(store: string, sha256: string, sums: ChunkSums): Promise<void> {
  if (sums.size <= SUM_CHUNK || (await readChunkSums(store, sha256))) return;
  const path = chunkSumsPath(store, sha256);
  try {
    await makeStoreFolder(store, dirname(path));
    // Written in place: its content follows from its name, so that of two writers each writes the same, and one that was
    // torn is known by its sum and counts as absent. A temporary would be one more thing that a crash leaves behind.
    await rm(path, { force: true });
    await writeFile(path, format(sums), { flag: 'wx' });
    await openToGroup(groupOf(store), path);
  } catch (error) {
    // Another build was faster.
    if (errorCode(error) !== 'EEXIST') throw ioError(error, 'cannot write', path);
  }
}

/** Undefined when there are none, or none that are whole. Rejects with ResError `io`. */
export async function readChunkSums(store: string, sha256: string): Promise<ChunkSums | undefined> {
  const path = chunkSumsPath(store, sha256);
  try {
    return parse(await readFile(path, 'latin1'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw ioError(error, 'cannot read', path);
  }
}

/** @param sha256 hex, of the whole */
export function chunkSumsPath(store: string, sha256: string): string {
  return join(chunksFolder(store), sha256.slice(0, 2), sha256);
}

/** Where the sums of a store lie. */
export function chunksFolder(store: string): string {
  return join(store, 'chunks');
}

/** A line with format and size, one a sum, and the CRC-32 of all before it. */
function format({ size, sums }: ChunkSums): string {
  const body = `res-chunks 1 ${size}\n${sums.map((sum) => `${sumHex(sum)}\n`).join('')}`;
  return `${body}${crcHex(body)}\n`;
}

function parse(text: string): ChunkSums | undefined {
  const end = text.length - 9;
  const body = text.slice(0, Math.max(0, end));
  if (text.slice(end) !== `${crcHex(body)}\n`) return undefined;
  const [head = '', ...lines] = body.split('\n');
  const size = Number(/^res-chunks 1 (\d+)$/.exec(head)?.[1] ?? Number.NaN);
  const sums = lines.slice(0, -1).map((line) => Number.parseInt(line, 16));
  return sums.length === Math.ceil(size / SUM_CHUNK) ? { size, sums } : undefined;
}

/**
 * The ranges of a file that are not what its sums say, neighbours joined; those beyond its end are among them. What the file
 * has too much is no range. Rejects with ResError `io`, or with the signal's reason.
 */
export async function damagedRanges(
  path: string,
  { size, sums }: ChunkSums,
  signal?: AbortSignal,
): Promise<readonly ByteRange[]> {
  const ranges: { start: number; length: number }[] = [];
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(SUM_CHUNK);
      for (const [i, sum] of sums.entries()) {
        signal?.throwIfAborted();
        const start = i * SUM_CHUNK;
        const length = Math.min(SUM_CHUNK, size - start);
        const { bytesRead } = await file.read(buffer, 0, length, start);
        if (bytesRead === length && crc32(buffer.subarray(0, length)) === sum) continue;
        const last = ranges.at(-1);
        if (last && last.start + last.length === start) last.length += length;
        else ranges.push({ start, length });
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw ioError(error, 'cannot read', path);
  }
  return ranges;
}
