// Where the records of a log are read: in memory, or in the file itself, of which the few that are wanted are fetched one by one.
import { closeSync, openSync } from 'node:fs';
import { errorCode, readRange } from './files.js';

/** Offsets are bytes from the beginning of the text. */
export interface LogText {
  /** Whether the key of the record stands at `start`, escaped as in JSON. */
  hasKey(start: number, key: Buffer): boolean;
  /** The JSON of the value that begins at `start`, of the record whose key was looked at last. */
  value(start: number): string;
  /** For who wants all keys; what stands there is not looked at. */
  all(): Buffer;
}

export class MemoryText implements LogText {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  hasKey(start: number, key: Buffer): boolean {
    return this.bytes.compare(key, 0, key.length, start, start + key.length) === 0;
  }

  value(start: number): string {
    return this.bytes.toString('latin1', start, this.bytes.indexOf('\n', start, 'latin1') - 1);
  }

  all(): Buffer {
    return this.bytes;
  }
}

/** The file is not the one any more that was to be read, or not as it was: all of it has to be read anew. */
export class StaleText extends Error {
  constructor() {
    super('a log is not as its index says');
  }
}

/** Bytes before the key: the sum, a space, a bracket and a quote. */
const BEFORE_KEY = 11;
/** Bytes: more than most records have. */
const WINDOW = 2048;
/** When one record in so many bytes was fetched, all of the file is: it takes no longer, and only then the memory is worth it. */
const READ_SHARE = 8192;
const LEAST_READS = 1000;

export class FileText implements LogText {
  readonly #path: string;
  readonly #head: string;
  readonly #end: number;
  readonly #isRecord: (line: Buffer) => boolean;
  #reads = 0;
  /** All of it, once much of it was wanted. */
  #whole: Buffer | undefined;
  /** The record that was looked at last. */
  #line: Buffer = Buffer.alloc(0);
  #lineStart = 0;

  /**
   * @param head first line of the file, which names it
   * @param end bytes of the file that are meant
   * @param isRecord whether a line is what was written; the functions throw StaleText for one that is not
   */
  constructor(path: string, head: string, end: number, isRecord: (line: Buffer) => boolean) {
    this.#path = path;
    this.#head = head;
    this.#end = end;
    this.#isRecord = isRecord;
  }

  hasKey(start: number, key: Buffer): boolean {
    const at = start - BEFORE_KEY;
    if (at !== this.#lineStart) {
      const line = this.#read(at);
      if (!this.#isRecord(line)) throw new StaleText();
      this.#line = line;
      this.#lineStart = at;
    }
    const { length } = key;
    return (
      this.#line.compare(key, 0, length, BEFORE_KEY, Math.min(BEFORE_KEY + length, this.#line.length)) === 0
    );
  }

  value(start: number): string {
    const at = start - this.#lineStart;
    if (at < 0 || at >= this.#line.length) throw new StaleText();
    return this.#line.toString('latin1', at, this.#line.length - 1);
  }

  all(): Buffer {
    return this.#whole ?? this.#fetch(0, this.#end);
  }

  /** The line that begins there, without its end. */
  #read(start: number): Buffer {
    if (this.#whole === undefined && this.#reads++ >= Math.max(LEAST_READS, this.#end / READ_SHARE))
      this.#whole = this.#fetch(0, this.#end);
    for (let window = WINDOW; ; window *= 8) {
      const end = Math.min(start + window, this.#end);
      const bytes = this.#whole?.subarray(start, end) ?? this.#fetch(start, end);
      const length = bytes.indexOf('\n', 0, 'latin1');
      if (length >= 0) return bytes.subarray(0, length);
      if (end === this.#end) throw new StaleText();
    }
  }

  #fetch(start: number, end: number): Buffer {
    try {
      const fd = openSync(this.#path, 'r');
      try {
        const head = readRange(fd, 0, this.#head.length + 1);
        if (head.toString('latin1') === `${this.#head}\n`) return readRange(fd, start, end);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // Why it cannot be read is told by who reads all of it.
      if (errorCode(error) === undefined) throw error;
    }
    throw new StaleText();
  }
}
