// A download under way, on disk: what has arrived, and what must hold for the rest to be asked for. It survives kill -9;
// nothing that was only remembered about its bytes is believed afterwards.
import { constants, existsSync, readFileSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { dirname } from 'node:path';
import { errorCode, ioError } from '../store/files.js';
import { GrowingSums } from '../store/growing-sums.js';
import { giveBack } from '../store/lent.js';
import type { FileSums } from '../store/running-sums.js';
import { ByteSet, type ByteSpan } from './byte-set.js';
import { byteLength } from './exchange.js';
import type { Headers } from './failure.js';
import { redactUrl } from './redact.js';
import { orInterrupted } from './retry.js';

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
  /** Bytes on disk from the beginning up to the first one that is missing. */
  readonly size: number;
  /** Bytes on disk, those behind gaps included. */
  readonly present: number;
  /** Whether its bytes may come from several answers: then a wrong sum can be the joint's fault. */
  readonly joined: boolean;
  /** What is missing of `total` bytes, in order. */
  gaps(total: number): readonly ByteSpan[];
  /** Of the first `size` bytes. Rejects with ResError `io`, `interrupted`. */
  sums(): Promise<FileSums>;
  /**
   * Headers that an answer from this URL must be asked for with to be joined to what is there, beside the range; undefined when there
   * is no safe way to join it.
   */
  condition(url: string): Headers | undefined;
  /** Whether an answer from this URL with these headers continues the same content, as far as its validators tell. */
  continuedBy(url: string, headers: Headers): boolean;
  /** Notes where the next bytes come from, before any of them is written. */
  begin(url: string, headers: Headers): Promise<void>;
  /** The next bytes behind the first `size`. */
  append(batch: readonly Uint8Array[]): Promise<void>;
  /** From now on bytes may come behind gaps, and the notes say which there are. */
  allowGaps(): Promise<void>;
  /** Bytes of a gap, wherever they belong. */
  write(position: number, batch: readonly Uint8Array[]): Promise<void>;
  /** Brings the notes up to date with what is there behind gaps. */
  note(): Promise<void>;
  /** Gives up what is behind the first gap. */
  closeGaps(): Promise<void>;
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
  /** Which bytes there are at least, where there may be gaps between them. */
  readonly present?: readonly ByteSpan[];
}

