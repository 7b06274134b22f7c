// One at a time: a lock that dies with its process, also where the folder is on NFS.
//
// Generations: the folder holds files `lock.N`; the holder is who created the highest N (link(2), or O_CREAT|O_EXCL where there are
// no hard links; NFS keeps both). A successor creates N+1 once every generation is free or its holder is dead, so that two who find
// the same corpse cannot both take over. There is no flock: NFS servers and containers disagree on it.
//
// Whoever was stopped for a while acts on what he read before. So who has created a file looks again before he counts as the
// holder: at a higher generation, at a lower one that is not as he judged it, or when his own file is gone, he takes it back. Each
// writes first and looks then: of two, one at least sees the other.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ResError } from '../model/error.js';
import { errorCode, ioError, isNoSpace, makeAll, uniqueName } from './files.js';
import { type Group, openToGroup } from './group.js';
import { describeHolder, type Holder, lifeOf, parseHolder, thisProcess } from './holder.js';

export interface LockOptions {
  /** What this process does, for those who wait: `res build raw-disk`. */
  readonly describe: string;
  /** Called once for each holder that is waited for: `res build raw-disk (pid 4711 on lab3, since 12:03)`. */
  readonly onWait?: (holder: string) => void;
  readonly signal?: AbortSignal;
  /** Gives up after so many ms; without it, never. */
  readonly timeoutMs?: number;
  /** Keeps a block of the disk by, so that the lock can be had when there is no other: to make room, for one. */
  readonly evenWhenFull?: boolean;
}

export interface Lock {
  release(): Promise<void>;
  /** False once released, or taken over by another who thought this process dead (it was stopped for long, or lost the network). */
  held(): boolean;
}

/** Where a lock lies. */
export interface LockPlace {
  /** Absolute. */
  readonly dir: string;
  /** Makes the folder; called whenever it is not there. */
  readonly make: () => Promise<void>;
  /** Who else is to read the files. */
  readonly group: Group | undefined;
  /** Lets go of the lock that this process holds with the file of that name. */
  readonly free: (name: string) => Promise<void>;
}

const HEARTBEAT_MS = 10_000;
/** A holder that cannot be seen is dead when its heartbeat has not been seen for so long. */
const SILENCE_MS = 60_000;
/** A lock file without content: its maker is about to write it, or was killed before. */
const TORN_MS = 5_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
/** After giving way to one who perhaps gave way, too. */
const GIVE_WAY_MS = 5;
/** Content of a lock that its holder has released. */
export const FREE = 'free';
/** Holds a block of the disk: more than any holder's text takes. */
const SPARE = 'spare';
const SPARE_BYTES = 4096;
/** Beginning of the names of files that are about to be lock files. */
const UNFINISHED = '.lock.';
/** What link(2) says where there are no hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
  'EINVAL',
]);

/**
 * The lock of a folder. Its files stay when it is released, so that N never goes back.
 * Rejects with ResError `interrupted` (signal), `io` (time-out, or the folder cannot be used) or `no-space`.
 */
export async function acquireLock(dir: string, o: LockOptions): Promise<Lock> {
  const group = undefined;
  return acquireAt({ dir, make: () => makeAll(dir), group, free: (name) => writeFree(dir, name, group) }, o);
}

/** Rejects with ResError as `acquireLock` does. */
export async function acquireAt(place: LockPlace, o: LockOptions): Promise<Lock> {
  try {
    return await acquire(place, o);
  } catch (error) {
    throw ioError(error, 'cannot lock', place.dir);
  }
}

/** Takes a lock that nobody holds, and whose folder is there; undefined for any other. Rejects as `acquireLock` does. */
export async function acquireIfFree(place: LockPlace, describe: string): Promise<Lock | undefined> {
  try {
    const look = await new Watch(place.dir).look();
    return look === 'absent' || look.user !== undefined ? undefined : await claim(place, look, describe);
  } catch (error) {
    throw ioError(error, 'cannot lock', place.dir);
  }
}

