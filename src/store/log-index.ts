// The table of a long log, kept beside it: where its keys and values stand, up to a byte of it. It names the log, and knows the
// bytes before that one: a log that lost its end in a power failure, and was written on, is not the one that it is of. Whether
// what it points to is what was written is for the reader to check, record by record.
import { crc32 } from 'node:zlib';
import { readRange } from './files.js';
import { readKeptFile, writeKeptFile } from './kept-file.js';

export interface LogIndex {
  /** First line of the log. */
  readonly head: string;
  /** Bytes of the log that it is of. */
  readonly offset: number;
  /** Valid records in them, dead ones too. */
  readonly records: number;
  /** As LogEntries makes it. */
  readonly table: Uint32Array;
}

/** More than most records have. */
const END_BYTES = 4096;

/** The numbers before the table: offset, records, sum of the end, length of the first line. */
const NUMBERS = 4;
const WIDTH = Uint32Array.BYTES_PER_ELEMENT;
/** Offsets are numbers of 32 bits, and the largest one has a meaning of its own. */
const MOST_BYTES = 2 ** 32 - 1;

/**
 * Undefined when none is kept that is whole and of this log. Throws the system's error.
 * @param fd of the log
 * @param head first line of the log
 * @param size of the log, bytes
 */
export function readLogIndex(path: string, fd: number, head: string, size: number): LogIndex | undefined {
  const kept = readKeptFile(path);
  if (kept === undefined || kept.length < NUMBERS * WIDTH) return undefined;
  const [offset = 0, records = 0, sum = 0, headLength = 0] = wordsOf(kept, 0, NUMBERS);
  const tableAt = NUMBERS * WIDTH + headLength;
  if (offset > size || kept.toString('latin1', NUMBERS * WIDTH, tableAt) !== head) return undefined;
  if (endSum(fd, offset) !== sum) return undefined;
  return {
    head,
    offset,
    records,
    table: wordsOf(kept, tableAt, Math.floor((kept.length - tableAt) / WIDTH)),
  };
}

/**
 * What cannot be kept is not. Throws the system's error for a log that cannot be read.
 * @param fd of the log
 */
export function writeLogIndex(
  place: { readonly path: string; readonly tmp: string },
  fd: number,
  { head, offset, records, table }: LogIndex,
): void {
  if (offset >= MOST_BYTES) return;
  const numbers = bytesOf(Uint32Array.of(offset, records, endSum(fd, offset), head.length));
  writeKeptFile(place.path, place.tmp, [numbers, Buffer.from(head, 'latin1'), bytesOf(table)]);
}

/** CRC-32 of the last bytes before one of the log. */
function endSum(fd: number, offset: number): number {
  return crc32(readRange(fd, Math.max(0, offset - END_BYTES), offset));
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

/** A copy: where they stand in a file they need not stand as the processor wants them. */
function wordsOf(bytes: Buffer, start: number, count: number): Uint32Array {
  const words = new Uint32Array(count);
  bytes.copy(bytesOf(words), 0, start, start + count * WIDTH);
  return words;
}
