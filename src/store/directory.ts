// The digest of a directory: what is in it and what it is called; never times, owners, or where it lies.
//
// Merkle: sha256 over a domain text and, for each entry in the byte order of its UTF-8 name, type, name, and the digest of the
// file or directory or the target of the link, each ended by a zero byte (which none of them can hold).
import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { ioError } from './files.js';
import { digestFile, type HashOptions } from './hashing.js';

/** As a tree digest's first 8 bytes, a length that no file has: a directory's digest is never a file's. */
const DOMAIN = 'res directory 1\0';

/** Small files take longer to open than to hash; a few at a time keep the disk busy. */
const PARALLEL_FILES = 8;

/**
 * `size`: the sum over its files, bytes.
 * Rejects with ResError `io` for sockets, devices, names that are not UTF-8 and what cannot be read; or with the signal's reason.
 */
export async function digestDirectory(
  path: string,
  o: HashOptions = {},
): Promise<{ readonly digest: Digest; readonly size: number }> {
  o.signal?.throwIfAborted();
  const entries = await sortedEntries(path);
  const parts: Entry[] = new Array(entries.length);
  // Directories one by one, files in parallel: the number of open files stays bounded at any depth.
  for (const [i, entry] of entries.entries()) {
    if (!entry.isDirectory()) continue;
    const { digest, size } = await digestDirectory(join(path, entry.name), o);
    parts[i] = { type: 'd', name: entry.name, value: digest, size };
  }
  let next = 0;
  async function work(): Promise<void> {
    while (next < entries.length) {
      const i = next++;
      const entry = entries[i];
      if (entry !== undefined && !entry.isDirectory())
        parts[i] = await leaf(join(path, entry.name), entry, o);
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL_FILES }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;

  const hash = createHash('sha256').update(DOMAIN);
  let total = 0;
  for (const { type, name, value, size } of parts) {
    hash.update(`${type}\0${name}\0${value}\0`);
    total += size;
  }
  return { digest: `tree:${hash.digest('hex')}`, size: total };
}

interface Entry {
  /** File, executable file, directory, link. */
  readonly type: 'f' | 'x' | 'd' | 'l';
  readonly name: string;
  readonly value: string;
  readonly size: number;
}

async function leaf(path: string, entry: Dirent, o: HashOptions): Promise<Entry> {
  if (entry.isSymbolicLink()) {
    try {
      return { type: 'l', name: entry.name, value: await readlink(path), size: 0 };
    } catch (error) {
      throw ioError(error, 'cannot read', path);
    }
  }
  if (!entry.isFile()) {
    throw new ResError('io', `cannot take ${path}: neither a file, a directory nor a symbolic link`, {
      hint: 'Sockets, pipes and devices have no content that could be known. Remove it.',
    });
  }
  try {
    const { mode } = await lstat(path);
    const { digest, size } = await digestFile(path, 'derived', o);
    return { type: (mode & 0o100) === 0 ? 'f' : 'x', name: entry.name, value: digest, size };
  } catch (error) {
    o.signal?.throwIfAborted();
    throw ioError(error, 'cannot read', path);
  }
}

/** Entries in the byte order of their names. Rejects with ResError `io`. */
export async function sortedEntries(path: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    for (const { name } of entries) {
      // Bytes that are no UTF-8 come as U+FFFD, which names no file.
      if (name.includes('\ufffd'))
        throw new ResError('io', `cannot take ${join(path, name)}: its name is not UTF-8`);
    }
    return entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  } catch (error) {
    throw ioError(error, 'cannot read the folder', path);
  }
}