async function acquire(place: LockPlace, o: LockOptions): Promise<Lock> {
  const began = performance.now();
  const watch = new Watch(place.dir);
  let told: string | undefined;
  let wait = FIRST_WAIT_MS;
  for (;;) {
    throwIfAborted(o.signal);
    const look = await watch.look();
    if (look === 'absent') {
      await place.make();
      continue;
    }
    const { user } = look;
    if (user === undefined) {
      const lock = await claim(place, look, o.describe);
      if (lock && o.evenWhenFull)
        await keepSpare(place).catch(async (error: unknown) => {
          await lock.release();
          throw error;
        });
      if (lock) return lock;
      // Someone was quicker; who that is shows in the next look.
      await pause(GIVE_WAY_MS, o.signal);
      continue;
    }
    const holder = user === 'nameless' ? 'another res that is just starting' : describeHolder(user);
    const identity = user === 'nameless' ? undefined : user.token;
    if (identity !== undefined && identity !== told) {
      told = identity;
      wait = FIRST_WAIT_MS;
      o.onWait?.(holder);
    }
    const waited = performance.now() - began;
    if (o.timeoutMs !== undefined && waited >= o.timeoutMs) {
      throw new ResError(
        'io',
        `${place.dir} is in use by ${holder}; gave up after ${Math.round(waited / 1000)} s`,
        {
          hint: 'Wait until it is done, or stop it.',
        },
      );
    }
    const remaining = o.timeoutMs === undefined ? wait : Math.max(1, o.timeoutMs - waited);
    await pause(Math.min(wait, remaining), o.signal);
    wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ResError('interrupted', 'interrupted while waiting for another res');
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  // Some jitter, so that many who wait do not come all at once.
  const time = ms * (0.75 + Math.random() / 2);
  await sleep(time, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    throwIfAborted(signal);
    throw error;
  });
}

/** What a look at the folder told. */
export interface Look {
  /** The highest generation; 0 when there is none. */
  readonly last: number;
  /** The content of those that were judged to be free, or whose holder was judged to be dead. */
  readonly judged: ReadonlyMap<number, string>;
  /** Who holds the lock, or may be about to; undefined when nobody does. */
  readonly user: Holder | 'nameless' | undefined;
}

