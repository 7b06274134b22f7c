import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FollowingDigest } from '../../src/store/following-digest.js';
import { digestFile } from '../../src/store/hashing.js';
import { seededBytes } from '../rig/random.js';
import { tempDir } from './temp.js';

const MiB = 1024 * 1024;
const CHUNK = 4 * MiB;
const SIZE = 200 * MiB;
/** Chunks with something in them; the one behind them is far enough behind for these to be done. */
const FILLED = [0, 1, 3, 4, 6];
const LAST = 30;
const { signal } = new AbortController();

/** A file that another program might write, and one who looks how far it is. */
class Growing {
  readonly path: string;
  readonly qemuImg: string;
  readonly #log: string;
  readonly #fd: number;

  /** @param answer a script that says what the map is; by default what qemu-img says */
  constructor(answer = 'exec qemu-img "$@"') {
    const dir = tempDir();
    this.path = join(dir, 'image');
    this.qemuImg = join(dir, 'qemu-img');
    this.#log = join(dir, 'log');
    writeFileSync(this.qemuImg, `#!/bin/sh\necho "$@" >> '${this.#log}'\n${answer}\n`, { mode: 0o755 });
    this.#fd = openSync(this.path, 'w');
    onTestFinished(() => closeSync(this.#fd));
  }

  follow(): FollowingDigest {
    const following = new FollowingDigest(this.path, { qemuImg: this.qemuImg, signal });
    onTestFinished(() => following.close());
    return following;
  }

  truncate(size = SIZE): void {
    ftruncateSync(this.#fd, size);
  }

  fill(...chunks: readonly number[]): void {
    for (const chunk of chunks)
      writeSync(this.#fd, seededBytes(`chunk ${chunk}`, CHUNK - 5000), 0, CHUNK - 5000, chunk * CHUNK);
  }

  /** How often it was asked for the map. */
  get looks(): number {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n').length - 1 : 0;
  }

  /** Until it is asked for what is behind so many chunks: those are done then. */
  async taken(chunks: number): Promise<void> {
    const done = () =>
      readFileSync(this.#log, 'utf8')
        .split('\n')
        .some((line) => Number(/--start-offset=(\d+)/.exec(line)?.[1] ?? 0) >= chunks * CHUNK);
    while (!existsSync(this.#log) || !done()) await delay(20);
  }

  digest() {
    return digestFile(this.path, 'derived');
  }
}

describe('the digest of a file that is written in order', () => {
  it('is worked out while it grows, and is that of its bytes', async () => {
    const file = new Growing();
    const following = file.follow();
    file.truncate();
    file.fill(...FILLED, LAST);
    await file.taken(7);
    // What was taken is not read again: nobody writes to it in order to see this, but here.
    file.fill(LAST + 5);
    const before = await file.digest();
    const fd = openSync(file.path, 'r+');
    writeSync(fd, 'changed', 3 * CHUNK);
    closeSync(fd);
    expect(await following.finish()).toEqual(before);
    expect(await file.digest()).not.toEqual(before);
  });

  it('does not believe what it took where a hole was filled after all', async () => {
    const file = new Growing();
    const following = file.follow();
    file.truncate();
    file.fill(0, 1, 3, LAST);
    const fd = openSync(file.path, 'r+');
    writeSync(fd, 'a little', 4 * CHUNK + 2 * MiB);
    await file.taken(7);
    // One of which nothing was there, and one of which something was.
    file.fill(2);
    writeSync(fd, 'more of it', 4 * CHUNK + MiB);
    closeSync(fd);
    expect(await following.finish()).toEqual(await file.digest());
  });

  it('is that of its whole length when it becomes longer, or shorter, in the end', async () => {
    for (const size of [SIZE + CHUNK / 2, 4 * CHUNK + 100]) {
      const file = new Growing();
      const following = file.follow();
      file.truncate();
      file.fill(...FILLED, LAST);
      await file.taken(7);
      file.truncate(size);
      expect(await following.finish()).toEqual(await file.digest());
    }
  });

  it('is taken in the end where a file system tells of no holes', async () => {
    const file = new Growing(`echo '[{"start":0,"length":${SIZE},"zero":false}]'`);
    const following = file.follow();
    file.truncate();
    file.fill(...FILLED);
    while (file.looks === 0) await delay(20);
    await delay(1000);
    // It is not asked again and again.
    expect(file.looks).toBe(1);
    file.fill(2, 5);
    expect(await following.finish()).toEqual(await file.digest());
  });

  it('is taken in the end where nobody can be asked, or the answer makes no sense', async () => {
    for (const answer of ['exit 1', 'echo hello']) {
      const file = new Growing(answer);
      const following = file.follow();
      file.truncate();
      file.fill(...FILLED);
      while (file.looks === 0) await delay(20);
      file.fill(2);
      expect(await following.finish()).toEqual(await file.digest());
    }
    const file = new Growing();
    const following = new FollowingDigest(file.path, { signal });
    file.truncate();
    file.fill(1);
    await delay(300);
    expect(await following.finish()).toEqual(await file.digest());
    expect(file.looks).toBe(0);
  });

  it('fails when there is no file in the end, and can be given up at any time', async () => {
    const absent = new FollowingDigest(join(tempDir(), 'absent'), { qemuImg: 'qemu-img', signal });
    await delay(150);
    await expect(absent.finish()).rejects.toThrow('no such file');
    const file = new Growing('exec sleep 100');
    const following = file.follow();
    file.truncate();
    while (file.looks === 0) await delay(20);
    const began = performance.now();
    await following.close();
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
