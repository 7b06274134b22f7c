// A map that lives in an append-only file: what is known survives kill -9 and power loss, also on NFS, without a database.
//
// The first line is a header with the format's name and version, each further one a record: CRC32 in hex, a space, and the JSON
// of [key, value] in ASCII; the last record of a key counts, null deletes. The sum of a record starts from the version, so
// that a record is never read under another version's meaning. Writers append (O_APPEND) whole records behind a line break, so that
// a record torn by a crash spoils no other; the file is rewritten (temporary name, rename) when most of it is dead. Who rewrites
// holds the mark `.compact` beside the file, one process at a time; who appends takes no notice of it.
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasync, fstatSync, openSync, statSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { crcHex } from '../model/crc.js';
import { ResError } from '../model/error.js';
import { sawContent, spoilLooks } from '../model/looks.js';
import { errorCode, fsyncDir, ioError, makeAll, readRange, writeAllSync } from './files.js';
import { forgetKeptFile } from './kept-file.js';
import { asciiJson, Decoded, LogEntries } from './log-entries.js';
import { readLogIndex, writeLogIndex } from './log-index.js';
import { FileText, StaleText } from './log-text.js';

export interface KeyedLogOptions<V> {
  /** Of the values' meaning. A file of another version is put aside at the next flush, not read. */
  readonly version: number;
  /** Undefined for what is no V; the record then counts as damaged. A V must not be null. */
  readonly decode: (value: unknown) => V | undefined;
  /** Absolute. Keys that are paths below it are written relative to it: they hold when the folder is moved, or seen from a container. */
  readonly root?: string;
  /** Where the table of a long file may be kept, which spares reading it record by record, and a folder for what is not yet whole. */
  readonly index?: { readonly path: string; readonly tmp: string };
}

const FORMAT = 'res-log';
/** Below this many bytes a rewrite gains nothing. */
const COMPACT_ABOVE = 64 * 1024;
/** The mark of a rewrite by a process that cannot be seen from here counts for this long (ms). */
const REWRITE_STALE = 10 * 60 * 1000;
/** One without a name in it: its process is about to write it, or was killed before. */
const TORN_STALE = 5 * 1000;
/** Ending of the name of that mark. */
const MARK = '.compact';
/** More than the first line has, bytes. */
const HEAD_SIZE = 256;
const WRITE_SIZE = 1024 * 1024;
/** Records that take some 20 ms to read. */
const WORTH_AN_INDEX = 10_000;
/** Records behind the index that take longer to read than a new one to write. */
const WORTH_A_NEW_INDEX = 2000;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const BRACE = 0x7b;

/** What one look at the file told. */
interface Seen {
  /** First line, which tells this file from one that took its place. Empty: no file, or nothing in it. */
  head: string;
  /** Bytes taken in: up to the end of the last whole line. */
  offset: number;
  /** Valid records, dead ones too. */
  records: number;
  /** Whether a header of this version was found. */
  headed: boolean;
  /** It ends within a record. */
  torn: boolean;
  /** Something else in it is to be left behind. */
  damaged: boolean;
  /** Written by another version: none of it is used. */
  foreign: number | undefined;
}

const NOTHING_SEEN: Seen = {
  head: '',
  offset: 0,
  records: 0,
  headed: false,
  torn: false,
  damaged: false,
  foreign: undefined,
};

export class KeyedLog<V> {
  readonly #path: string;
  readonly #options: KeyedLogOptions<V>;
  /** Where in the file each part of it begins that was read. */
  #bases: number[] = [];
  readonly #entries = new LogEntries<V>();
  /** Changes since the last flush, and those of the flush under way; undefined is a deletion. */
  #pending = new Map<string, V | undefined>();
  #flushing = new Map<string, V | undefined>();
  #seen: Seen = { ...NOTHING_SEEN };
  #damaged = 0;
  #firstDamage = 0;
  readonly #notes = new Set<string>();
  #queue: Promise<void> = Promise.resolve();
  /** Once is enough for what a killed process left: who wants to rewrite looks for himself. */
  #hasLookedForMark = false;
  /** All of the file is read, whatever the index tells. */
  #withoutIndex = false;

  private constructor(path: string, options: KeyedLogOptions<V>) {
    this.#path = path;
    this.#options = options;
  }

