// A small file system of its own for a folder, that can be filled to the last block. Needs root.
import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runFolder } from './places.js';
import { has, tool } from './tools.js';

export interface SmallDisk {
  /** Where it is mounted. */
  readonly dir: string;
  /** Bytes. */
  free(): number;
  /** Takes up what is free but so many bytes. */
  fill(leave: number): Promise<void>;
  /** As much room as it was made with, and on tmpfs as much as is asked for. */
  makeRoom(bytes?: number): Promise<void>;
  /** Unmounts it, with all that is on it. */
  close(): Promise<void>;
}

export type DiskKind = 'tmpfs' | 'ext4';

/** Should the tests be stopped in the middle, no mount stays behind. */
const open = new Set<string>();
process.on('exit', () => {
  for (const dir of open) spawnSync('umount', ['-l', dir]);
});

const FILLER = 'filler';
const BLOCK = 4096;

/**
 * Mounts a new file system over the folder, which is made when it is not there.
 * @param bytes of a tmpfs, all of which can be used; of an ext4, somewhat more than can be
 */
export async function mountSmallDisk(dir: string, kind: DiskKind, bytes: number): Promise<SmallDisk> {
  await mkdir(dir, { recursive: true });
  const image = kind === 'ext4' ? await ext4File(bytes) : undefined;
  if (image === undefined) await tool(['mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]);
  else await tool(['mount', '-o', 'loop', image, dir]);
  open.add(dir);
  const free = () => {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  };
  const filler = join(dir, FILLER);
  return {
    dir,
    free,
    async fill(leave) {
      await rm(filler, { force: true });
      // Blocks are given back, and taken, when data is written down.
      await tool(['sync', '-f', dir]);
      const size = Math.floor((free() - leave) / BLOCK) * BLOCK;
      if (size <= 0) return;
      await writeFile(filler, Buffer.alloc(size, 1)).catch(async (error: unknown) => {
        // Its own blocks of pointers have no room any more: then it is full enough.
        if (!String(error).includes('ENOSPC')) throw error;
      });
    },
    async makeRoom(more) {
      await rm(filler, { force: true });
      if (image === undefined && more !== undefined) await tool(['mount', '-o', `remount,size=${more}`, dir]);
    },
    async close() {
      await tool(['umount', dir]).catch(() => tool(['umount', '-l', dir]));
      open.delete(dir);
      if (image !== undefined) await rm(join(image, '..'), { recursive: true, force: true });
    },
  };
}

async function ext4File(bytes: number): Promise<string> {
  const folder = await mkdtemp(join(runFolder(), 'disk-'));
  const image = join(folder, 'image');
  await writeFile(image, '');
  await truncate(image, bytes);
  // Nothing is kept for root, who would not see the disk full else.
  await tool(['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', '-E', 'root_owner=0:0', image]);
  return image;
}

let mountable: Promise<boolean> | undefined;

/** Whether file systems can be mounted here: for `describe.skipIf(!(await canMount()))`. */
export function canMount(): Promise<boolean> {
  mountable ??= tryMount();
  return mountable;
}

async function tryMount(): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !has('mount', 'umount', 'mke2fs'))
    return false;
  const dir = await mkdtemp(join(runFolder(), 'mount-'));
  try {
    for (const kind of ['tmpfs', 'ext4'] as const) await (await mountSmallDisk(dir, kind, 4 << 20)).close();
    return true;
  } catch {
    // A container without the right to.
    return false;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
