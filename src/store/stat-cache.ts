// Remembers the digest of a file by its stat, so that what did not change is not read again.
//
// A stat proves nothing while a later write could have left the same one: within the file system's clock tick of the last
// change (git's racy-clean rule). So each record holds that clock as it stood before the content was read, and is trusted only
// if the last change lies a tick or more before it. ctime counts beside mtime: no program can set it back.
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { CHUNK_SIZE, type Digest, digestAlgorithm } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { sawContent, sawFile, sawLink, spoilLooks } from '../model/looks.js';
import { digestDirectory, sortedEntries } from './directory.js';
import type { ExtentOptions } from './extents.js';
import { errorCode, ioError, uniqueName } from './files.js';
import { digestHoledFile, type HashAlgorithm, type HashOptions } from './hashing.js';
import type { KeyedLog } from './keyed-log.js';
import type { FileRecord } from './state.js';

export interface Known {
  readonly digest: Digest;
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
}

/** Longest tick of clocks that count in less than a second (a kernel's timer interrupt), and of the others (FAT: 2 s); ns. */
const FINE_TICK = 20_000_000n;
const COARSE_TICK = 2_000_000_000n;
const SECOND = 1_000_000_000n;
/** A reading of the clock serves this long (ms): an older one only errs to the safe side. */
const CLOCK_AGE = 5;
const ATTEMPTS = 3;

type Stamp = Omit<FileRecord, 'digest' | 'at'>;

/** What a write changes and a rename does not: bytes, and when it was last written to. Of a directory, of all in it. */
export interface WrittenState {
  readonly size: number | bigint;
  readonly mtimeNs: string | bigint;
}

/** Undefined when it is not there. Rejects with ResError `io`. */
export async function writtenState(path: string): Promise<WrittenState | undefined> {
  const stats = statOrAbsent(path);
  return stats?.isDirectory() ? directoryStamp(path) : fileStamp(stats);
}

export class StatCache {
  readonly #files: KeyedLog<FileRecord>;
  readonly #clock: Clock;
  /** Keys that `record` put in and that are still within the tick. To this process they are known: it has written them. */
  readonly #unsettled = new Set<string>();
  /** The last `settle`; never rejects. */
  #settling: Promise<void> = Promise.resolve();

  /** @param clockDir a folder that res may write to; its file system's clock is the one that counts. */
  constructor(files: KeyedLog<FileRecord>, clockDir: string) {
    this.#files = files;
    this.#clock = new Clock(clockDir);
  }

