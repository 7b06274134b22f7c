// A download under way, on disk: what has arrived, and what must hold for the rest to be asked for. It survives kill -9;
// nothing that was only remembered about its bytes is believed afterwards.
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { dirname } from 'node:path';
import { ChunkSummer, type ChunkSums } from '../store/chunks.js';
import { errorCode, ioError } from '../store/files.js';
import { giveBack } from '../store/lent.js';
import { byteLength } from './exchange.js';
import type { Headers } from './failure.js';
import { redactUrl } from './redact.js';
import { interrupted } from './retry.js';

export interface Wanted {
  /** Hex. */
  readonly sha256?: string;
  /** Bytes. */
  readonly size?: number;
}

/** Is told how far a file has come, for those who read along. */
export interface Watcher {
  /** So many bytes from the beginning are on disk now, those of an earlier run included. */
  arrived(bytes: number): void;
  /** All that had arrived is given up: other bytes may come in its place. */
  restarted(): void;
}

/** Every function rejects with ResError `io` or `no-space`. */
export interface PartialFile {
  /** Bytes on disk. */
  readonly size: number;
  /** Whether its bytes may come from several answers: then a wrong sum can be the joint's fault. */
  readonly joined: boolean;
  /** Hex, of the bytes there are. */
  sha256(): string;
  /** Of the bytes there are. */
  chunkSums(): ChunkSums;
  /** Headers that ask this URL for the rest; undefined when there is no safe way to join it to what is there. */
  resume(url: string): Headers | undefined;
  /** Whether an answer from this URL with these headers continues the same content, as far as its validators tell. */
  continuedBy(url: string, headers: Headers): boolean;
  /** Notes where the next bytes come from, before any of them is written. */
  begin(url: string, headers: Headers): Promise<void>;
  append(batch: readonly Uint8Array[]): Promise<void>;
  /** Back to nothing. */
  restart(): Promise<void>;
  /** Makes the bytes durable and forgets the notes; then `close`. */
  finish(): Promise<void>;
  /** Kept for the next time, unless it is empty. */
  close(): Promise<void>;
  /** Closes and deletes it. */
  remove(): Promise<void>;
}

/** What stands beside the file, `PATH.json`. */
interface Note {
  readonly url: string;
  /** For If-Range: a strong ETag, or a date that is as good. */
  readonly validator?: string;
  readonly sha256?: string;
  /** Content-Encoding of the bytes, which are kept as they come; none as a rule, for none is asked for. */
  readonly encoding?: string;
}

const READ_BUFFER = 1024 * 1024;

/** Opens or creates it, and hashes what is there. Rejects with ResError `io`, `no-space`, `interrupted`. */
export async function openPartial(
  path: string,
  wanted: Wanted,
  signal: AbortSignal,
  watcher?: Watcher,
): Promise<PartialFile> {
  const notePath = `${path}.json`;
  let size = 0;
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw ioError(error, 'cannot write', path, wanted.size === undefined ? undefined : wanted.size - size);
    }
  };

  let note = await guarded(() => readNote(notePath));
  const file = await guarded(async () => {
    await mkdir(dirname(path), { recursive: true });
    return open(path, constants.O_RDWR | constants.O_CREAT);
  });
  let hash: Hash = createHash('sha256');
  let chunks = new ChunkSummer();
  let joined = false;
  let appending = false;
  let isOpen = true;

  function sum(bytes: Uint8Array): void {
    hash.update(bytes);
    chunks.update(bytes);
  }

  async function restart(): Promise<void> {
    await guarded(async () => {
      await file.truncate(0);
      await rm(notePath, { force: true });
    });
    hash = createHash('sha256');
    chunks = new ChunkSummer();
    size = 0;
    joined = false;
    note = undefined;
    watcher?.restarted();
  }

  async function closeFile(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    await guarded(() => file.close());
  }

  async function remove(): Promise<void> {
    await closeFile();
    watcher?.restarted();
    await guarded(async () => {
      await rm(path, { force: true });
      await rm(notePath, { force: true });
    });
  }

  try {
    const found = await guarded(() => file.stat());
    if (found.size > 0 && isWorthKeeping(found, note, wanted)) {
      size = await guarded(() => readWhole(file, sum, signal));
      joined = true;
      watcher?.arrived(size);
    } else {
      await restart();
    }
  } catch (error) {
    await closeFile();
    throw error;
  }

  return {
    get size() {
      return size;
    },
    get joined() {
      return joined;
    },
    sha256: () => hash.copy().digest('hex'),
    chunkSums: () => chunks.sums(),
    resume(url) {
      if (size === 0) return undefined;
      const range = { range: `bytes=${size}-` };
      if (note?.validator !== undefined && note.url === redactUrl(url))
        return { ...range, 'if-range': note.validator };
      // The whole is compared with its sum in the end, so that any server that has it will do.
      return wanted.sha256 === undefined ? undefined : range;
    },
    continuedBy(url, headers) {
      // Compressed on the way, it is a piece of something else.
      if (encodingOf(headers) !== note?.encoding) return false;
      if (note?.validator === undefined || note.url !== redactUrl(url)) return wanted.sha256 !== undefined;
      const now = note.validator.startsWith('"') ? headers.etag : headers['last-modified'];
      return now === undefined || now === note.validator;
    },
    async begin(url, headers) {
      const validator = validatorOf(headers);
      const encoding = encodingOf(headers);
      note = {
        url: redactUrl(url),
        ...(validator === undefined ? {} : { validator }),
        ...(wanted.sha256 === undefined ? {} : { sha256: wanted.sha256 }),
        ...(encoding === undefined ? {} : { encoding }),
      };
      const text = JSON.stringify(note);
      await guarded(async () => {
        await writeFile(`${notePath}.tmp`, text);
        await rename(`${notePath}.tmp`, notePath);
      });
      appending = size > 0;
    },
    async append(batch) {
      joined ||= appending;
      appending = false;
      const writing = guarded(() => writeAll(file, batch, size));
      // Hashing goes on while the disk is busy.
      for (const bytes of batch) sum(bytes);
      await writing;
      size += byteLength(batch);
      for (const bytes of batch) giveBack(bytes);
      watcher?.arrived(size);
    },
    restart,
    async finish() {
      await guarded(async () => {
        await file.sync();
        await rm(notePath, { force: true });
      });
      await closeFile();
    },
    async close() {
      if (!isOpen) return;
      if (size === 0) await remove();
      else await closeFile();
    },
    remove,
  };
}

