// Copies on a file system that can share blocks between files: they take no room, and what is written to one is not in the other.
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cloneOrCopy, copyTree } from '../../src/store/files.js';
import { ObjectStore } from '../../src/store/objects.js';
import { tempDir } from './temp.js';

const MIB = 1024 * 1024;

function works(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args).status === 0;
}

/** Mounted until the end of the test. Undefined where the system has no xfs. */
function mountXfs(): string | undefined {
  const dir = tempDir();
  const image = join(dir, 'image');
  const place = join(dir, 'mnt');
  writeFileSync(image, '');
  // The smallest that mkfs.xfs makes is 300 MiB.
  truncateSync(image, 320 * MIB);
  mkdirSync(place);
  if (!works('mkfs.xfs', ['-q', '-m', 'reflink=1', image])) return undefined;
  if (!works('mount', ['-o', 'loop', image, place])) return undefined;
  onTestFinished(() => {
    spawnSync('umount', [place]);
  });
  return place;
}

/** Bytes. */
function inUse(place: string): number {
  spawnSync('sync', ['-f', place]);
  const { blocks, bfree, bsize } = statfsSync(place);
  return (blocks - bfree) * bsize;
}

const canMount = process.getuid?.() === 0 && works('mkfs.xfs', ['-V']);

describe.skipIf(!canMount)('on a file system that can clone', () => {
  it('copies share their blocks, and only them', async ({ skip }) => {
    const place = mountXfs();
    if (place === undefined) return skip('no xfs here');
    const bytes = randomFillSync(Buffer.alloc(32 * MIB));
    mkdirSync(join(place, 'd'));
    writeFileSync(join(place, 'd/image'), bytes);
    writeFileSync(join(place, 'd/small'), 'small');
    const before = inUse(place);

    expect(await cloneOrCopy(join(place, 'd/image'), join(place, 'clone'))).toBe('cloned');
    expect(await copyTree(join(place, 'd'), join(place, 'tree'))).toBe('cloned');
    const store = new ObjectStore(join(place, 'store'));
    const digest = `tree:${'a'.repeat(64)}` as const;
    await store.put(join(place, 'tree/image'), digest, 'file');
    expect(await store.copyOut(digest, 'file', join(place, 'out'))).toBe('cloned');
    expect(inUse(place) - before).toBeLessThan(MIB);

    const fd = openSync(join(place, 'out'), 'r+');
    writeSync(fd, 'written to', MIB);
    closeSync(fd);
    for (const path of ['d/image', 'clone'])
      expect(readFileSync(join(place, path)).equals(bytes), path).toBe(true);
    expect(readFileSync(store.path(digest, 'file')).equals(bytes)).toBe(true);
    expect(readFileSync(join(place, 'out')).equals(bytes)).toBe(false);
    // One that must be a copy takes room: else the figures above would say nothing.
    writeFileSync(join(place, 'copy'), bytes);
    expect(inUse(place) - before).toBeGreaterThan(32 * MIB);
  });
});
