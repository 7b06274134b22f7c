// What a log knows, by key: where the value stands in the text that was read, or the value itself once it was asked for or set.
//
// The keys of what was only read stay in the text too, found by a hash table of numbers: a string and an entry of a Map for each of
// very many would take more memory than the text, and most of the time that reading takes.

import { type LogText, MemoryText, StaleText } from './log-text.js';

/** Entries not yet parsed are numbers: block index times this, plus the offset of the value in that block. */
const BLOCK_LIMIT = 2 ** 31;
const LEAST_ROOM = 64;
const NO_BYTES = Buffer.alloc(0);
/** Instead of the place of a value that is gone. */
const DEAD = -1;
/** The same in a table. */
const GONE = 2 ** 32 - 1;

export class Decoded<V> {
  readonly value: V;
  constructor(value: V) {
    this.value = value;
  }
}

/** The JSON of a value, and where it begins: which block, which offset in it. */
interface Cut {
  readonly text: string;
  readonly block: number;
  readonly offset: number;
}

export class LogEntries<V> {
  #texts: LogText[] = [];
  /** What has a value of its own, or was deleted (undefined); it hides what the text says. */
  readonly #own = new Map<string, Decoded<V> | undefined>();
  #size = 0;

  // The table: by slot, one more than the number of the entry; by entry, hash, place of key and value, length of the key.
  #slots = new Int32Array(2 * LEAST_ROOM);
  #hashes = new Uint32Array(LEAST_ROOM);
  #keys = new Float64Array(LEAST_ROOM);
  #lengths = new Uint32Array(LEAST_ROOM);
  #values = new Float64Array(LEAST_ROOM);
  #count = 0;

  get size(): number {
    return this.#size;
  }

  /** Whether all values can be told. */
  get isInMemory(): boolean {
    return this.#texts.every((text) => text instanceof MemoryText);
  }

