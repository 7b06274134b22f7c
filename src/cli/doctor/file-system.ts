// What a file system can do, found out by doing it.
import { constants } from 'node:fs';
import { copyFile, mkdtemp, open, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../../report/doctor.js';
import { formatBytes } from '../../report/format.js';

/** A disk image with its intermediates takes some GiB. */
const LITTLE_BYTES = 5 * 1024 ** 3;
const HOLE_BYTES = 16 * 1024 ** 2;
/** What the one written block of a file with holes may take at most, whatever the block size. */
const SPARSE_AT_MOST = 4 * 1024 ** 2;

/** Free space, sparse files and clones where the folder lies; leaves nothing behind. */
export async function checkFileSystem(dir: string): Promise<readonly Check[]> {
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const disk: Check = {
    name: 'disk',
    state: free < LITTLE_BYTES ? 'warn' : 'ok',
    detail: `${formatBytes(free)} free in ${dir}`,
    hint:
      free < LITTLE_BYTES
        ? 'Disk images take several GiB: make room, or move the store with RES_STORE.'
        : null,
  };
  let scratch: string;
  try {
    scratch = await mkdtemp(join(dir, '.res-doctor-'));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [
      disk,
      {
        name: 'file system',
        state: 'fail',
        detail: `cannot be written to: ${message}`,
        hint: 'Work in a folder that is yours.',
      },
    ];
  }
  try {
    const sparse = await keepsHoles(join(scratch, 'sparse'));
    const clones = await canClone(scratch);
    return [
      disk,
      {
        name: 'file system',
        state: sparse ? 'ok' : 'warn',
        detail: `sparse files: ${sparse ? 'yes' : 'no'}; clones (reflink): ${clones ? 'yes' : 'no, files are copied where two are needed'}`,
        hint: sparse
          ? null
          : 'Raw images take their full size here. ext4, xfs, btrfs, zfs and apfs keep holes.',
      },
    ];
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function keepsHoles(path: string): Promise<boolean> {
  const file = await open(path, 'w');
  try {
    await file.write(Buffer.alloc(4096, 1), 0, 4096, HOLE_BYTES);
    await file.sync();
  } finally {
    await file.close();
  }
  return (await stat(path)).blocks * 512 <= SPARSE_AT_MOST;
}

async function canClone(dir: string): Promise<boolean> {
  await writeFile(join(dir, 'one'), Buffer.alloc(64 * 1024, 1));
  try {
    await copyFile(join(dir, 'one'), join(dir, 'two'), constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
