// Many builds, of many workspaces and users, in one store: what one of them reads, or counts on, no other takes away.
//
// A build is a member as long as it runs: `users/<token>/` holds who it is (`holder`, written to now and then as a sign of life) and
// what it leases (`leases`, one digest a line, appended). `tmp/<token>/` is for its temporaries.
//
// A lease is written first, and only then is looked whether the object is there. Who wants to take an object away says so first
// (`-digest` in its own file), and looks then whether others lease it. So of two, one at least sees the other: the one that takes gives
// way, and the one that leases waits for the moment until the other has (`+digest`). Should either be stopped in between for
// long, a second look after the rename finds the lease, and the object goes back.
//
// A member is dead when its process is. Of one that cannot be seen from here, in a container or on another host, only its sign of life can
// tell. What it has taken aside goes back into the store, and all else of it is removed: by `sweepStore`, in every build.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Digest, isDigest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { errorCode, ioError } from './files.js';
import { groupOf, makeStoreFolder, openToGroup, UNFINISHED } from './group.js';
import { type Holder, lifeOf, nameOfOwn, ownerIsDead, parseHolder, thisProcess } from './holder.js';
import { ObjectStore, type ObjectType } from './objects.js';
import { sweepWorkLocks } from './work-lock.js';

export interface Membership {
  /** For temporaries of this process, on the store's file system; it exists. Absolute. */
  readonly tmp: string;
  /**
   * From now on to `leave`, nobody else moves these objects away or removes them. Look then whether they are there: one that is, stays.
   * Throws ResError `io` or `no-space`.
   */
  lease(digests: Iterable<Digest>): void;
  /** Whether another build counts on the object. Throws ResError `io`. */
  isLeasedByOthers(digest: Digest): boolean;
  /**
   * Takes an object out of the store, into `tmp`, where nobody else finds it; gives its path there, which goes on by rename, back by
   * `putBack` of the store, or is removed by its `discard`. Undefined when it is not there, or when others count on it.
   * Rejects with ResError `io` or `no-space`.
   */
  takeAside(digest: Digest, type: ObjectType): Promise<string | undefined>;
  /** What lies aside in `tmp` goes back. Rejects with ResError `io`. */
  leave(): Promise<void>;
}

const HEARTBEAT_MS = 30_000;
/** A member that cannot be seen is dead when its last sign of life is so old, by the file system's clock. */
const SILENCE_MS = 10 * 60 * 1000;
/** What no member owns, nor a process that can be seen from here, is removed when it is so old: it may be of one that is just joining. */
const STRAY_MS = 24 * 60 * 60 * 1000;
/** Longest wait for another who is about to take something away; it takes no ms, unless that one was stopped. */
const GIVE_WAY_MS = 2_000;

/**
 * Makes this process a member. Rejects with ResError `io` or `no-space`.
 * @param root of the store, absolute
 * @param o.doing for those who look who uses the store: `res build raw-disk`
 */
export async function joinStore(root: string, o: { readonly doing: string }): Promise<Membership> {
  const token = nameOfOwn();
  const tmp = join(root, 'tmp', token);
  const home = join(usersOf(root), token);
  try {
    await makeStoreFolder(root, usersOf(root));
    await makeStoreFolder(root, tmp);
    // A member is there at once, with all that belongs to it.
    const made = join(tmp, 'member');
    await mkdir(made);
    writeNew(join(made, 'holder'), JSON.stringify(thisProcess(o.doing, token)));
    writeNew(join(made, 'leases'), '');
    await openToGroup(groupOf(root), made);
    await rename(made, home);
  } catch (error) {
    await rm(tmp, { recursive: true, force: true });
    throw ioError(error, 'cannot use the store', root);
  }
  return new Member(root, token, tmp, home);
}

function usersOf(root: string): string {
  return join(root, 'users');
}

