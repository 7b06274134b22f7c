// One build at a time in a workspace: a lock that dies with its process, also where the folder is on NFS.
//
// Generations: the folder holds files `lock.N`; the holder is who created the highest N (O_CREAT|O_EXCL, which NFS keeps). A
// successor creates N+1 once N is free or its holder is dead, so that two who find the same corpse cannot both take over. A
// released lock says `free` and stays, so that N never goes back. There is no flock: NFS servers and containers disagree on it.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ResError } from '../model/error.js';
import { errorCode, ioError, uniqueName } from './files.js';
import { describeHolder, type Holder, lifeOf, parseHolder, thisProcess } from './holder.js';

export interface LockOptions {
  /** What this process does, for those who wait: `res build raw-disk`. */
  readonly describe: string;
  /** Called once for each holder that is waited for: `res build raw-disk (pid 4711 on lab3, since 12:03)`. */
  readonly onWait?: (holder: string) => void;
  readonly signal?: AbortSignal;
  /** Gives up after so many ms; without it, never. */
  readonly timeoutMs?: number;
}

export interface Lock {
  release(): Promise<void>;
  /** False once released, or taken over by another who thought this process dead (it was stopped for long, or lost the network). */
  held(): boolean;
}

const HEARTBEAT_MS = 10_000;
/** A holder that cannot be seen is dead when its heartbeat has not been seen for so long. */
const SILENCE_MS = 60_000;
/** A lock file without content: its maker is about to write it, or was killed before. */
const TORN_MS = 5_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
const FREE = 'free';

/** Rejects with ResError `interrupted` (signal), `io` (time-out, or the folder cannot be used) or `no-space`. */
export async function acquireLock(dir: string, o: LockOptions): Promise<Lock> {
  try {
    await mkdir(dir, { recursive: true });
    return await acquire(dir, o);
  } catch (error) {
    throw ioError(error, 'cannot lock', dir);
  }
}

async function acquire(dir: string, o: LockOptions): Promise<Lock> {
  const began = performance.now();
  const watch = new Watch(dir);
  let told: string | undefined;
  let wait = FIRST_WAIT_MS;
  for (;;) {
    throwIfAborted(o.signal);
    const last = await highest(dir);
    const state = last === 0 ? 'free' : await watch.look(last);
    if (state === 'free') {
      const lock = await claim(dir, last + 1, o.describe);
      if (lock) return lock;
      // Someone was quicker; who that is shows in the next look.
      continue;
    }
    const holder = state === 'nameless' ? 'another res that is just starting' : describeHolder(state);
    const identity = state === 'nameless' ? undefined : state.token;
    if (identity !== undefined && identity !== told) {
      told = identity;
      wait = FIRST_WAIT_MS;
      o.onWait?.(holder);
    }
    const waited = performance.now() - began;
    if (o.timeoutMs !== undefined && waited >= o.timeoutMs) {
      throw new ResError(
        'io',
        `${dir} is in use by ${holder}; gave up after ${Math.round(waited / 1000)} s`,
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

/** Judges the holder of a generation from outside; remembers, by our own clock, since when nothing has moved. */
class Watch {
  readonly #dir: string;
  #sign = '';
  #since = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async look(generation: number): Promise<'free' | 'nameless' | Holder> {
    const path = join(this.#dir, fileName(generation));
    let text: string;
    let sign: string;
    try {
      text = await readFile(path, 'utf8');
      sign = `${generation} ${(await stat(path, { bigint: true })).mtimeNs} ${text.length}`;
    } catch (error) {
      // Removed by a successor: there is a higher one now.
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESTALE') return 'nameless';
      throw error;
    }
    if (text === FREE) return 'free';
    if (sign !== this.#sign) {
      this.#sign = sign;
      this.#since = performance.now();
    }
    const quiet = performance.now() - this.#since;
    const holder = parseHolder(text);
    if (holder === undefined) return quiet >= TORN_MS ? 'free' : 'nameless';
    const life = await lifeOf(holder, this.#dir);
    if (life === 'dead' || (life === 'unknown' && quiet >= SILENCE_MS)) return 'free';
    return holder;
  }
}

/** Undefined when another was quicker. */
async function claim(dir: string, generation: number, describe: string): Promise<Lock | undefined> {
  const path = join(dir, fileName(generation));
  const holder = thisProcess(describe, randomBytes(8).toString('hex'));
  const text = JSON.stringify(holder);
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined;
    // Created, but not written: nobody shall wait for it.
    await rm(path, { force: true });
    throw error;
  }
  const others = await generations(dir);
  // We may have been so slow that our number had been used and removed by others.
  if (others.some((other) => other > generation)) {
    await rm(path, { force: true });
    return undefined;
  }
  for (const other of others) if (other < generation) await rm(join(dir, fileName(other)), { force: true });
  return holdLock(dir, path, text);
}

function holdLock(dir: string, path: string, text: string): Lock {
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
      const free = join(dir, `.free.${uniqueName()}.tmp`);
      try {
        await writeFile(free, FREE, { flag: 'wx' });
        await rename(free, path);
      } catch (error) {
        await rm(free, { force: true });
        throw ioError(error, 'cannot unlock', dir);
      }
    },
  };
}

function fileName(generation: number): string {
  return `lock.${generation}`;
}

async function generations(dir: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir(dir)) {
    const [, digits] = /^lock\.([1-9][0-9]{0,14})$/.exec(name) ?? [];
    if (digits !== undefined) found.push(Number(digits));
  }
  return found;
}

async function highest(dir: string): Promise<number> {
  return Math.max(0, ...(await generations(dir)));
}
