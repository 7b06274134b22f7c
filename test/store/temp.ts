// A folder for one test, gone afterwards; and one on another file system, where this machine has one.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export function tempDir(base = tmpdir()): string {
  const dir = mkdtempSync(join(base, 'res-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Undefined where /dev/shm is no file system of its own. */
export function otherFileSystem(): string | undefined {
  const shm = statSync('/dev/shm', { throwIfNoEntry: false });
  return shm && shm.dev !== statSync(tmpdir()).dev ? '/dev/shm' : undefined;
}