function writeNew(path: string, text: string): void {
  const fd = openSync(path, 'wx');
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

class Member implements Membership {
  readonly tmp: string;
  readonly #root: string;
  readonly #home: string;
  readonly #store: ObjectStore;
  readonly #others: Others;
  readonly #leased = new Set<Digest>();
  readonly #timer: NodeJS.Timeout;

  constructor(root: string, token: string, tmp: string, home: string) {
    this.tmp = tmp;
    this.#root = root;
    this.#home = home;
    this.#store = new ObjectStore(root);
    this.#others = new Others(root, token, tmp);
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#timer.unref();
  }

  lease(digests: Iterable<Digest>): void {
    const fresh = new Set<Digest>();
    for (const digest of digests) if (!this.#leased.has(digest)) fresh.add(digest);
    this.#checkAlive();
    if (fresh.size === 0) return;
    this.#note([...fresh]);
    for (const digest of fresh) this.#leased.add(digest);
    this.#others.awaitTakers(fresh);
  }

  isLeasedByOthers(digest: Digest): boolean {
    this.#checkAlive();
    return this.#others.lease(digest);
  }

  async takeAside(digest: Digest, type: ObjectType): Promise<string | undefined> {
    this.#note([`-${digest}`]);
    try {
      if (this.isLeasedByOthers(digest)) return undefined;
      const aside = await this.#store.takeAside(digest, type, this.tmp);
      if (aside === undefined || !this.isLeasedByOthers(digest)) return aside;
      await this.#store.putBack(aside);
      return undefined;
    } finally {
      this.#note([`+${digest}`]);
    }
  }

  async leave(): Promise<void> {
    clearInterval(this.#timer);
    try {
      await this.#store.putAllBack(this.tmp);
      // Without the folder for temporaries it is no member: one that is killed in between is swept like any other.
      await rm(this.tmp, { recursive: true, force: true });
      await rm(this.#home, { recursive: true, force: true });
    } catch (error) {
      throw ioError(error, 'cannot leave the store', this.#root);
    }
  }

  /** Never makes the file: one that is gone was taken for that of a dead process. */
  #note(lines: readonly string[]): void {
    const path = join(this.#home, 'leases');
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND);
      try {
        // The line break in front ends a line that a full disk cut short.
        writeFileSync(fd, `\n${lines.join('\n')}\n`);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw sweptError(this.#root, error);
      throw ioError(error, 'cannot write', path);
    }
  }

  #checkAlive(): void {
    if (statSync(join(this.#home, 'leases'), { throwIfNoEntry: false }) === undefined)
      throw sweptError(this.#root);
  }

  /** The file system's own clock stamps it: those of hosts may differ. */
  #beat(): void {
    try {
      const fd = openSync(join(this.#home, 'holder'), 'r+');
      try {
        writeSync(fd, '{', 0);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // That others took this process for dead is told where it matters; a file system that is away for a moment is tried again.
      if (errorCode(error) === undefined) throw error;
    }
  }
}

function sweptError(root: string, cause?: unknown): ResError {
  return new ResError(
    'io',
    `this res stood still for so long that others who use the store ${root} took it for dead: what it was using may be gone`,
    { hint: 'Build again.', ...(cause === undefined ? {} : { cause }) },
  );
}

/** What the other members lease and are about to take: each look takes in what they have written since the last one. */
class Others {
  readonly #root: string;
  readonly #token: string;
  readonly #tmp: string;
  readonly #members = new Map<string, Other>();

  constructor(root: string, token: string, tmp: string) {
    this.#root = root;
    this.#token = token;
    this.#tmp = tmp;
  }

  lease(digest: Digest): boolean {
    return this.#someLive(({ leased }) => leased.has(digest));
  }

  /** Waits, with everything else in this process: it is a matter of some system calls of another one. */
  awaitTakers(digests: ReadonlySet<Digest>): void {
    const until = performance.now() + GIVE_WAY_MS;
    const clock = new Int32Array(new SharedArrayBuffer(4));
    while (this.#someLive(({ taking }) => [...taking].some((digest) => digests.has(digest)))) {
      if (performance.now() > until) return;
      Atomics.wait(clock, 0, 0, 1);
    }
  }

  #someLive(matches: (member: Other) => boolean): boolean {
    try {
      const tokens = new Set(readdirSync(usersOf(this.#root)));
      for (const token of this.#members.keys()) if (!tokens.has(token)) this.#members.delete(token);
      for (const token of tokens) {
        const member = token === this.#token ? undefined : this.#look(token);
        if (member && matches(member) && this.#lives(token)) return true;
      }
      return false;
    } catch (error) {
      throw ioError(error, 'cannot read', usersOf(this.#root));
    }
  }

  /** Undefined when it has left. */
  #look(token: string): Other | undefined {
    const member = this.#members.get(token) ?? new Other(join(usersOf(this.#root), token, 'leases'));
    if (!member.read()) return undefined;
    this.#members.set(token, member);
    return member;
  }

  #lives(token: string): boolean {
    return lives(this.#root, token, () => clockOf(this.#tmp));
  }
}

class Other {
  readonly leased = new Set<Digest>();
  readonly taking = new Set<Digest>();
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** False when it is gone. Throws the system's error. */
  read(): boolean {
    let fd: number;
    try {
      // Opened for each look: that is what makes NFS ask the server.
      fd = openSync(this.#path, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    try {
      const added = Buffer.alloc(Math.max(0, fstatSync(fd).size - this.#offset));
      const read = readSync(fd, added, 0, added.length, this.#offset);
      this.#take(added.subarray(0, added.subarray(0, read).lastIndexOf('\n') + 1));
      return true;
    } finally {
      closeSync(fd);
    }
  }

  #take(lines: Buffer): void {
    this.#offset += lines.length;
    for (const line of lines.toString('latin1').split('\n')) {
      const sign = line[0];
      const digest = sign === '-' || sign === '+' ? line.slice(1) : line;
      if (!isDigest(digest)) continue;
      if (sign === '-') this.taking.add(digest);
      else if (sign === '+') this.taking.delete(digest);
      else this.leased.add(digest);
    }
  }
}

/** @param clock tells the time by the file system's clock, ms */
function lives(root: string, token: string, clock: () => number): boolean {
  const path = join(usersOf(root), token, 'holder');
  const holder = holderAt(path);
  if (holder === 'gone') return false;
  const life = holder ? lifeOf(holder, usersOf(root)) : 'unknown';
  if (life !== 'unknown') return life === 'alive';
  const sign = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return sign !== undefined && clock() - sign < SILENCE_MS;
}

/** Undefined when it does not say who it is. */
function holderAt(path: string): Holder | 'gone' | undefined {
  try {
    return parseHolder(readFileSync(path, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'gone';
    throw error;
  }
}

/** What the clock of a folder's file system shows, ms. */
function clockOf(folder: string): number {
  const probe = join(folder, nameOfOwn());
  const fd = openSync(probe, 'wx');
  try {
    rmSync(probe);
    writeSync(fd, '.');
    return fstatSync(fd).mtimeMs;
  } finally {
    closeSync(fd);
  }
}

/**
 * Removes what dead members and old times have left, and puts back into the store what they had taken aside. Many may do so
 * at once. What belongs to other users and may not be removed is left to them. Rejects with ResError `io`.
 */
export async function sweepStore(root: string): Promise<void> {
  try {
    const tmp = join(root, 'tmp');
    await makeStoreFolder(root, tmp);
    const now = clockOf(tmp);
    // Read before the temporaries: those of a member that leaves meanwhile are gone then.
    const tokens = namesIn(usersOf(root));
    for (const token of tokens) {
      if (lives(root, token, () => now)) continue;
      await sweep(root, join(tmp, token));
      await sweep(root, join(usersOf(root), token));
    }
    const members = new Set(tokens);
    const strays = [
      ...namesIn(tmp).map((name) => join(tmp, name)),
      ...namesIn(root).flatMap((name) => (name.startsWith(UNFINISHED) ? join(root, name) : [])),
    ].filter((path) => !members.has(path.slice(tmp.length + 1)));
    for (const path of strays) {
      const name = basename(path).replace(UNFINISHED, '');
      if (ownerIsDead(name) || now - lastWrite(path, now) > STRAY_MS) await sweep(root, path);
    }
    await sweepWorkLocks(root, now);
  } catch (error) {
    throw ioError(error, 'cannot clean up', root);
  }
}

async function sweep(root: string, path: string): Promise<void> {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
      await new ObjectStore(root).putAllBack(path);
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    const code = errorCode(error instanceof ResError ? error.cause : error);
    // Another user's; or another process is removing it, too.
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
}

/** The latest of an entry and of what lies right in it, ms. */
function lastWrite(path: string, otherwise: number): number {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return stats?.mtimeMs ?? otherwise;
  const inside = namesIn(path).map(
    (name) => lstatSync(join(path, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(stats.mtimeMs, ...inside);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EACCES') return [];
    throw error;
  }
}
