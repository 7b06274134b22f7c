// Where two files or directories differ: which file, how large, from which byte on.
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Difference } from '../model/report.js';

const PIECE = 1024 * 1024;

/**
 * All that differs between two outputs, by path. What no digest counts (times, owners) is no difference. Rejects with the system's
 * error.
 */
export async function differencesOf(
  output: string,
  before: string,
  after: string,
): Promise<readonly Difference[]> {
  const found: Difference[] = [];
  await compare(before, after, '', output, found);
  return found;
}

async function compare(
  before: string,
  after: string,
  file: string,
  output: string,
  found: Difference[],
): Promise<void> {
  const [was, is] = [await lstat(before), await lstat(after)];
  const [sizeBefore, sizeAfter] = [fileSize(was), fileSize(is)];
  const row = { output, file, sizeBefore, sizeAfter, offset: null };
  if (typeOf(was) !== typeOf(is)) {
    found.push({ ...row, how: 'type' });
  } else if (was.isDirectory()) {
    await compareFolders(before, after, file, output, found);
  } else if (was.isSymbolicLink()) {
    if ((await readlink(before)) !== (await readlink(after))) found.push({ ...row, how: 'link' });
  } else {
    const offset = await firstDifference(before, after);
    if (offset !== null) found.push({ ...row, how: 'content', offset });
    else if (isProgram(was) !== isProgram(is)) found.push({ ...row, how: 'mode' });
  }
}

async function compareFolders(
  before: string,
  after: string,
  folder: string,
  output: string,
  found: Difference[],
): Promise<void> {
  const [were, are] = [new Set(await readdir(before)), new Set(await readdir(after))];
  for (const name of [...new Set([...were, ...are])].sort()) {
    const file = folder === '' ? name : `${folder}/${name}`;
    const row = { output, file, sizeBefore: null, sizeAfter: null, offset: null };
    if (!are.has(name))
      found.push({ ...row, how: 'missing', sizeBefore: fileSize(await lstat(join(before, name))) });
    else if (!were.has(name))
      found.push({ ...row, how: 'new', sizeAfter: fileSize(await lstat(join(after, name))) });
    else await compare(join(before, name), join(after, name), file, output, found);
  }
}

function typeOf(stats: Stats): 'file' | 'directory' | 'link' | 'other' {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

function fileSize(stats: Stats): number | null {
  return stats.isFile() ? stats.size : null;
}

function isProgram(stats: Stats): boolean {
  return (stats.mode & 0o100) !== 0;
}

/** Of the first byte that is not the same, the end of the shorter one counted; null where there is none. */
export async function firstDifference(before: string, after: string): Promise<number | null> {
  const files: FileHandle[] = [];
  try {
    const one = await open(before, 'r');
    files.push(one);
    const other = await open(after, 'r');
    files.push(other);
    const [a, b] = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)];
    for (let offset = 0; ; ) {
      const [left, right] = [await fill(one, a, offset), await fill(other, b, offset)];
      const common = Math.min(left, right);
      if (!a.subarray(0, common).equals(b.subarray(0, common)))
        return offset + a.subarray(0, common).findIndex((byte, i) => byte !== b[i]);
      if (left !== right) return offset + common;
      if (common < PIECE) return null;
      offset += common;
    }
  } finally {
    for (const file of files) await file.close();
  }
}

/** A read may give less than there is. */
async function fill(file: FileHandle, buffer: Buffer, offset: number): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
