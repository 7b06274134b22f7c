// What of the file system an answer rests on: noted by whoever looks, while somebody wants to know.
//
// Ambient, and not an argument of all that looks: what is not noted would make a remembered answer wrong, so that nobody
// on the way down may be able to leave it out. Without somebody who wants to know, a note costs one comparison.
import type { BigIntStats } from 'node:fs';

/** `link`: lstat. `file`: stat, links followed. `type`: only what is there, a file or a folder or nothing, links followed. */
export type Manner = 'link' | 'file' | 'type';

type Fields = Pick<BigIntStats, 'dev' | 'ino' | 'mode' | 'size' | 'mtimeNs' | 'ctimeNs'>;

/** dev, ino, mode, size, mtime, ctime; all zero for what is not there. */
export const STAMP_LENGTH = 6;
export const MANNERS: readonly Manner[] = ['link', 'file', 'type'];

const TYPE_BITS = 0o170000n;
const REGULAR = 0o100000n;
/** Indexes in a stamp. */
const MODE = 2;
const MTIME = 4;
const CTIME = 5;

/** Puts a stamp into `to`, from `at` on. */
export function putStamp(to: BigInt64Array, at: number, stats: Fields | undefined, manner: Manner): void {
  if (stats === undefined || manner === 'type') {
    to.fill(0n, at, at + STAMP_LENGTH);
    if (stats !== undefined) to[at + MODE] = stats.mode & TYPE_BITS;
    return;
  }
  to[at] = BigInt.asIntN(64, stats.dev);
  to[at + 1] = BigInt.asIntN(64, stats.ino);
  to[at + MODE] = stats.mode;
  to[at + 3] = stats.size;
  to[at + MTIME] = stats.mtimeNs;
  to[at + CTIME] = stats.ctimeNs;
}

/** When what was read last changed. Times are nanoseconds since 1970. */
export interface ReadStamp {
  readonly dev: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export class Looks {
  readonly #paths: string[] = [];
  readonly #manners: number[] = [];
  #stamps = new BigInt64Array(64 * STAMP_LENGTH);
  readonly #scratch = new BigInt64Array(STAMP_LENGTH);
  readonly #index: Readonly<Record<Manner, Map<string, number>>> = {
    link: new Map(),
    file: new Map(),
    type: new Map(),
  };
  readonly #read = new Set<number>();
  readonly #reals = new Map<string, string>();
  #spoilt = false;

  /** More was done than to look, or something cannot be looked at in the same way again. */
  spoil(): void {
    this.#spoilt = true;
  }

  /** Whether the notes are all there is to it. */
  get isWhole(): boolean {
    return !this.#spoilt;
  }

  note(path: string, manner: Manner, stats: Fields | undefined, isRead: boolean): void {
    if (this.#spoilt) return;
    putStamp(this.#scratch, 0, stats, manner);
    const at = this.#index[manner].get(path) ?? this.#sameAsLink(path, manner);
    if (at === undefined) this.#add(path, manner, isRead);
    // It changed between two looks: what was made of them is of no one moment.
    else if (!this.#isAt(at)) this.#spoilt = true;
    else if (isRead) this.#read.add(at);
  }

  /** Where a path leads when all links in it are followed. */
  noteReal(path: string, real: string): void {
    if ((this.#reals.get(path) ?? real) !== real) this.#spoilt = true;
    this.#reals.set(path, real);
  }

  get paths(): readonly string[] {
    return this.#paths;
  }

  /** By path, as indexes of MANNERS. */
  get manners(): readonly number[] {
    return this.#manners;
  }

  /** By path. */
  get stamps(): BigInt64Array {
    return this.#stamps.subarray(0, this.#paths.length * STAMP_LENGTH);
  }

  get reals(): readonly (readonly [path: string, real: string])[] {
    return [...this.#reals];
  }

  /** Of what was read, and not only looked at from outside. */
  *readStamps(): Iterable<ReadStamp> {
    for (const index of this.#read) {
      const at = index * STAMP_LENGTH;
      yield {
        dev: this.#stamps[at] ?? 0n,
        mtimeNs: this.#stamps[at + MTIME] ?? 0n,
        ctimeNs: this.#stamps[at + CTIME] ?? 0n,
      };
    }
  }

  /** Of what is no link, stat says the same as lstat. */
  #sameAsLink(path: string, manner: Manner): number | undefined {
    if (manner !== 'file') return undefined;
    const at = this.#index.link.get(path);
    if (at === undefined) return undefined;
    const mode = this.#stamps[at * STAMP_LENGTH + MODE] ?? 0n;
    return (mode & TYPE_BITS) === REGULAR ? at : undefined;
  }

  #isAt(index: number): boolean {
    for (let i = 0; i < STAMP_LENGTH; i++)
      if (this.#stamps[index * STAMP_LENGTH + i] !== this.#scratch[i]) return false;
    return true;
  }

  #add(path: string, manner: Manner, isRead: boolean): void {
    const index = this.#paths.length;
    const at = index * STAMP_LENGTH;
    if (at === this.#stamps.length) {
      const larger = new BigInt64Array(2 * this.#stamps.length);
      larger.set(this.#stamps);
      this.#stamps = larger;
    }
    this.#stamps.set(this.#scratch, at);
    this.#paths.push(path);
    this.#manners.push(MANNERS.indexOf(manner));
    this.#index[manner].set(path, index);
    if (isRead && this.#scratch[MODE] !== 0n) this.#read.add(index);
  }
}

let wanted: Looks | undefined;

/** From now on notes go to `looks`; undefined: to nobody. */
export function noteLooks(looks: Looks | undefined): void {
  wanted = looks;
}

export function areLooksNoted(): boolean {
  return wanted !== undefined;
}

/** @param path absolute */
export function sawLink(path: string, stats: Fields | undefined): void {
  wanted?.note(path, 'link', stats, false);
}

/** @param path absolute */
export function sawFile(path: string, stats: Fields | undefined): void {
  wanted?.note(path, 'file', stats, false);
}

/** @param path absolute */
export function sawType(path: string, stats: Fields | undefined): void {
  wanted?.note(path, 'type', stats, false);
}

/** Of a file its content, of a folder its entries. @param stats as they were before it was read; @param path absolute */
export function sawContent(path: string, stats: Fields | undefined): void {
  wanted?.note(path, 'file', stats, true);
}

/** @param path absolute */
export function sawReal(path: string, real: string): void {
  wanted?.noteReal(path, real);
}

/** Says that more is done than to look. */
export function spoilLooks(): void {
  wanted?.spoil();
}
