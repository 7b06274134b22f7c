// file: URLs, with the manners of a download: copied (blocks shared where the file system can), never moved or linked.
import { chmod, rm, stat } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { cloneOrCopy, errorCode, fsyncFile, ioError } from '../store/files.js';
import { digestFile } from '../store/hashing.js';
import { interrupted } from './retry.js';

export interface LocalCopy {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

export interface LocalCopying {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number | null) => void;
  /** Called when there is a file to copy, before what is at `to` goes. */
  readonly replacing: () => Promise<void>;
}

/**
 * Copies the file to `to`, durably, whatever is there. Rejects with ResError `file-not-found`, `io`, `no-space`,
 * `interrupted`, or as `replacing` does.
 */
export async function copyLocalFile(url: string, to: string, o: LocalCopying): Promise<LocalCopy> {
  const from = filePath(url);
  const total = await sizeOf(from);
  let done = 0;
  o.onProgress(0, total);
  try {
    await o.replacing();
    await rm(to, { force: true });
    await cloneOrCopy(from, to, {
      signal: o.signal,
      onBytes: (bytes) => {
        done += bytes;
        o.onProgress(done, total);
      },
    });
    // The copy of a read-only file could not be resumed, checked or replaced like any other download.
    await chmod(to, 0o644);
    const { digest, size } = await digestFile(to, 'sha256', { signal: o.signal });
    await fsyncFile(to);
    return { size, sha256: digestHex(digest) };
  } catch (error) {
    if (o.signal.aborted) throw interrupted();
    throw ioError(error, 'cannot write', to, total);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.size;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR')
      throw ioError(error, 'cannot read', path);
    throw new ResError('file-not-found', `no such file: ${path}`, {
      hint: 'A relative file: URL starts at the manifest.',
    });
  }
  throw new ResError('file-not-found', `${path} is not a file`);
}

/** Throws ResError `file-not-found` for what names no file of this machine. */
export function filePath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new ResError('file-not-found', `${url} does not name a file of this machine`, { cause: error });
  }
}

/** An absolute URL for one as written: `file:images/a.img`, without a slash after the colon, starts at `dir`. */
export function absoluteUrl(url: string, dir: string): string {
  const relative = /^file:(?!\/)(.*)$/is.exec(url)?.[1];
  return relative === undefined ? url : new URL(relative, pathToFileURL(`${dir}/`)).href;
}
