// The table of a long log, kept beside it: where the keys and values stand. It counts for the log that it names, up to the byte
// that it tells, while the sum of all these bytes is the same.
import { crc32 } from 'node:zlib';
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

/** The numbers before the table: offset, records, sum of the log's bytes, length of the first line. */
const NUMBERS = 4;
const WIDTH = Uint32Array.BYTES_PER_ELEMENT;
/** Offsets are numbers of 32 bits, and the largest one has a meaning of its own. */
const MOST_BYTES = 2 ** 32 - 1;

/** @param log the bytes of the log; those that the index is of are compared with its sum */
export function readLogIndex(path: string, head: string, log: Buffer): LogIndex | undefined {
  const kept = readKeptFile(path);
  if (kept === undefined || kept.length < NUMBERS * WIDTH) return undefined;
  const numbers = wordsOf(kept, 0, NUMBERS);
  const [offset = 0, records = 0, sum = 0, headLength = 0] = numbers;
  const tableAt = NUMBERS * WIDTH + headLength;
  const isOfThis =
    offset <= log.length &&
    kept.toString('latin1', NUMBERS * WIDTH, tableAt) === head &&
    crc32(log.subarray(0, offset)) === sum;
  if (!isOfThis) return undefined;
  return {
    head,
    offset,
    records,
    table: wordsOf(kept, tableAt, Math.floor((kept.length - tableAt) / WIDTH)),
  };
}

/** What cannot be kept is not. */
export function writeLogIndex(
  place: { readonly path: string; readonly tmp: string },
  log: Buffer,
  { head, offset, records, table }: LogIndex,
): void {
  if (offset >= MOST_BYTES) return;
  const numbers = Uint32Array.of(offset, records, crc32(log.subarray(0, offset)), head.length);
  const body = Buffer.concat([bytesOf(numbers), Buffer.from(head, 'latin1'), bytesOf(table)]);
  writeKeptFile(place.path, place.tmp, body);
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
