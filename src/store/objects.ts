// The store: content by digest, each object in one place. Laid out like Bazel's disk cache (`cas/ab/abcd…`), so that plain
// sha256 objects have the same names there.
//
// Objects come in and go out by rename. An object never shares an inode with an output: outputs are written to. When one was
// last used is its atime, which res sets itself; its mtime stays that of the content.
import { type BigIntStats, type Dirent, statSync } from 'node:fs';
import { lstat, readdir, rename, rm, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Digest, digestAlgorithm, digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { sawFile } from '../model/looks.js';
import {
  type CopyOptions,
  copyTree,
  errorCode,
  fsyncAll,
  fsyncDir,
  ioError,
  moveOrCopy,
  publish,
  uniqueName,
} from './files.js';
import { groupOf, makeStoreFolder, openToGroup } from './group.js';
import { nameOfOwn } from './holder.js';

export type ObjectType = 'file' | 'directory';

export interface StoredObject {
  readonly digest: Digest;
  readonly type: ObjectType;
  /** Absolute. */
  readonly path: string;
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
  /** When it was last used, ms since 1970, UTC. */
  readonly lastUse: number;
}

/** Folder, what lies in it, and how its objects are named. */
const SHELVES = [
  { folder: 'cas', type: 'file', algorithm: 'sha256' },
  { folder: 'tree', type: 'file', algorithm: 'tree' },
  { folder: 'dir', type: 'directory', algorithm: 'tree' },
] as const;

const HEX = /^[0-9a-f]{64}$/;
/** An object that was taken aside tells by its name what it is: should its process be killed, it goes back. */
const ASIDE = /^aside\.(cas|tree|dir)\.([0-9a-f]{64})\./;

export class ObjectStore {
  readonly #root: string;

  /** @param root absolute; made when first needed. */
  constructor(root: string) {
    this.#root = root;
  }

  path(digest: Digest, type: ObjectType): string {
    const hex = digestHex(digest);
    const folder = type === 'directory' ? 'dir' : digestAlgorithm(digest) === 'tree' ? 'tree' : 'cas';
    return join(this.#root, folder, hex.slice(0, 2), hex);
  }

  /** One stat; the content is not checked. */
  has(digest: Digest, type: ObjectType): boolean {
    const path = this.path(digest, type);
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    sawFile(path, stats);
    return type === 'directory' ? stats?.isDirectory() === true : stats?.isFile() === true;
  }

  /**
   * Moves a finished file or directory in, durably, and gives its path there. If the store has the object, that one stays and the
   * temporary goes. The caller vouches for the digest. Rejects with ResError `io`, `no-space`.
   * @param tmp a folder of this process's own on the store's file system, for what comes from another one; without it, that of the store
   */
  async put(tempPath: string, digest: Digest, type: ObjectType, tmp?: string): Promise<string> {
    const path = this.path(digest, type);
    try {
      if (await this.#hasAll(tempPath, path)) await rm(tempPath, { recursive: true });
      else await this.#moveIn(tempPath, path, type === 'file' ? publish : publishNew, tmp);
    } catch (error) {
      throw ioError(error, 'cannot put into the store', path);
    }
    await this.touch(digest, type);
    return path;
  }

  /**
   * `put` in place of an object that is damaged: readers have either, never half of one. Gives its path. Rejects with ResError
   * `io`, `no-space`.
   */
  async replace(tempPath: string, digest: Digest, type: ObjectType, tmp?: string): Promise<string> {
    const path = this.path(digest, type);
    try {
      await this.#moveIn(tempPath, path, publish, tmp);
      return path;
    } catch (error) {
      throw ioError(error, 'cannot put into the store', path);
    }
  }

  async #moveIn(
    tempPath: string,
    path: string,
    place: typeof publish,
    tmp: string | undefined,
  ): Promise<void> {
    await makeStoreFolder(this.#root, dirname(path), { durable: true });
    const group = groupOf(this.#root);
    await openToGroup(group, tempPath);
    if (await renamed(() => place(tempPath, path))) return;
    // Copied to the store's file system first: half an object never stands under its name.
    const copy = join(await this.#tmp(tmp), nameOfOwn());
    try {
      await copyTree(tempPath, copy);
      await openToGroup(group, copy);
      await place(copy, path);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
    await rm(tempPath, { recursive: true });
  }

  /** Whether the object is there already; a file of another length is damaged and will be replaced. */
  async #hasAll(tempPath: string, path: string): Promise<boolean> {
    try {
      const [have, given] = [await lstat(path), await lstat(tempPath)];
      return have.isDirectory() || have.size === given.size;
    } catch (error) {
      if (errorCode(error) === 'ENOENT' && statSync(tempPath, { throwIfNoEntry: false })) return false;
      throw error;
    }
  }

  /** Moves an object out to `dest`, whose folder exists; what stands there is replaced. Rejects with ResError `io`, `no-space`. */
  async take(digest: Digest, type: ObjectType, dest: string, o: CopyOptions = {}): Promise<void> {
    await moveOrCopy(this.path(digest, type), dest, o);
  }

  /** A second copy at `dest`, which must not exist: cloned where the file system can. Not synced. Rejects with ResError `io`, `no-space`. */
  async copyOut(
    digest: Digest,
    type: ObjectType,
    dest: string,
    o: CopyOptions = {},
  ): Promise<'cloned' | 'copied'> {
    const path = this.path(digest, type);
    try {
      return await copyTree(path, dest, o);
    } catch (error) {
      o.signal?.throwIfAborted();
      throw ioError(error, 'cannot copy out of the store', path);
    }
  }

  /** Does nothing when the object is not there. Rejects with ResError `io`. */
  async remove(digest: Digest, type: ObjectType, tmp?: string): Promise<void> {
    const path = this.path(digest, type);
    try {
      await removeAtOnce(path, type, await this.#tmp(tmp));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw ioError(error, 'cannot remove', path);
    }
  }

  /** Whether an object may become an output: what belongs to another user could not be written to there. */
  mayMove(digest: Digest, type: ObjectType): boolean {
    const owner = statSync(this.path(digest, type), { throwIfNoEntry: false })?.uid;
    return owner !== undefined && owner === (process.geteuid?.() ?? owner);
  }

  /**
   * Notes that an object is used now; its mtime stays, to the microsecond. Of the objects of other users the system allows no
   * such note. Rejects with ResError `io`.
   */
  async touch(digest: Digest, type: ObjectType): Promise<void> {
    const path = this.path(digest, type);
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats) await setTimes(path, BigInt(Date.now()) * 1_000_000n, stats);
  }

  /** Does `work`, which reads an object for another reason than to use it: it counts as used when it did before. */
  async withoutUse<T>(digest: Digest, type: ObjectType, work: () => Promise<T>): Promise<T> {
    return keepingTimes(this.path(digest, type), work);
  }

  /**
   * Moves an object out of its place into `tmp`, a folder of this process's own in the store, and gives its path there; undefined
   * when it is not there. It goes on from there by rename, back by `putBack`, or is removed by `discard`. Rejects with ResError `io`.
   */
  async takeAside(digest: Digest, type: ObjectType, tmp: string): Promise<string | undefined> {
    const path = this.path(digest, type);
    const shelf = basename(dirname(dirname(path)));
    const aside = join(tmp, `aside.${shelf}.${digestHex(digest)}.${uniqueName()}`);
    try {
      await rename(path, aside);
      return aside;
    } catch (error) {
      if (errorCode(error) === 'ENOENT' && statSync(tmp, { throwIfNoEntry: false })) return undefined;
      throw ioError(error, 'cannot take out of the store', path);
    }
  }

  /** Puts back what `takeAside` took. An object that was put there meanwhile stays. Rejects with ResError `io`. */
  async putBack(aside: string): Promise<void> {
    const [, shelf, hex] = ASIDE.exec(basename(aside)) ?? [];
    if (shelf === undefined || hex === undefined) throw new Error(`${aside} was not taken aside`);
    const path = join(this.#root, shelf, hex.slice(0, 2), hex);
    try {
      await makeStoreFolder(this.#root, dirname(path));
      await rename(aside, path);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOTEMPTY' || code === 'EEXIST') await this.discard(aside);
      else if (code !== 'ENOENT' || statSync(aside, { throwIfNoEntry: false }))
        throw ioError(error, 'cannot put back into the store', path);
    }
  }

  /** Removes what `takeAside` took. Rejects with ResError `io`. */
  async discard(aside: string): Promise<void> {
    try {
      await removeAtOnce(aside, 'directory', dirname(aside));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw ioError(error, 'cannot remove', aside);
    }
  }

  /** Puts back all that lies aside in a folder. Rejects with ResError `io`. */
  async putAllBack(folder: string): Promise<void> {
    for (const { name } of await entriesOf(folder))
      if (ASIDE.test(name)) await this.putBack(join(folder, name));
  }

  /** Every object, in no order. Names that are no digest are passed over. */
  async *list(): AsyncIterable<StoredObject> {
    for (const { folder, type, algorithm } of SHELVES) {
      for (const prefix of await entriesOf(join(this.#root, folder))) {
        const shelf = join(this.#root, folder, prefix.name);
        if (!prefix.isDirectory()) continue;
        for (const entry of await entriesOf(shelf)) {
          if (!HEX.test(entry.name) || entry.isDirectory() !== (type === 'directory')) continue;
          const path = join(shelf, entry.name);
          const object = await measure(path);
          if (object) yield { digest: `${algorithm}:${entry.name}`, type, path, ...object };
        }
      }
    }
  }

  /** For what is on its way in or out, on the store's file system. */
  async #tmp(own: string | undefined): Promise<string> {
    const tmp = own ?? join(this.#root, 'tmp');
    await makeStoreFolder(this.#root, tmp);
    return tmp;
  }
}

/** False when it is for another file system: a failed rename is the one sure sign, bind mounts of one show the same device. */
async function renamed(place: () => Promise<void>): Promise<boolean> {
  try {
    await place();
    return true;
  } catch (error) {
    if (errorCode(error instanceof ResError ? error.cause : error) === 'EXDEV') return false;
    throw error;
  }
}

/** `publish` of a directory that may have been put there by another process: what stands there is in use, and as good. */
async function publishNew(temp: string, final: string): Promise<void> {
  await fsyncAll(temp);
  try {
    await rename(temp, final);
  } catch (error) {
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
    await rm(temp, { recursive: true });
  }
  await fsyncDir(dirname(final));
}

/**
 * A directory vanishes at once from its name: it takes long to remove, and half of one must not be found, after a power cut
 * neither.
 */
async function removeAtOnce(path: string, type: ObjectType, tmp: string): Promise<void> {
  const gone = type === 'directory' ? join(tmp, nameOfOwn()) : path;
  if (gone !== path) {
    await rename(path, gone);
    await fsyncDir(dirname(path));
  }
  await rm(gone, { recursive: true });
}

/**
 * As seconds, for utimes: node hands them on as a floating-point number of which whole microseconds count. A little more than
 * those are not rounded down to the one before.
 */
function seconds(ns: bigint): number {
  return Number(ns / 1000n) / 1e6 + 2e-7;
}

/** @param atime nanoseconds since 1970 */
async function setTimes(path: string, atime: bigint, { mtimeNs }: BigIntStats): Promise<void> {
  try {
    await utimes(path, seconds(atime), seconds(mtimeNs));
  } catch (error) {
    const code = errorCode(error);
    // Another user's; or gone, since many may share a store.
    if (code !== 'EPERM' && code !== 'EACCES' && code !== 'ENOENT' && code !== 'EROFS')
      throw ioError(error, 'cannot note the use of', path);
  }
}

/** Reading may set the atime, too: at most once a day, as systems are set up, and it shall not at all. */
async function keepingTimes<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = statSync(path, { bigint: true, throwIfNoEntry: false });
  try {
    return await work();
  } finally {
    const after = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (before && after && before.ino === after.ino && before.atimeNs !== after.atimeNs)
      await setTimes(path, before.atimeNs, after);
  }
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw ioError(error, 'cannot read the folder', folder);
  }
}

/** Undefined when it went away meanwhile: many workspaces may share a store. */
async function measure(path: string): Promise<Pick<StoredObject, 'size' | 'lastUse'> | undefined> {
  const lastUse = statSync(path, { throwIfNoEntry: false })?.atimeMs;
  if (lastUse === undefined) return undefined;
  const size = await keepingTimes(path, () => sizeOf(path));
  return size === undefined ? undefined : { size, lastUse: Math.round(lastUse) };
}

/** Undefined when it went away meanwhile: many workspaces may share a store. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    if (!stats.isDirectory()) return stats.isFile() ? stats.size : 0;
    let sum = 0;
    for (const entry of await entriesOf(path)) sum += (await sizeOf(join(path, entry.name))) ?? 0;
    return sum;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