/**
 * With a known sum anything is worth a try, unless it was begun for another sum. Without one, the bytes must be known to be
 * those of the answer that they were read from: a power loss can leave a file of the right length with holes in it.
 */
function isWorthKeeping(
  found: { readonly size: number; readonly mtimeMs: number },
  note: Note | undefined,
  wanted: Wanted,
): boolean {
  if (wanted.size !== undefined && found.size > wanted.size) return false;
  if (wanted.sha256 !== undefined) return note?.sha256 === undefined || note.sha256 === wanted.sha256;
  const bootMs = Date.now() - uptime() * 1000;
  return note?.validator !== undefined && found.mtimeMs > bootMs;
}

/** A strong ETag, else a date that is strong by RFC 9110, 8.8.2.2: older than the answer by a second at least. */
function validatorOf(headers: Headers): string | undefined {
  const etag = headers.etag;
  if (etag?.startsWith('"') === true) return etag;
  const modified = headers['last-modified'];
  const age = Date.parse(headers.date ?? '') - Date.parse(modified ?? '');
  return age >= 1000 ? modified : undefined;
}

function encodingOf(headers: Headers): string | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase();
  return encoding === '' || encoding === 'identity' ? undefined : encoding;
}

/** A note that cannot be read was torn by a crash: as good as none. */
async function readNote(path: string): Promise<Note | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string')
    return undefined;
  return {
    url: value.url,
    ...('validator' in value && typeof value.validator === 'string' ? { validator: value.validator } : {}),
    ...('sha256' in value && typeof value.sha256 === 'string' ? { sha256: value.sha256 } : {}),
    ...('encoding' in value && typeof value.encoding === 'string' ? { encoding: value.encoding } : {}),
  };
}

/** Reads the whole file, piece by piece; resolves to its size in bytes. */
export async function readWhole(
  file: FileHandle,
  take: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<number> {
  let current = Buffer.allocUnsafe(READ_BUFFER);
  let next = Buffer.allocUnsafe(READ_BUFFER);
  let position = 0;
  let { bytesRead } = await file.read(current, 0, READ_BUFFER, 0);
  while (bytesRead > 0) {
    if (signal.aborted) throw interrupted();
    position += bytesRead;
    const reading = file.read(next, 0, READ_BUFFER, position);
    take(current.subarray(0, bytesRead));
    ({ bytesRead } = await reading);
    [current, next] = [next, current];
  }
  return position;
}

/** Writes all of it at `position`, or rejects with the system's error. */
export async function writeAll(
  file: FileHandle,
  batch: readonly Uint8Array[],
  position: number,
): Promise<void> {
  const length = byteLength(batch);
  const { bytesWritten } = await file.writev(batch, position);
  if (bytesWritten === length) return;
  // A disk that fills up takes a part; what is left says why.
  const rest = Buffer.concat(batch).subarray(bytesWritten);
  let done = 0;
  while (done < rest.length) {
    done += (await file.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten;
  }
}
