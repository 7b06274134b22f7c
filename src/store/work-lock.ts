// One process at a time does a piece of work, of all that use a store. There are as many such locks as pieces of work: the
// folder of one vanishes with its last holder.
//
// It vanishes whole, by rename, while its holder still holds it; those who wait find no folder and make a new one. A new one
// counts its generations from a number of its own, so that no name in it ever was one in another: who was stopped and acts on
// what he read before cannot mistake, or remove, a lock of later times.
import { randomInt } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, ioError } from './files.js';
import { groupOf, makeStoreFolder, openToGroup } from './group.js';
import { nameOfOwn } from './holder.js';
import {
  acquireAt,
  acquireIfFree,
  FREE,
  fileName,
  type Lock,
  type LockOptions,
  type LockPlace,
  Watch,
} from './lock.js';

/** Beginning of the names of folders that are on their way out. */
const GONE = '.gone.';
/** A lock whose holder cannot be seen, and whose heartbeat is so old (ms), is in nobody's way and removed. */
const STRAY_MS = 24 * 60 * 60 * 1000;
/** Highest first generation: there is room for more below 10^15, the highest that a lock file's name can say. */
const FIRST_BELOW = 2 ** 47;

/**
 * Waits until no other process holds the lock of that key. It does not say whether the work is still to be done.
 * Rejects with ResError `interrupted` (signal), `io` (time-out, or the folder cannot be used) or `no-space`.
 * @param root of the store, absolute
 */
export function lockWork(root: string, key: string, o: LockOptions): Promise<Lock> {
  return acquireAt(placeOf(root, encodeURIComponent(key)), o);
}

function placeOf(root: string, name: string): LockPlace {
  const dir = join(root, 'locks', name);
  const group = groupOf(root);
  return {
    dir,
    group,
    make: () => makeLockFolder(root, dir),
    free: (file) => removeLockFolder(dir, file),
  };
}

/** With its first generation, so that it never is empty: a rename does not replace it then. */
async function makeLockFolder(root: string, dir: string): Promise<void> {
  const tmp = join(root, 'tmp');
  await makeStoreFolder(root, tmp);
  await makeStoreFolder(root, dirname(dir));
  const made = join(tmp, nameOfOwn());
  await mkdir(made);
  try {
    const first = await open(join(made, fileName(randomInt(1, FIRST_BELOW))), 'wx');
    try {
      await first.writeFile(FREE);
    } finally {
      await first.close();
    }
    await openToGroup(groupOf(root), made);
    await rename(made, dir);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    // Another was quicker.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
  }
}

async function removeLockFolder(dir: string, file: string): Promise<void> {
  const gone = join(dirname(dir), `${GONE}${nameOfOwn()}`);
  await rename(dir, gone);
  await rm(join(gone, file), { force: true });
  // Taken over in this very moment by one who took us for dead: it is his now.
  const look = await new Watch(gone).look();
  if (look !== 'absent' && look.user !== undefined && (await putBack(gone, dir))) return;
  await rm(gone, { recursive: true, force: true });
}

/** False when there is a new one already. */
async function putBack(gone: string, dir: string): Promise<boolean> {
  try {
    await rename(gone, dir);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOTEMPTY' || errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the locks that dead processes left, of whoever may be known to be dead. Rejects with ResError `io`.
 * @param now what the file system's clock shows, ms
 */
export async function sweepWorkLocks(root: string, now: number): Promise<void> {
  const locks = join(root, 'locks');
  try {
    for (const name of await namesIn(locks)) {
      if (name.startsWith(GONE)) await rm(join(locks, name), { recursive: true, force: true });
      else await sweepLock(placeOf(root, name), now);
    }
  } catch (error) {
    throw ioError(error, 'cannot remove', locks);
  }
}

async function sweepLock(place: LockPlace, now: number): Promise<void> {
  const lock = await acquireIfFree(place, 'res, cleaning up');
  if (lock) return lock.release();
  const times = (await namesIn(place.dir)).map(
    (name) => lstatSync(join(place.dir, name), { throwIfNoEntry: false })?.mtimeMs ?? now,
  );
  if (now - Math.max(0, ...times) < STRAY_MS || times.length === 0) return;
  const gone = join(dirname(place.dir), `${GONE}${nameOfOwn()}`);
  await rename(place.dir, gone);
  await rm(gone, { recursive: true, force: true });
}

/** Empty when there is no such folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