/** Judges holders from outside; remembers, by our own clock, since when nothing has moved. */
export class Watch {
  readonly #dir: string;
  readonly #quiet = new Map<number, { readonly sign: string; readonly since: number }>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** `absent` when there is no folder. Rejects with the system's error. */
  async look(): Promise<Look | 'absent'> {
    for (;;) {
      const found = await generations(this.#dir);
      if (found === undefined) return 'absent';
      const look = await this.#lookAt(found);
      if (look) return look;
    }
  }

  /** Undefined when one of them is gone: a successor has removed it, or its holder all of the folder. */
  async #lookAt(found: readonly number[]): Promise<Look | undefined> {
    const judged = new Map<number, string>();
    let user: Look['user'];
    for (const generation of found) {
      const path = join(this.#dir, fileName(generation));
      const text = await textOf(path);
      const changed = await mtimeOf(path);
      if (text === undefined || changed === undefined) return undefined;
      const judgement = this.#judge(generation, text, `${changed} ${text.length}`);
      if (judgement === 'free') judged.set(generation, text);
      // One whose name is known is the better answer to who it is that is waited for.
      else if (judgement !== 'nameless' || user === undefined) user = judgement;
    }
    return { last: found.at(-1) ?? 0, judged, user };
  }

  #judge(generation: number, text: string, sign: string): 'free' | 'nameless' | Holder {
    if (text === FREE) return 'free';
    let last = this.#quiet.get(generation);
    if (last?.sign !== sign) {
      last = { sign, since: performance.now() };
      this.#quiet.set(generation, last);
    }
    const quiet = performance.now() - last.since;
    const holder = parseHolder(text);
    if (holder === undefined) return quiet >= TORN_MS ? 'free' : 'nameless';
    const life = lifeOf(holder, this.#dir);
    return life === 'dead' || (life === 'unknown' && quiet >= SILENCE_MS) ? 'free' : holder;
  }
}

/** Undefined when another was quicker. Leaves nothing behind unless it gives the lock. */
async function claim(place: LockPlace, look: Look, describe: string): Promise<Lock | undefined> {
  const { dir } = place;
  const generation = look.last + 1;
  const path = join(dir, fileName(generation));
  const text = JSON.stringify(thisProcess(describe, randomBytes(8).toString('hex')));
  if (!(await create(place, path, text))) return undefined;
  try {
    const others = await generations(dir);
    if (others === undefined || !(await isFirst(dir, generation, text, others, look.judged))) {
      await removeOwn(path, text);
      return undefined;
    }
    for (const other of others)
      if (other !== generation) await rm(join(dir, fileName(other)), { force: true });
    await removeUnfinished(dir);
  } catch (error) {
    await removeOwn(path, text);
    throw error;
  }
  return holdLock(place, fileName(generation), text);
}

/** Whether a file that was just created makes this process the holder: see the head of this module. */
async function isFirst(
  dir: string,
  generation: number,
  text: string,
  found: readonly number[],
  judged: ReadonlyMap<number, string>,
): Promise<boolean> {
  if (found.some((other) => other > generation)) return false;
  if ((await textOf(join(dir, fileName(generation)))) !== text) return false;
  for (const other of found) {
    if (other === generation) continue;
    const now = await textOf(join(dir, fileName(other)));
    if (now === undefined || now === FREE || now === judged.get(other)) continue;
    const holder = parseHolder(now);
    // Who has no name yet wrote it, or will, after we looked.
    if (holder === undefined || lifeOf(holder, dir) !== 'dead') return false;
  }
  return true;
}

/** Makes a lock file with its content, which takes one step where there are hard links. False when the number is taken. */
async function create({ dir, group }: LockPlace, path: string, text: string): Promise<boolean> {
  const temp = join(dir, `${UNFINISHED}${uniqueName()}.tmp`);
  try {
    await writeNew(temp, text, group).catch((error: unknown) => writeIntoSpare(dir, temp, text, error));
    await link(temp, path);
    return true;
  } catch (error) {
    const code = errorCode(error);
    // The folder was removed by the last holder.
    if (code === 'ENOENT') return false;
    // NFS may answer so to the second try of what it has done at the first.
    if (code === 'EEXIST') return (await textOf(path)) === text;
    if (!NO_LINKS.has(code)) throw error;
  } finally {
    await rm(temp, { force: true });
  }
  return createInSteps(path, text, group);
}

async function createInSteps(path: string, text: string, group: Group | undefined): Promise<boolean> {
  try {
    await writeNew(path, text, group);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST' || errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Nothing is left of one that could not be written: nobody shall wait for it. */
async function writeNew(path: string, text: string, group: Group | undefined): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await openToGroup(group, path);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** What killed processes left; one that is just being written is written again by its process. */
async function removeUnfinished(dir: string): Promise<void> {
  for (const name of await readdir(dir))
    if (name.startsWith(UNFINISHED)) await rm(join(dir, name), { force: true });
}

async function removeOwn(path: string, text: string): Promise<void> {
  if ((await textOf(path)) === text) await rm(path, { force: true });
}

/** Puts a block by. Without room for that there is none. */
async function keepSpare({ dir, group }: LockPlace): Promise<void> {
  try {
    await writeNew(join(dir, SPARE), ' '.repeat(SPARE_BYTES), group);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST' && !isNoSpace(error)) throw error;
  }
}

/** On a full disk: into the block that was put by. Rejects with `error` when there is none, or it is too small. */
async function writeIntoSpare(dir: string, path: string, text: string, error: unknown): Promise<void> {
  if (!isNoSpace(error) || Buffer.byteLength(text) > SPARE_BYTES) throw error;
  await rename(join(dir, SPARE), path).catch((failure: unknown) => {
    throw errorCode(failure) === 'ENOENT' ? error : failure;
  });
  await writeOver(path, text);
}

/** Writes into the blocks that a file has. Rejects with the system's error. */
async function writeOver(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const bytes = Buffer.from(text);
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
}

function holdLock(place: LockPlace, name: string, text: string): Lock {
  const path = join(place.dir, name);
  let released = false;
  const timer = setInterval(() => {
    const now = new Date();
    // A lock that was lost shows in `held`; a file system that is away for a moment is tried again.
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  timer.unref();

  function held(): boolean {
    if (released) return false;
    try {
      return readFileSync(path, 'utf8') === text;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw ioError(error, 'cannot read', path);
    }
  }

  return {
    held,
    async release() {
      if (released) return;
      clearInterval(timer);
      // A lock that was taken over is not ours to free, nor one whose folder was removed.
      const mine = held();
      released = true;
      if (!mine) return;
      try {
        await place.free(name);
      } catch (error) {
        throw ioError(error, 'cannot unlock', place.dir);
      }
    },
  };
}

async function writeFree(dir: string, name: string, group: Group | undefined): Promise<void> {
  const free = join(dir, `${UNFINISHED}${uniqueName()}.tmp`);
  try {
    await writeNew(free, FREE, group);
    await rename(free, join(dir, name));
  } catch (error) {
    await rm(free, { force: true });
    if (!isNoSpace(error)) throw error;
    // Seen half-written it is nobody's for a moment; a later look finds it whole.
    await writeOver(join(dir, name), FREE);
  }
}

export function fileName(generation: number): string {
  return `lock.${generation}`;
}

/** In order; undefined when there is no folder. Rejects with the system's error. */
async function generations(dir: string): Promise<readonly number[] | undefined> {
  const found: number[] = [];
  const names = await unlessGone(() => readdir(dir));
  for (const name of names ?? []) {
    const [, digits] = /^lock\.([1-9][0-9]{0,14})$/.exec(name) ?? [];
    if (digits !== undefined) found.push(Number(digits));
  }
  return names && found.sort((a, b) => a - b);
}

function textOf(path: string): Promise<string | undefined> {
  return unlessGone(() => readFile(path, 'utf8'));
}

async function mtimeOf(path: string): Promise<bigint | undefined> {
  return (await unlessGone(() => stat(path, { bigint: true })))?.mtimeNs;
}

async function unlessGone<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESTALE') return undefined;
    throw error;
  }
}