  /** Reads the whole file; one that does not exist is an empty map. Throws ResError `io`. Writes nothing. */
  static open<V>(path: string, options: KeyedLogOptions<V>): KeyedLog<V> {
    const log = new KeyedLog<V>(path, options);
    log.reload();
    return log;
  }

  get(name: string): V | undefined {
    const key = this.#written(name);
    const entry = this.#surely(() => this.#entries.get(key));
    if (entry === undefined) return undefined;
    if (entry instanceof Decoded) return entry.value;
    const { text, block, offset } = this.#entries.cutter()(entry);
    const value = this.#options.decode(JSON.parse(text));
    if (value === undefined) {
      this.#entries.delete(key);
      this.#noteDamage((this.#bases[block] ?? 0) + offset);
      return undefined;
    }
    this.#entries.set(key, value);
    return value;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Counts at once; is on disk after `flush`. */
  set(name: string, value: V): void {
    const key = this.#written(name);
    this.#surely(() => this.#entries.set(key, value));
    this.#pending.set(key, value);
  }

  delete(name: string): void {
    const key = this.#written(name);
    if (!this.#surely(() => this.#entries.delete(key))) return;
    this.#pending.set(key, undefined);
  }

  *entries(): IterableIterator<[string, V]> {
    for (const [key] of [...this.#allEntries()]) {
      const value = this.get(key);
      if (value !== undefined) yield [this.#named(key), value];
    }
  }

  /** Of what an index tells, also those of records that turn out to be damaged when they are asked for. */
  names(): readonly string[] {
    return this.#surely(() => Array.from(this.#entries, ([key]) => this.#named(key)));
  }

  /** For who looks for something in all of them: the JSON of each that was not asked for yet, not checked, and the others. */
  *texts(): IterableIterator<[string, string | Decoded<V>]> {
    const entries = this.#allEntries();
    const cut = entries.cutter();
    for (const [key, entry] of entries)
      yield [this.#named(key), entry instanceof Decoded ? entry : cut(entry).text];
  }

  #written(name: string): string {
    const { root } = this.#options;
    return root !== undefined && name.startsWith(`${root}/`) ? name.slice(root.length + 1) : name;
  }

  #named(key: string): string {
    const { root } = this.#options;
    return root === undefined || key.startsWith('/') ? key : `${root}/${key}`;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Names the file: while it is the same no record that was read is lost. Undefined when not all of it could be used. */
  get head(): string | undefined {
    const { head, torn, damaged, foreign } = this.#seen;
    return torn || damaged || foreign !== undefined || this.#damaged > 0 ? undefined : head;
  }

  /** Names what is known: while it is the same there are no other records. Undefined also when something is yet to be written. */
  get position(): string | undefined {
    const { head } = this;
    const isWritten = this.#pending.size + this.#flushing.size === 0;
    return head === undefined || !isWritten ? undefined : `${this.#seen.offset} ${head}`;
  }

  /** What was found damaged and left out, in sentences for the user; a record torn at the end by a crash is not told. */
  get damage(): readonly string[] {
    const notes = [...this.#notes];
    if (this.#damaged > 0) {
      const what = this.#damaged === 1 ? 'a damaged record was' : `${this.#damaged} damaged records were`;
      notes.push(`${this.#path}: ${what} left out (the first near byte ${this.#firstDamage})`);
    }
    return notes;
  }

  /** Takes in what other processes have written since. Own changes that are not flushed yet stay. Throws ResError `io`. */
  reload(): void {
    try {
      this.#read();
    } catch (error) {
      throw ioError(error, 'cannot read', this.#path);
    }
  }

  /** Puts all changes on disk, durably; may take in those of others. Rejects with ResError `io` or `no-space`; the changes are then kept for the next flush. */
  flush(): Promise<void> {
    const run = this.#queue.then(() => this.#flush());
    this.#queue = run.catch(() => undefined);
    return run;
  }

  // Reading

  #read(): void {
    this.#surely(() => this.#readNew());
  }

  /** What the index tells may turn out to be wrong while it is used: then all of the file is read, and it is done again. */
  #surely<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof StaleText)) throw error;
      forgetKeptFile(this.#options.index?.path ?? '');
      this.#readAll();
      return use();
    }
  }

  #readAll(): void {
    this.#withoutIndex = true;
    this.#forgetFile();
    this.#read();
  }

  /** What is asked for one by one is read one by one; for who wants all, all is read. */
  #allEntries(): LogEntries<V> {
    if (!this.#entries.isInMemory) this.#readAll();
    return this.#entries;
  }

  #readNew(): void {
    const fd = openIfThere(this.#path);
    if (fd === undefined) {
      if (this.#seen.offset > 0) this.#forgetFile();
      return;
    }
    try {
      const stats = fstatSync(fd, { bigint: true });
      sawContent(this.#path, stats);
      const size = Number(stats.size);
      const head = readRange(fd, 0, Math.min(size, HEAD_SIZE)).toString('latin1').split('\n', 1)[0] ?? '';
      if (this.#seen.offset > 0 && (head !== this.#seen.head || size < this.#seen.offset)) this.#forgetFile();
      const known = this.#seen.offset > 0 ? undefined : this.#recall(fd, head, size);
      if (known === undefined && (size === this.#seen.offset || this.#seen.foreign !== undefined)) return;
      const base = this.#seen.offset;
      if (size > base) this.#take(readRange(fd, base, size), base);
      this.#seen.head = head;
      if (base === 0 || known !== undefined) this.#keepIndex(fd, known ?? 0);
    } finally {
      closeSync(fd);
    }
    this.#reapply();
  }

  /** The file is gone or another one: what was read from it no longer counts. */
  #forgetFile(): void {
    this.#entries.clear();
    this.#bases = [];
    this.#seen = { ...NOTHING_SEEN };
    this.#reapply();
  }

  #reapply(): void {
    for (const changes of [this.#flushing, this.#pending]) {
      for (const [key, value] of changes) {
        if (value === undefined) this.#entries.delete(key);
        else this.#entries.set(key, value);
      }
    }
  }

  /** Takes in what the index tells of the file: so many records. Undefined when there is none that counts. */
  #recall(fd: number, head: string, size: number): number | undefined {
    const { index, version } = this.#options;
    if (!index || this.#withoutIndex || parseHeader(Buffer.from(head, 'latin1')) !== version)
      return undefined;
    const kept = readLogIndex(index.path, fd, head, size);
    if (kept === undefined) return undefined;
    const isRecord = (line: Buffer) => parseRecord(line, 0, line.length, version) !== undefined;
    this.#entries.restore(new FileText(this.#path, head, kept.offset, isRecord), kept.table);
    this.#bases = [0];
    this.#seen = { ...NOTHING_SEEN, offset: kept.offset, records: kept.records, headed: true };
    return kept.records;
  }

  /** @param known records that the index has which is there */
  #keepIndex(fd: number, known: number): void {
    const { index } = this.#options;
    const { head, offset, records } = this.#seen;
    const isWorthIt = records >= WORTH_AN_INDEX && records - known >= WORTH_A_NEW_INDEX;
    if (!index || this.#withoutIndex || !isWorthIt || this.head === undefined) return;
    const table = this.#entries.table(this.#bases);
    if (table) writeLogIndex(index, fd, { head, offset, records, table });
  }

  /** Takes in the whole lines of what was read at `base` in the file. */
  #take(block: Buffer, base: number): void {
    const seen = this.#seen;
    this.#bases.push(base);
    this.#entries.addBlock(block);
    let start = 0;
    for (;;) {
      const end = block.indexOf(NEWLINE, start);
      if (end === -1) break;
      if (end > start) {
        if (block[start + 9] === BRACE) this.#takeHeader(block, start, end, base);
        else this.#takeRecord(block, start, end, base);
        if (seen.foreign !== undefined) {
          this.#entries.clear();
          seen.offset = base + end + 1;
          return;
        }
      }
      start = end + 1;
      seen.offset = base + start;
    }
    seen.torn = start < block.length;
  }

  #takeHeader(block: Buffer, start: number, end: number, base: number): void {
    const header = parseHeader(block.subarray(start, end));
    if (header === undefined) this.#noteDamage(base + start);
    else if (header === this.#options.version) this.#seen.headed = true;
    else {
      this.#seen.foreign = header;
      this.#notes.add(
        `${this.#path}: written by another version of res (format ${header}, this one reads ${this.#options.version}); it is not used and will be put aside`,
      );
    }
  }

  #takeRecord(block: Buffer, start: number, end: number, base: number): void {
    const record = parseRecord(block, start, end, this.#options.version);
    if (record === undefined) {
      this.#noteDamage(base + start);
      return;
    }
    this.#seen.records++;
    const { key, keyEnd, value } = record;
    const isNull = end - value === 5 && block.toString('latin1', value, end - 1) === 'null';
    this.#entries.take(key, keyEnd, isNull ? undefined : value);
  }

  #noteDamage(position: number): void {
    this.#seen.damaged = true;
    if (this.#damaged === 0) this.#firstDamage = position;
    this.#damaged++;
  }

  // Writing

  async #flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    spoilLooks();
    this.#flushing = this.#pending;
    this.#pending = new Map();
    try {
      if (this.#isAlien()) await this.#putAside();
      // A torn record may have been another process's, under way when we read it: look again before rewriting.
      if (this.#seen.torn) this.#read();
      const clean = !this.#seen.torn && !this.#seen.damaged;
      if (clean || !(await this.#rewrite())) await this.#append();
      this.#flushing = new Map();
    } catch (error) {
      this.#pending = new Map([...this.#flushing, ...this.#pending]);
      this.#flushing = new Map();
      throw ioError(error, 'cannot write', this.#path);
    }
    const { offset, records } = this.#seen;
    if (offset > COMPACT_ABOVE && records > 2 * this.#entries.size) await this.#rewrite();
    else if (!this.#hasLookedForMark) await removeDeadMark(`${this.#path}${MARK}`);
    this.#hasLookedForMark = true;
  }

  /** Of another version, or so damaged that it cannot be told what it is. */
  #isAlien(): boolean {
    const { foreign, headed, records, offset } = this.#seen;
    return foreign !== undefined || (offset > 0 && !headed && records === 0);
  }

  /**
   * Appends what is being flushed. If the file was replaced meanwhile, again: the replacement may have missed it. All but the sync
   * is done at once: it costs less than to wait for it, and a build flushes for each node.
   */
  async #append(): Promise<void> {
    let records = '';
    for (const [key, value] of this.#flushing) {
      records += this.#record(key, value === undefined ? 'null' : asciiJson(value));
    }
    for (let attempt = 0; attempt < 10; attempt++) {
      const fd = await openToAppend(this.#path);
      try {
        const before = fstatSync(fd);
        const head = before.size === 0 ? this.#header() : '';
        const bytes = Buffer.from(`${head}\n${records}`, 'latin1');
        writeAllSync(fd, bytes);
        await datasync(fd);
        if (before.size === 0) await fsyncDir(dirname(this.#path));
        const after = fstatSync(fd);
        if (!this.#isCurrent(after.ino)) continue;
        if (before.size === this.#seen.offset && after.size === before.size + bytes.length) {
          const seen = {
            ...this.#seen,
            offset: after.size,
            records: this.#seen.records + this.#flushing.size,
          };
          this.#seen = head === '' ? seen : { ...seen, head: head.trimEnd(), headed: true };
        } else this.#read(); // Others wrote too: only with theirs counted is it known how much is dead.
        return;
      } catch (error) {
        this.#seen.torn = true;
        throw error;
      } finally {
        closeSync(fd);
      }
    }
    throw new ResError('io', `cannot write ${this.#path}: other processes keep replacing it`, {
      hint: 'Stop the other runs of res that use this workspace, and try again.',
    });
  }

  #isCurrent(inode: number): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino === inode;
  }

  /** Replaces the file by one with live records only. False, with nothing done, while another process does so or room is short. */
  async #rewrite(): Promise<boolean> {
    const mark = `${this.#path}${MARK}`;
    try {
      if (!(await claimMark(mark))) return false;
      try {
        return await this.#rewriteAlone(`${mark}.tmp`);
      } finally {
        await rm(mark, { force: true });
      }
    } catch (error) {
      const told = ioError(error, 'cannot write', this.#path);
      // A second copy needs room that appending does not.
      if (told.code === 'no-space') return false;
      throw told;
    }
  }

  async #rewriteAlone(temp: string): Promise<boolean> {
    const old = await openToRead(this.#path);
    // One that a killed process left is overwritten.
    const file = await open(temp, 'w').catch(async (error: unknown) => {
      await old?.close();
      throw error;
    });
    try {
      this.#read();
      if (this.#isAlien() || (old && !this.#isCurrent((await old.stat()).ino))) {
        await rm(temp);
        return false;
      }
      const header = this.#header();
      let { size, records } = await this.#writeLive(file, header);
      await file.datasync();
      for (;;) {
        const late = await this.#takeLate(old);
        if (late.size === 0) break;
        const bytes = linesOf(late.values());
        await writeAll(file, bytes);
        await file.datasync();
        size += bytes.length;
        records += late.size;
      }
      const taken = this.#seen.offset;
      // Two may have taken the mark of a dead one away at once, and the second have begun anew.
      if ((await file.stat()).ino !== (await stat(temp)).ino) return false;
      await rename(temp, this.#path);
      await fsyncDir(dirname(this.#path));
      this.#seen = { ...NOTHING_SEEN, head: header.trimEnd(), offset: size, records, headed: true };
      if (old) await this.#carryOver(await this.#recordsAfter(old, taken));
      this.#read();
      return true;
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    } finally {
      await file.close();
      await old?.close();
    }
  }

  /** Takes in what others have appended to the file since it was last read: the last record of each key. */
  async #takeLate(old: FileHandle | undefined): Promise<Late> {
    const from = this.#seen.offset;
    this.#read();
    return old && this.#seen.offset > from ? this.#recordsAfter(old, from, this.#seen.offset) : new Map();
  }

  async #recordsAfter(file: FileHandle, from: number, to?: number): Promise<Late> {
    const end = to ?? (await file.stat()).size;
    return lastRecords(readRange(file.fd, from, Math.max(from, end)), this.#options.version);
  }

  async #writeLive(file: FileHandle, header: string): Promise<{ size: number; records: number }> {
    // As things stand at this moment.
    const entries = [...this.#allEntries()];
    const cut = this.#entries.cutter();
    let text = header;
    let size = 0;
    const write = async () => {
      const bytes = Buffer.from(text, 'latin1');
      await writeAll(file, bytes);
      size += bytes.length;
      text = '';
    };
    for (const [key, entry] of entries) {
      text += this.#record(key, entry instanceof Decoded ? asciiJson(entry.value) : cut(entry).text);
      if (text.length >= WRITE_SIZE) await write();
    }
    await write();
    return { size, records: entries.length };
  }

  /**
   * What others appended to the old file just before the rename goes to the new one, where it is the last that was written of its
   * key: a later record of it stands behind the rewritten part. (Who appends to the old file after the rename finds it replaced, and
   * appends again.)
   */
  async #carryOver(late: Late): Promise<void> {
    if (late.size === 0) return;
    const file = await open(this.#path, 'a+');
    try {
      let from = this.#seen.offset;
      for (let missing = late; ; ) {
        const { size } = await file.stat();
        const there = await this.#recordsAfter(file, from, size);
        missing = without(missing, there);
        if (missing.size === 0) return;
        const bytes = linesOf(missing.values());
        await writeAll(file, bytes);
        await file.datasync();
        // Who wrote a record of one of these keys in between was overtaken just now: that one again.
        const written = readRange(file.fd, size, (await file.stat()).size);
        const mine = written.indexOf(bytes);
        const overtaken = lastRecords(written.subarray(0, mine), this.#options.version);
        missing = without(overtaken, without(overtaken, missing));
        from = size + mine + bytes.length;
      }
    } finally {
      await file.close();
    }
  }

  /** A file of another version is never destroyed: it gets a name of its own. */
  async #putAside(): Promise<void> {
    const aside = `${this.#path}.${randomBytes(3).toString('hex')}.bak`;
    await rename(this.#path, aside);
    this.#notes.add(`${this.#path}: the file of another version is now ${aside}`);
    this.#forgetFile();
  }

  #record(key: string, valueJson: string): string {
    const payload = `[${asciiJson(key)},${valueJson}]`;
    return `${crcHex(payload, this.#options.version)} ${payload}\n`;
  }

  /** With a random id: it tells a rewritten file from its predecessor. */
  #header(): string {
    const payload = JSON.stringify({
      format: FORMAT,
      version: this.#options.version,
      id: randomBytes(8).toString('hex'),
    });
    return `${crcHex(payload)} ${payload}\n`;
  }
}

function parseHeader(line: Buffer): number | undefined {
  const payload = line.subarray(9);
  if (line[8] !== SPACE || parseHex(line, 0) !== crc32(payload)) return undefined;
  const header: unknown = JSON.parse(payload.toString('latin1'));
  if (typeof header !== 'object' || header === null || !('format' in header) || !('version' in header))
    return undefined;
  return header.format === FORMAT && typeof header.version === 'number' ? header.version : undefined;
}

/** Where in a line the key of a record begins and ends and its value begins; undefined for what is no whole record of this version. */
function parseRecord(
  block: Buffer,
  start: number,
  end: number,
  version: number,
): { readonly key: number; readonly keyEnd: number; readonly value: number } | undefined {
  const sum = start + 8 < end && block[start + 8] === SPACE ? parseHex(block, start) : undefined;
  const payload = start + 9;
  const keyEnd = sum === undefined ? -1 : findKeyEnd(block, payload, end);
  if (
    sum === undefined ||
    keyEnd === -1 ||
    block[end - 1] !== CLOSING_BRACKET ||
    crc32(block.subarray(payload, end), version) !== sum
  )
    return undefined;
  return { key: payload + 2, keyEnd, value: keyEnd + 2 };
}

/** Records of others, as their lines, by their keys as they stand there. */
type Late = ReadonlyMap<string, string>;

/** The last whole record of each key. */
function lastRecords(bytes: Buffer, version: number): Late {
  const last = new Map<string, string>();
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const record = parseRecord(bytes, start, end, version);
    if (record)
      last.set(bytes.toString('latin1', record.key, record.keyEnd), bytes.toString('latin1', start, end));
    start = end + 1;
  }
  return last;
}

function linesOf(records: Iterable<string>): Buffer {
  return Buffer.from(`\n${[...records].join('\n')}\n`, 'latin1');
}

function without(records: Late, others: Late): Late {
  return new Map([...records].filter(([key]) => !others.has(key)));
}

/** Position of the quote that ends the key of `["key",`, or -1. */
function findKeyEnd(block: Buffer, payload: number, end: number): number {
  if (block[payload] !== BRACKET || block[payload + 1] !== QUOTE) return -1;
  let quote = block.indexOf(QUOTE, payload + 2);
  while (quote !== -1 && quote < end && escaped(block, quote)) quote = block.indexOf(QUOTE, quote + 1);
  return quote === -1 || quote >= end || block[quote + 1] !== COMMA ? -1 : quote;
}

function escaped(block: Buffer, position: number): boolean {
  let backslashes = 0;
  while (block[position - 1 - backslashes] === 0x5c) backslashes++;
  return backslashes % 2 === 1;
}

/** Eight lower-case hexadecimal digits as a number. */
function parseHex(block: Buffer, start: number): number | undefined {
  let value = 0;
  for (let i = start; i < start + 8; i++) {
    const byte = block[i] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
    else if (byte >= 0x61 && byte <= 0x66) value = value * 16 + byte - 0x57;
    else return undefined;
  }
  return value;
}

/** Makes its folder where that is missing. Rejects with the system's error. */
async function openToAppend(path: string): Promise<number> {
  try {
    return openSync(path, 'a');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    await makeAll(dirname(path));
    return openSync(path, 'a');
  }
}

const datasync = promisify(fdatasync);

function openIfThere(path: string): number | undefined {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return openSync(path, 'r');
  sawContent(path, undefined);
  return undefined;
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await file.write(bytes, done, bytes.length - done)).bytesWritten;
}

async function openToRead(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes the mark of a rewrite, with the name of this process in it. False while another process rewrites; the mark of a dead
 * one is removed, for the next flush. Rejects with the system's error.
 */
async function claimMark(mark: string): Promise<boolean> {
  // Read only where something is rewritten: a start of res that writes nothing pays nothing for it.
  const { thisProcess } = await import('./holder.js');
  const holder = JSON.stringify(thisProcess('rewrite', randomBytes(8).toString('hex')));
  try {
    await writeFile(mark, holder, { flag: 'wx' });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') await removeDeadMark(mark);
    else await rm(mark, { force: true });
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** With what its process has written of the new file. Rejects with the system's error. */
async function removeDeadMark(mark: string): Promise<void> {
  if (statSync(mark, { throwIfNoEntry: false }) === undefined) return;
  const { lifeOf, parseHolder } = await import('./holder.js');
  try {
    const holder = parseHolder(await readFile(mark, 'utf8'));
    const life = holder ? await lifeOf(holder, dirname(mark)) : 'unknown';
    const age = Date.now() - (await stat(mark)).mtimeMs;
    const isDead = life === 'dead' || (life === 'unknown' && age > (holder ? REWRITE_STALE : TORN_STALE));
    if (!isDead) return;
    await rm(`${mark}.tmp`, { force: true });
    await rm(mark, { force: true });
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