/** Opens or creates it. Rejects with ResError `io`, `no-space`. */
export async function openPartial(
  path: string,
  wanted: Wanted,
  signal: AbortSignal,
  watcher?: Watcher,
): Promise<PartialFile> {
  const notePath = `${path}.json`;
  let present = new ByteSet();
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw ioError(
        error,
        'cannot write',
        path,
        wanted.size === undefined ? undefined : wanted.size - present.size,
      );
    }
  };

  let note = await guarded(() => readNote(notePath));
  const file = await guarded(async () => {
    await mkdir(dirname(path), { recursive: true });
    return open(path, constants.O_RDWR | constants.O_CREAT);
  });
  const sums = new GrowingSums(path, { chunks: true });
  let noting: Promise<void> = Promise.resolve();
  let joined = false;
  let appending = false;
  let isOpen = true;

  function grow(span: ByteSpan): void {
    const before = present.beginning;
    present.add(span);
    const { beginning } = present;
    if (beginning === before) return;
    sums.reach(beginning);
    watcher?.arrived(beginning);
  }

  /** Whole or not at all, one after the other. */
  function writeNote(now: Note): Promise<void> {
    note = now;
    // One that could not be written says nothing about the next one.
    noting = noting
      .catch(() => undefined)
      .then(() =>
        guarded(async () => {
          await writeFile(`${notePath}.tmp`, JSON.stringify(now));
          await rename(`${notePath}.tmp`, notePath);
        }),
      );
    return noting;
  }

  async function noteGaps(): Promise<void> {
    if (note?.present) await writeNote({ ...note, present: present.spans });
  }

  async function restart(): Promise<void> {
    await guarded(async () => {
      await file.truncate(0);
      await rm(notePath, { force: true });
    });
    sums.restart();
    present = new ByteSet();
    joined = false;
    note = undefined;
    watcher?.restarted();
  }

  async function closeFile(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    sums.close();
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
      joined = true;
      for (const span of arrivedOf(note, found.size).spans) grow(span);
    } else {
      await restart();
    }
  } catch (error) {
    await closeFile();
    throw error;
  }

  return {
    get size() {
      return present.beginning;
    },
    get present() {
      return present.size;
    },
    get joined() {
      return joined;
    },
    gaps: (total) => present.gaps(total),
    sums: () => orInterrupted(sums.sums(signal), signal),
    condition(url) {
      if (note?.validator !== undefined && note.url === redactUrl(url)) return { 'if-range': note.validator };
      // The whole is compared with its sum in the end, so that any server that has it will do.
      return wanted.sha256 === undefined ? undefined : {};
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
      await writeNote({
        url: redactUrl(url),
        ...(validator === undefined ? {} : { validator }),
        ...(wanted.sha256 === undefined ? {} : { sha256: wanted.sha256 }),
        ...(encoding === undefined ? {} : { encoding }),
        ...(note?.present === undefined ? {} : { present: present.spans }),
      });
      appending = present.size > 0;
    },
    append: (batch) => write(present.beginning, batch),
    async allowGaps() {
      if (!note) throw new Error('gaps in a file of nowhere');
      joined = true;
      await writeNote({ ...note, present: present.spans });
    },
    write,
    note: noteGaps,
    async closeGaps() {
      if (!note?.present) return;
      const { beginning } = present;
      await guarded(() => file.truncate(beginning));
      present = new ByteSet([[0, beginning]]);
      const { present: _, ...rest } = note;
      await writeNote(rest);
    },
    restart,
    async finish() {
      await guarded(async () => {
        // Behind a gap there may once have been more than there was to come.
        if (note?.present) await file.truncate(present.beginning);
        await file.sync();
        await rm(notePath, { force: true });
      });
      await closeFile();
    },
    async close() {
      if (!isOpen) return;
      if (present.size === 0) return remove();
      try {
        await noteGaps();
      } finally {
        await closeFile();
      }
    },
    remove,
  };

  async function write(position: number, batch: readonly Uint8Array[]): Promise<void> {
    joined ||= appending;
    appending = false;
    const writing = guarded(() => writeAll(file, batch, position));
    // What is short is summed meanwhile.
    if (position === present.beginning) for (const bytes of batch) sums.pass(bytes);
    await writing;
    grow([position, position + byteLength(batch)]);
    for (const bytes of batch) giveBack(bytes);
  }
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
  // For a known sum bytes of several places are put together, and the note names the last one.
  if (note?.sha256 !== undefined) return false;
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

async function readNote(path: string): Promise<Note | undefined> {
  try {
    return parseNote(await readFile(path, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** One that cannot be read was torn by a crash: as good as none. */
function parseNote(text: string): Note | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string')
    return undefined;
  return {
    url: value.url,
    ...('validator' in value && typeof value.validator === 'string' ? { validator: value.validator } : {}),
    ...('sha256' in value && typeof value.sha256 === 'string' ? { sha256: value.sha256 } : {}),
    ...('encoding' in value && typeof value.encoding === 'string' ? { encoding: value.encoding } : {}),
    ...('present' in value ? { present: spansOf(value.present) } : {}),
  };
}

function spansOf(value: unknown): readonly ByteSpan[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((span: unknown): ByteSpan[] => {
    const [start, end]: readonly unknown[] = Array.isArray(span) ? span : [];
    return Number.isSafeInteger(start) && Number.isSafeInteger(end) ? [[Number(start), Number(end)]] : [];
  });
}

/** For estimates: what has arrived of a download at `path`, as far as that can be read. */
export function arrivedBytes(path: string): ByteSet {
  try {
    const { size } = statSync(path);
    const notePath = `${path}.json`;
    return arrivedOf(existsSync(notePath) ? parseNote(readFileSync(notePath, 'utf8')) : undefined, size);
  } catch {
    return new ByteSet();
  }
}

function arrivedOf(note: Note | undefined, size: number): ByteSet {
  const spans = note?.present ?? [[0, size] as const];
  return new ByteSet(spans.map(([start, end]) => [start, Math.min(end, size)]));
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