  /** The place of a value that is not parsed, or the value. */
  get(key: string): number | Decoded<V> | undefined {
    const own = this.#own.get(key);
    if (own !== undefined || this.#own.has(key)) return own;
    const value = this.#values[this.#find(escaped(key))] ?? DEAD;
    return value === DEAD ? undefined : value;
  }

  set(key: string, value: V): void {
    if (this.get(key) === undefined) this.#size++;
    this.#own.set(key, new Decoded(value));
  }

  delete(key: string): boolean {
    if (this.get(key) === undefined) return false;
    this.#size--;
    this.#own.set(key, undefined);
    return true;
  }

  clear(): void {
    this.#texts = [];
    this.#own.clear();
    this.#size = 0;
    this.#slots.fill(0);
    this.#count = 0;
  }

  /** Takes the text that the next records are in. */
  addBlock(bytes: Buffer): void {
    this.#texts.push(new MemoryText(bytes));
  }

  /**
   * What is known, for `restore`: four numbers an entry, places as offsets in the file. Undefined once something was set.
   * @param bases where in the file each block begins
   */
  table(bases: readonly number[]): Uint32Array | undefined {
    if (this.#own.size > 0) return undefined;
    const inFile = (place: number) => (bases[Math.floor(place / BLOCK_LIMIT)] ?? 0) + (place % BLOCK_LIMIT);
    const table = new Uint32Array(4 * this.#count);
    for (let entry = 0; entry < this.#count; entry++) {
      const value = this.#values[entry] ?? DEAD;
      table[4 * entry] = this.#hashes[entry] ?? 0;
      table[4 * entry + 1] = inFile(this.#keys[entry] ?? 0);
      table[4 * entry + 2] = this.#lengths[entry] ?? 0;
      table[4 * entry + 3] = value === DEAD ? GONE : inFile(value);
    }
    return table;
  }

  /** Takes the text whose records are those of the table; nothing must be known yet. */
  restore(text: LogText, table: Uint32Array): void {
    this.#texts = [text];
    for (let at = 0; at < table.length; at += 4) {
      const value = table[at + 3] ?? GONE;
      this.#add(table[at] ?? 0, table[at + 1] ?? 0, table[at + 2] ?? 0, value === GONE ? DEAD : value);
      if (value !== GONE) this.#size++;
    }
  }

  /**
   * Takes a record of the last block, which counts from now on.
   * @param start of the key, escaped as in JSON, and `end`: offsets in the block
   * @param value offset in the block; undefined deletes
   */
  take(start: number, end: number, value: number | undefined): void {
    const last = this.#texts.at(-1);
    if (!(last instanceof MemoryText)) throw new Error('a record of no block');
    const block = last.bytes;
    const origin = (this.#texts.length - 1) * BLOCK_LIMIT;
    const key = block.subarray(start, end);
    const hash = hashOf(block, start, end);
    const found = this.#findHashed(key, hash);
    if (this.#own.size > 0) this.#drop(key, found);
    else if ((this.#values[found] ?? DEAD) !== DEAD) this.#size--;
    if (value !== undefined) this.#size++;
    if (found >= 0) {
      // Key and value are of one record.
      this.#keys[found] = origin + start;
      this.#values[found] = value === undefined ? DEAD : origin + value;
    } else if (value !== undefined) this.#add(hash, origin + start, end - start, origin + value);
  }

  /** Cuts values out at their places, as the text is now: also when it is given up meanwhile. */
  cutter(): (place: number) => Cut {
    const texts = this.#texts;
    return (place) => {
      const block = Math.floor(place / BLOCK_LIMIT);
      const offset = place % BLOCK_LIMIT;
      const text = texts[block]?.value(offset);
      if (text === undefined) throw new Error('an entry of no text');
      return { text, block, offset };
    };
  }

  /** Throws StaleText for a key that is not what it was; the records of what is not in memory are not looked at otherwise. */
  *[Symbol.iterator](): Iterator<[string, number | Decoded<V>]> {
    const texts = this.#texts.map((text) => text.all());
    for (let entry = 0; entry < this.#count; entry++) {
      const value = this.#values[entry] ?? DEAD;
      if (value === DEAD) continue;
      const place = this.#keys[entry] ?? 0;
      const bytes = texts[Math.floor(place / BLOCK_LIMIT)] ?? NO_BYTES;
      const start = place % BLOCK_LIMIT;
      const end = start + (this.#lengths[entry] ?? 0);
      if (hashOf(bytes, start, end) !== this.#hashes[entry]) throw new StaleText();
      const key = unescaped(bytes, start, end);
      if (!this.#own.has(key)) yield [key, value];
    }
    for (const [key, value] of this.#own) if (value !== undefined) yield [key, value];
  }

  /** What a key had of its own no longer counts. */
  #drop(key: Buffer, entry: number): void {
    const name = unescaped(key, 0, key.length);
    const had = this.#own.has(name)
      ? this.#own.get(name) !== undefined
      : (this.#values[entry] ?? DEAD) !== DEAD;
    if (had) this.#size--;
    this.#own.delete(name);
  }

  #find(key: Buffer): number {
    return this.#findHashed(key, hashOf(key, 0, key.length));
  }

  /** The number of the entry, or -1. */
  #findHashed(key: Buffer, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] ?? 0) - 1;
      if (entry < 0) return -1;
      if (this.#hashes[entry] === hash && this.#isKey(entry, key)) return entry;
    }
  }

  #isKey(entry: number, key: Buffer): boolean {
    if (this.#lengths[entry] !== key.length) return false;
    const place = this.#keys[entry] ?? 0;
    return this.#texts[Math.floor(place / BLOCK_LIMIT)]?.hasKey(place % BLOCK_LIMIT, key) === true;
  }

  #add(hash: number, key: number, length: number, value: number): void {
    const entry = this.#count++;
    if (entry === this.#values.length) this.#grow();
    this.#hashes[entry] = hash;
    this.#keys[entry] = key;
    this.#lengths[entry] = length;
    this.#values[entry] = value;
    this.#place(hash, entry);
  }

  #place(hash: number, entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #grow(): void {
    const room = 2 * this.#values.length;
    this.#hashes = resized(this.#hashes, new Uint32Array(room));
    this.#lengths = resized(this.#lengths, new Uint32Array(room));
    this.#keys = resized(this.#keys, new Float64Array(room));
    this.#values = resized(this.#values, new Float64Array(room));
    this.#slots = new Int32Array(2 * room);
    for (let entry = 0; entry < room / 2; entry++) this.#place(this.#hashes[entry] ?? 0, entry);
  }
}

function resized<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** FNV-1a. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash >>> 0;
}

/** A key as it stands in the text, without its quotes. */
function escaped(key: string): Buffer {
  const text = asciiJson(key);
  return Buffer.from(text.slice(1, -1), 'latin1');
}

function unescaped(bytes: Buffer, start: number, end: number): string {
  const raw = bytes.toString('latin1', start, end);
  return raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw;
}

/** JSON in ASCII: one byte a character, so that text is cut out of the file without decoding. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
