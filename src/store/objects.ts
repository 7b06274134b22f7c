// The store: content by digest, each object in one place. Laid out like Bazel's disk cache (`cas/ab/abcd…`), so that plain
// sha256 objects have the same names there.
//
// Objects come in and go out by rename. An object never shares an inode with an output: outputs are written to.
import { type Dirent, statSync } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, digestAlgorithm, digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import {
  type CopyOptions,
  copyTree,
  errorCode,
  fsyncDir,
  ioError,
  moveOrCopy,
  publish,
  uniqueName,
} from './files.js';

export type ObjectType = 'file' | 'directory';

export interface StoredObject {
  readonly digest: Digest;
  readonly type: ObjectType;
  /** Absolute. */
  readonly path: string;
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
}

/** Folder, what lies in it, and how its objects are named. */
const SHELVES = [
  { folder: 'cas', type: 'file', algorithm: 'sha256' },
  { folder: 'tree', type: 'file', algorithm: 'tree' },
  { folder: 'dir', type: 'directory', algorithm: 'tree' },
] as const;

const HEX = /^[0-9a-f]{64}$/;

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
    const stats = statSync(this.path(digest, type), { throwIfNoEntry: false });
    return type === 'directory' ? stats?.isDirectory() === true : stats?.isFile() === true;
  }

  /**
   * Moves a finished file or directory in, durably, and gives its path there. If the store has the object, that one stays and the
   * temporary goes. The caller vouches for the digest. Rejects with ResError `io`, `no-space`.
   */
  async put(tempPath: string, digest: Digest, type: ObjectType): Promise<string> {
    const path = this.path(digest, type);
    try {
      if (await this.#hasAll(tempPath, path)) {
        await rm(tempPath, { recursive: true });
        return path;
      }
      await makeDurable(dirname(path));
      await this.#moveIn(tempPath, path);
      return path;
    } catch (error) {
      throw ioError(error, 'cannot put into the store', path);
    }
  }

  /** A failed rename is the one sure sign of another file system: bind mounts of one show the same device. */
  async #moveIn(tempPath: string, path: string): Promise<void> {
    try {
      return await publish(tempPath, path);
    } catch (error) {
      if (!(error instanceof ResError) || errorCode(error.cause) !== 'EXDEV') throw error;
    }
    // Copied to the store's file system first: half an object never stands under its name.
    const copy = join(await this.#tmp(), uniqueName());
    try {
      await copyTree(tempPath, copy);
      await publish(copy, path);
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

  /** Does nothing when the object is not there. */
  async remove(digest: Digest, type: ObjectType): Promise<void> {
    const path = this.path(digest, type);
    try {
      // A directory vanishes at once from its name: it takes long to remove, and half of one must not be found.
      const gone = type === 'directory' ? join(await this.#tmp(), uniqueName()) : path;
      if (gone !== path) await rename(path, gone);
      await rm(gone, { recursive: true });
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw ioError(error, 'cannot remove', path);
    }
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
          const size = await sizeOf(path);
          if (size !== undefined) yield { digest: `${algorithm}:${entry.name}`, type, path, size };
        }
      }
    }
  }

  /** For what is on its way in or out, on the store's file system. */
  async #tmp(): Promise<string> {
    const tmp = join(this.#root, 'tmp');
    await mkdir(tmp, { recursive: true });
    return tmp;
  }
}

/** A new folder, and those above it, survive a power loss only when their own folders are synced. */
async function makeDurable(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await fsyncDir(dirname(made));
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
