// Writes tar archives (pax) that say the same for the same content: no times, no owners, and a run of zeros is a hole whether the
// file system has one there or not, so that sparse files stay small (GNU's sparse format 1.0, which tar programs read).
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ResError } from '../model/error.js';
import { sortedEntries } from '../store/directory.js';
import { ioError } from '../store/files.js';
import { isZero } from '../store/zeros.js';

const BLOCK = 512;
const PIECE = 1024 * 1024;
/** Zeros are looked for in aligned pieces of this size, or of a multiple where a file would have too many runs. */
const HOLE = 64 * 1024;
const MAX_RUNS = 2048;
/** What twelve octal digits hold. */
const MAX_OCTAL = 8 ** 11 - 1;

interface Run {
  readonly offset: number;
  length: number;
}

export async function* tarBytes(name: string, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* header({ name, type: '0', size: bytes.length, mode: 0o644 });
  yield bytes;
  yield padding(bytes.length);
}

/**
 * A file, or a directory with all below it in the order of names; links as they are. Rejects with ResError `io`, also when a
 * file changes its length meanwhile.
 */
export async function* tarTree(name: string, path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stats = await lstat(path).catch((error: unknown) => {
    throw ioError(error, 'cannot read', path);
  });
  if (stats.isFile()) {
    yield* tarFile(name, path, (stats.mode & 0o100) !== 0, signal);
  } else if (stats.isSymbolicLink()) {
    yield* header({ name, type: '2', size: 0, mode: 0o777, link: await readlink(path) });
  } else if (stats.isDirectory()) {
    yield* header({ name: `${name}/`, type: '5', size: 0, mode: 0o755 });
    for (const entry of await sortedEntries(path))
      yield* tarTree(`${name}/${entry.name}`, join(path, entry.name), signal);
  } else {
    throw new ResError('io', `cannot take ${path}: neither a file, a directory nor a link`);
  }
}

/** Two blocks of zeros. */
export function tarEnd(): Uint8Array {
  return Buffer.alloc(2 * BLOCK);
}

async function* tarFile(
  name: string,
  path: string,
  executable: boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw ioError(error, 'cannot read', path);
  });
  try {
    const { size } = await file.stat();
    const runs = await dataRuns(file, size, signal);
    const mode = executable ? 0o755 : 0o644;
    const stored = runs.reduce((sum, run) => sum + run.length, 0);
    if (stored === size) {
      yield* header({ name, type: '0', size, mode });
    } else {
      const map = Buffer.from([runs.length, ...runs.flatMap((run) => [run.offset, run.length])].join('\n'));
      const head = Buffer.concat([map, Buffer.from('\n')]);
      const begin = Buffer.concat([head, padding(head.length)]);
      yield* header({ name, type: '0', size: begin.length + stored, mode, sparse: size });
      yield begin;
    }
    for (const run of runs) yield* contentOf(file, path, run, signal);
    yield padding(stored);
  } finally {
    await file.close();
  }
}

/** Where a file has other bytes than zero; all of it where that is not worth a map. */
async function dataRuns(file: FileHandle, size: number, signal: AbortSignal): Promise<readonly Run[]> {
  const buffer = Buffer.allocUnsafe(PIECE);
  let unit = HOLE;
  let runs: Run[] = [];
  for (let position = 0; position < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(PIECE, size - position), position);
    if (bytesRead === 0) break;
    for (let at = 0; at < bytesRead; at += HOLE) {
      const length = Math.min(HOLE, bytesRead - at);
      if (isZero(buffer.subarray(at, at + length))) continue;
      const offset = Math.floor((position + at) / unit) * unit;
      const end = Math.min(size, Math.ceil((position + at + length) / unit) * unit);
      const last = runs.at(-1);
      if (last && last.offset + last.length >= offset) last.length = Math.max(last.length, end - last.offset);
      else runs.push({ offset, length: end - offset });
    }
    while (runs.length > MAX_RUNS) {
      unit *= 2;
      runs = coarser(runs, unit, size);
    }
    position += bytesRead;
  }
  const stored = runs.reduce((sum, { length }) => sum + length, 0);
  // GNU tar ends the map of a file that ends with a hole like this.
  return stored === size ? runs : [...runs, { offset: size, length: 0 }];
}

function coarser(runs: readonly Run[], unit: number, size: number): Run[] {
  const merged: Run[] = [];
  for (const run of runs) {
    const offset = Math.floor(run.offset / unit) * unit;
    const end = Math.min(size, Math.ceil((run.offset + run.length) / unit) * unit);
    const last = merged.at(-1);
    if (last && last.offset + last.length >= offset) last.length = Math.max(last.length, end - last.offset);
    else merged.push({ offset, length: end - offset });
  }
  return merged;
}

async function* contentOf(
  file: FileHandle,
  path: string,
  { offset, length }: Run,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length; ) {
    signal.throwIfAborted();
    // A new one each time: it is handed on, and read when it is.
    const piece = Buffer.allocUnsafe(Math.min(PIECE, length - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, offset + done);
    if (bytesRead === 0) throw new ResError('io', `${path} was cut short while it was read`);
    yield piece.subarray(0, bytesRead);
    done += bytesRead;
  }
}

interface Header {
  readonly name: string;
  readonly type: '0' | '2' | '5' | 'x';
  /** Bytes in the archive. */
  readonly size: number;
  readonly mode: number;
  readonly link?: string;
  /** Bytes of the file, holes included. */
  readonly sparse?: number;
}

/** With a pax header before it where the plain one cannot say it. */
function* header(entry: Header): Generator<Uint8Array> {
  const { name, size, link = '', sparse } = entry;
  const records: [string, string][] = [];
  if (sparse !== undefined) {
    records.push(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0']);
    records.push(['GNU.sparse.name', name], ['GNU.sparse.realsize', String(sparse)]);
  } else if (!fits(name)) records.push(['path', name]);
  if (!fits(link)) records.push(['linkpath', link]);
  if (size > MAX_OCTAL) records.push(['size', String(size)]);
  if (records.length > 0) {
    const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
    yield block({ name: 'pax', type: 'x', size: body.length, mode: 0o644 });
    yield body;
    yield padding(body.length);
  }
  yield block(entry);
}

/** Whether the plain header can hold it: a hundred bytes of ASCII. */
function fits(text: string): boolean {
  return /^[\x20-\x7e]{0,100}$/.test(text);
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function block({ name, type, size, mode, link = '' }: Header): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number) =>
    bytes.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  bytes.write(fits(name) ? name : 'long', 0, 100, 'latin1');
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(Math.min(size, MAX_OCTAL), 124, 11);
  octal(0, 136, 11);
  bytes.fill(' ', 148, 156);
  bytes.write(type, 156, 'latin1');
  bytes.write(fits(link) ? link : 'long', 157, 100, 'latin1');
  bytes.write('ustar\0' + '00', 257, 'latin1');
  octal(
    bytes.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  bytes.write('\0 ', 154, 'latin1');
  return bytes;
}

function padding(size: number): Uint8Array {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