  /**
   * The digest as far as a stat can tell, without reading: undefined if the file is absent, unknown, changed since, recorded too soon
   * after its last change, or known by another algorithm. Symbolic links are followed. Rejects with ResError `io`.
   */
  async known(path: string, algorithm: HashAlgorithm | 'any' = 'any'): Promise<Known | undefined> {
    const record = this.#files.get(path);
    if (record === undefined || !answers(record, algorithm)) return undefined;
    return matching(record, fileStamp(statOrAbsent(path)), this.#unsettled.has(path));
  }

  /** `known`, of a file that has just been looked at. @param stats of the file, not of a link to it */
  knownBy(path: string, stats: BigIntStats, algorithm: HashAlgorithm | 'any' = 'any'): Known | undefined {
    const record = this.#files.get(path);
    if (record === undefined || !answers(record, algorithm)) return undefined;
    return matching(record, fileStamp(stats), this.#unsettled.has(path));
  }

  /** `known`, for many files in a row: a promise each would cost more than the stat. Throws ResError `io`. */
  knownSync(path: string, algorithm: HashAlgorithm | 'any' = 'any'): Known | undefined {
    const record = this.#files.get(path);
    if (record === undefined || !answers(record, algorithm)) return undefined;
    try {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      sawFile(path, stats);
      return matching(record, fileStamp(stats), this.#unsettled.has(path));
    } catch (error) {
      if (errorCode(error) === 'ENOTDIR') {
        sawFile(path, undefined);
        return undefined;
      }
      throw ioError(error, 'cannot look at', path);
    }
  }

  /**
   * The digest: known, or read and remembered. A file that changes while it is read is read again.
   * Rejects with ResError `io` or `file-not-found`, or with the signal's reason.
   */
  async digestOf(
    path: string,
    algorithm: HashAlgorithm,
    o: HashOptions & ExtentOptions = {},
  ): Promise<Known> {
    const known = await this.known(path, algorithm);
    if (known) return known;
    // Holes are looked for within the attempt: found before the first stat they could be filled by now.
    return this.#stable(path, path, () => digestHoledFile(path, algorithm, o));
  }

  /** Like `known`, for a directory: a stat for each entry below it instead of reading. */
  async knownDirectory(path: string): Promise<Known | undefined> {
    const record = this.#files.get(directoryKey(path));
    if (record === undefined) return undefined;
    return matching(record, await directoryStamp(path), this.#unsettled.has(directoryKey(path)));
  }

  /** Like `digestOf`, for a directory. */
  async digestOfDirectory(path: string, o: HashOptions = {}): Promise<Known> {
    const known = await this.knownDirectory(path);
    if (known) return known;
    return this.#stable(directoryKey(path), path, () => digestDirectory(path, o));
  }

  /**
   * Remembers the digest of a file or directory that res has just written and given its final name. Other processes trust it after
   * `settle`.
   * Rejects with ResError `io` when it is not there.
   * @param made how it was before it got that name (`writtenState`): what was written to since is not remembered.
   */
  async record(path: string, digest: Digest, made?: WrittenState): Promise<void> {
    const stats = statOrAbsent(path);
    if (stats === undefined) throw new ResError('io', `cannot look at ${path}: no such file or folder`);
    const key = stats.isDirectory() ? directoryKey(path) : path;
    // Where res writes outputs it may also ask the clock of that file system.
    this.#clock.adopt(dirname(resolve(path)), stats.dev);
    const stamp = stats.isDirectory() ? await directoryStamp(path) : fileStamp(stats);
    if (stamp === undefined)
      throw new ResError('io', `cannot look at ${path}: neither a file nor a directory`);
    if (made && (stamp.size !== Number(made.size) || stamp.mtimeNs !== String(made.mtimeNs))) return;
    // The rename just now was a reading of the clock, and asking costs more than all the rest.
    const record = { ...stamp, digest, at: stamp.ctimeNs };
    this.#files.set(key, record);
    if (isRacy(record)) this.#unsettled.add(key);
  }

  /**
   * Whether a file was written to since its digest was recorded. Unlike what `known` asks, a rename or a new mode is no
   * change. False for a file that nothing is recorded of. Throws ResError `io`.
   */
  wasWritten(path: string): boolean {
    const record = this.#files.get(path);
    if (record === undefined) return false;
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    sawFile(path, stats);
    const stamp = fileStamp(stats);
    return (
      stamp !== undefined &&
      (stamp.size !== record.size || stamp.mtimeNs !== record.mtimeNs || stamp.ino !== record.ino)
    );
  }

  forget(path: string): void {
    for (const key of [path, directoryKey(path)]) {
      this.#files.delete(key);
      this.#unsettled.delete(key);
    }
  }

  /**
   * Waits until the clock has passed the tick of what `record` put in (20 ms after the last write, as a rule), and records anew what
   * has still the same stat: the next build then need not read it.
   */
  settle(): Promise<void> {
    if (this.#unsettled.size === 0) return this.#settling;
    const settled = this.#settling.then(() => this.#settleNow());
    this.#settling = settled.catch(() => undefined);
    return settled;
  }

  async #settleNow(): Promise<void> {
    const keys = [...this.#unsettled];
    this.#unsettled.clear();
    for (const key of keys) {
      const record = this.#files.get(key);
      if (record === undefined) continue;
      const stats = statOrAbsent(key);
      if (stats === undefined) continue;
      const at = await this.#clock.passed(stats.dev, trustedFrom(record, this.#clock.read(stats.dev)));
      const stamp = key.endsWith('/') ? await directoryStamp(key) : fileStamp(statOrAbsent(key));
      if (stamp && sameStamp(record, stamp)) this.#files.set(key, { ...record, at: String(at) });
    }
  }

  /** Reads between two equal stats, and records. */
  async #stable(key: string, path: string, read: () => Promise<Known>): Promise<Known> {
    spoilLooks();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { stamp: before, dev } = await requireStamp(key, path);
      // A file changed just now: waiting a tick here saves reading it again in the next build.
      let at = this.#clock.read(dev);
      const soon = trustedFrom(before, at);
      if (at < soon && soon - at <= FINE_TICK + BigInt(CLOCK_AGE) * 1_000_000n)
        at = await this.#clock.passed(dev, soon);
      let known: Known;
      try {
        known = await read();
      } catch (error) {
        if (await unchanged(key, path, before)) throw error;
        continue;
      }
      if (!(await unchanged(key, path, before))) continue;
      this.#files.set(key, { ...before, size: known.size, digest: known.digest, at: String(at) });
      return known;
    }
    throw new ResError('io', `${path} keeps changing while it is read`, {
      hint: 'Stop what writes to it, and try again.',
    });
  }
}

/** Asks a file system for its time by writing a file and looking at its mtime; nanoseconds since 1970. */
class Clock {
  readonly #home: string;
  #homeDevice: bigint | undefined;
  readonly #dirs = new Map<bigint, string>();
  readonly #readings = new Map<string, { readonly time: bigint; readonly when: number }>();

  constructor(home: string) {
    this.#home = home;
  }

  /** Lets the clock of this file system be asked in `dir`. */
  adopt(dir: string, device: bigint): void {
    if (!this.#dirs.has(device)) this.#dirs.set(device, dir);
  }

  /**
   * A time that has passed on the file system of that device; 0 when it cannot be asked, which makes a record untrusted.
   * Of a file system where res has no place to write, a time safely before that of its own.
   */
  read(device: bigint): bigint {
    this.#homeDevice ??= statSync(this.#home, { bigint: true, throwIfNoEntry: false })?.dev;
    if (device === this.#homeDevice) return this.#probe(this.#home);
    const dir = this.#dirs.get(device);
    if (dir !== undefined) return this.#probe(dir);
    const time = this.#probe(this.#home) - COARSE_TICK;
    return time > 0n ? time : 0n;
  }

  /** Waits until the clock shows at least `time`, up to two coarse ticks; the reading. */
  async passed(device: bigint, time: bigint): Promise<bigint> {
    const deadline = performance.now() + 2 * Number(COARSE_TICK / 1_000_000n);
    for (;;) {
      const now = this.read(device);
      const missing = Number(time - now) / 1e6;
      if (missing <= 0 || now === 0n || performance.now() > deadline) return now;
      await sleep(Math.min(missing + CLOCK_AGE, 100));
    }
  }

  #probe(dir: string): bigint {
    const last = this.#readings.get(dir);
    const when = performance.now();
    if (last && when - last.when < CLOCK_AGE) return last.time;
    try {
      const time = timeIn(dir);
      this.#readings.set(dir, { time, when });
      return time;
    } catch (error) {
      // A folder that cannot be written to: `status` works there too, it only remembers nothing.
      if (errorCode(error) === undefined) throw error;
      return 0n;
    }
  }
}

const PROBE = /^\.clock\..*\.tmp$/;

function timeIn(dir: string): bigint {
  const probe = join(dir, `.clock.${uniqueName()}.tmp`);
  const fd = openSync(probe, 'wx');
  try {
    // Its name goes first: of a process that is killed nothing stays, but for a moment just here.
    rmSync(probe);
    writeSync(fd, '.');
    return fstatSync(fd, { bigint: true }).mtimeNs;
  } finally {
    closeSync(fd);
  }
}

/** Removes what a process left in the folder of the clock that was killed while it asked for the time. Rejects with the system's error. */
export async function removeProbes(dir: string): Promise<void> {
  for (const name of await readdir(dir)) if (PROBE.test(name)) await rm(join(dir, name), { force: true });
}

/** A reading of a file system's clock. */
export interface ClockReading {
  readonly device: bigint;
  /** ns since 1970. */
  readonly time: bigint;
}

/** Of the file system of a folder; undefined when there is no such folder, or none that can be looked at and written to. */
export function clockOf(dir: string): ClockReading | undefined {
  try {
    const device = statSync(dir, { bigint: true, throwIfNoEntry: false })?.dev;
    if (device === undefined) return undefined;
    const time = new Clock(dir).read(device);
    return time === 0n ? undefined : { device, time };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Whether a file's last change lies so far back that one made after the clock was read shows in its times. */
export function isSettled(
  stamp: { readonly dev: bigint; readonly mtimeNs: bigint; readonly ctimeNs: bigint },
  { device, time }: ClockReading,
): boolean {
  const now = stamp.dev === device ? time : time - COARSE_TICK;
  return now >= trustedFrom(stamp, now);
}

/** The clock time from which on a reading of the content can be trusted; `now`: what the clock shows. */
function trustedFrom(
  { mtimeNs, ctimeNs }: Pick<Stamp, 'mtimeNs' | 'ctimeNs'> | Pick<BigIntStats, 'mtimeNs' | 'ctimeNs'>,
  now: bigint,
): bigint {
  const mtime = BigInt(mtimeNs);
  const ctime = BigInt(ctimeNs);
  const tick = mtime % SECOND === 0n && ctime % SECOND === 0n ? COARSE_TICK : FINE_TICK;
  // An mtime in the future was set by hand and tells nothing of the last write.
  return (mtime > ctime && mtime <= now ? mtime : ctime) + tick;
}

function isRacy(record: FileRecord): boolean {
  const at = BigInt(record.at);
  return at < trustedFrom(record, at);
}

function answers(record: FileRecord, algorithm: HashAlgorithm | 'any'): boolean {
  if (algorithm === 'any') return true;
  if (algorithm === 'sha256') return digestAlgorithm(record.digest) === 'sha256';
  return record.digest.startsWith(record.size > CHUNK_SIZE ? 'tree:' : 'sha256:');
}

/** @param isOwn the file was written by this very process a moment ago: nobody waits for the clock to believe it */
function matching(record: FileRecord, stamp: Stamp | undefined, isOwn: boolean): Known | undefined {
  if (stamp === undefined || !sameStamp(record, stamp) || (isRacy(record) && !isOwn)) return undefined;
  return { digest: record.digest, size: record.size };
}

function sameStamp(a: Stamp, b: Stamp): boolean {
  return (
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.ino === b.ino &&
    a.tree === b.tree
  );
}

function fileStamp(stats: BigIntStats | undefined): Stamp | undefined {
  if (!stats?.isFile()) return undefined;
  return {
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    ino: String(stats.ino),
  };
}

const WALK_SLICE = 500;

/** Of a directory: one digest over the stats of all below it. Undefined when there is none. Rejects with ResError `io`. */
async function directoryStamp(path: string): Promise<Stamp | undefined> {
  const root = statOrAbsent(path);
  if (!root?.isDirectory()) return undefined;
  sawContent(path, root);
  const hash = createHash('sha256');
  let size = 0n;
  let mtime = 0n;
  let ctime = 0n;
  let seen = 0;
  function take(name: string, stats: BigIntStats): void {
    hash.update(`${name}\0${stats.mode}\0${stats.size}\0${stats.mtimeNs}\0${stats.ctimeNs}\0${stats.ino}\0`);
    if (stats.isFile()) size += stats.size;
    if (stats.mtimeNs > mtime) mtime = stats.mtimeNs;
    if (stats.ctimeNs > ctime) ctime = stats.ctimeNs;
  }
  async function walk(dir: string, prefix: string): Promise<void> {
    for (const entry of await sortedEntries(dir)) {
      const child = join(dir, entry.name);
      const stats = lstatSync(child, { bigint: true });
      if (stats.isDirectory()) sawContent(child, stats);
      else sawLink(child, stats);
      take(`${prefix}${entry.name}`, stats);
      if (++seen % WALK_SLICE === 0) await breathe();
      if (stats.isDirectory()) await walk(child, `${prefix}${entry.name}/`);
    }
  }
  take('', root);
  try {
    await walk(path, '');
  } catch (error) {
    const cause = error instanceof ResError ? error.cause : error;
    // Something was removed while we looked: not what is known.
    if (errorCode(cause) === 'ENOENT' || errorCode(cause) === 'ENOTDIR') return undefined;
    throw ioError(error, 'cannot look at', path);
  }
  return {
    size: Number(size),
    mtimeNs: String(mtime),
    ctimeNs: String(ctime),
    ino: String(root.ino),
    tree: hash.digest('hex'),
  };
}

function directoryKey(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

function statOrAbsent(path: string): BigIntStats | undefined {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    sawFile(path, stats);
    return stats;
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw ioError(error, 'cannot look at', path);
    sawFile(path, undefined);
    return undefined;
  }
}

async function requireStamp(
  key: string,
  path: string,
): Promise<{ readonly stamp: Stamp; readonly dev: bigint }> {
  const stats = statOrAbsent(path);
  if (stats === undefined) throw new ResError('file-not-found', `${path}: no such file or folder`);
  const stamp = key.endsWith('/') ? await directoryStamp(path) : fileStamp(stats);
  if (stamp === undefined) {
    throw new ResError(
      'io',
      `cannot read ${path}: ${key.endsWith('/') ? 'not a directory' : 'not a regular file'}`,
    );
  }
  return { stamp, dev: stats.dev };
}

async function unchanged(key: string, path: string, before: Stamp): Promise<boolean> {
  const stamp = key.endsWith('/') ? await directoryStamp(path) : fileStamp(statOrAbsent(path));
  return stamp !== undefined && sameStamp(before, stamp);
}
