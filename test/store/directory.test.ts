import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestDirectory } from '../../src/store/directory.js';
import { tempDir } from './temp.js';

function sample(): string {
  const dir = join(tempDir(), 'd');
  mkdirSync(join(dir, 'sub/empty'), { recursive: true });
  writeFileSync(join(dir, 'a'), 'one');
  writeFileSync(join(dir, 'sub/b'), 'two!');
  writeFileSync(join(dir, 'é'), '');
  symlinkSync('a', join(dir, 'link'));
  return dir;
}

describe('the digest of a directory', () => {
  it('is of its content only: a copy elsewhere, with other times and link count, has the same', async () => {
    const dir = sample();
    const copy = join(tempDir(), 'other-name');
    cpSync(dir, copy, { recursive: true, verbatimSymlinks: true });
    utimesSync(join(copy, 'a'), 1, 1);
    const digest = await digestDirectory(dir);
    expect(digest).toEqual(await digestDirectory(copy));
    expect(digest.size).toBe(7);
    expect(digest.digest).toMatch(/^tree:[0-9a-f]{64}$/);
  });

  it.each<[string, (dir: string) => void]>([
    ['a byte', (dir) => writeFileSync(join(dir, 'sub/b'), 'two?')],
    ['a name', (dir) => renameSync(join(dir, 'a'), join(dir, 'A'))],
    ['the executable bit', (dir) => chmodSync(join(dir, 'a'), 0o755)],
    ['an empty folder', (dir) => rmSync(join(dir, 'sub/empty'), { recursive: true })],
    ['a file more', (dir) => writeFileSync(join(dir, 'c'), '')],
    [
      'where a link points',
      (dir) => {
        rmSync(join(dir, 'link'));
        symlinkSync('sub', join(dir, 'link'));
      },
    ],
    [
      'a link in place of a file of the same text',
      (dir) => {
        rmSync(join(dir, 'a'));
        symlinkSync('one', join(dir, 'a'));
      },
    ],
  ])('changes with %s', async (_, change) => {
    const dir = sample();
    const before = await digestDirectory(dir);
    change(dir);
    expect((await digestDirectory(dir)).digest).not.toBe(before.digest);
  });

  it('does not change with permissions other than the executable bit', async () => {
    const dir = sample();
    const before = await digestDirectory(dir);
    chmodSync(join(dir, 'a'), 0o600);
    expect(await digestDirectory(dir)).toEqual(before);
  });

  it('is refused for what has no content: a named pipe', async () => {
    const dir = sample();
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    await expect(digestDirectory(dir)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('pipe'),
    });
  });
});
