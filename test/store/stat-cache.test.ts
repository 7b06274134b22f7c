import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { CHUNK_SIZE, type Digest } from '../../src/model/digest.js';
import { digestDirectory } from '../../src/store/directory.js';
import { digestFile } from '../../src/store/hashing.js';
import { StatCache, writtenState } from '../../src/store/stat-cache.js';
import { type FileRecord, openState } from '../../src/store/state.js';
import { otherFileSystem, tempDir } from './temp.js';

let dir: string;
let files: ReturnType<typeof openState>['files'];
let cache: StatCache;
let path: string;

beforeEach(() => {
  dir = tempDir();
  mkdirSync(join(dir, 'state'));
  files = openState(join(dir, 'state')).files;
  cache = new StatCache(files, join(dir, 'state'));
  path = join(dir, 'file');
  writeFileSync(path, 'content');
});

/** Bytes read since: what `onBytes` counts. */
async function readBy(run: (onBytes: (bytes: number) => void) => Promise<unknown>): Promise<number> {
  let read = 0;
  await run((bytes) => {
    read += bytes;
  });
  return read;
}

describe('the digest of a file', () => {
  it('is read once, and then known by its stat, also just after it was written', async () => {
    expect(await cache.known(path)).toBeUndefined();
    const first = await cache.digestOf(path, 'sha256');
    expect(first).toEqual(await digestFile(path, 'sha256'));
    expect(await cache.known(path)).toEqual(first);
    expect(cache.knownSync(path, 'sha256')).toEqual(first);
    expect(await readBy((onBytes) => cache.digestOf(path, 'sha256', { onBytes }))).toBe(0);
  });

  it.each<[string, () => void]>([
    ['written to', () => writeFileSync(path, 'another')],
    [
      'written to, and given its old mtime again',
      () => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, 'another');
        utimesSync(path, atime, mtime);
      },
    ],
    [
      'replaced by another file',
      () => {
        writeFileSync(`${path}.new`, 'content');
        renameSync(`${path}.new`, path);
      },
    ],
    ['removed', () => rmSync(path)],
    [
      'replaced by a directory',
      () => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
    [
      'below a folder that is a file now',
      () => {
        rmSync(dir, { recursive: true });
        writeFileSync(dir, '');
      },
    ],
  ])('is unknown once it was %s', async (_, change) => {
    await cache.digestOf(path, 'sha256');
    change();
    expect(await cache.known(path)).toBeUndefined();
    expect(cache.knownSync(path)).toBeUndefined();
  });

  it('recorded within a tick of its last change is not trusted', async () => {
    await cache.digestOf(path, 'sha256');
    const record = files.get(path);
    if (record === undefined) throw new Error('not recorded');
    const ctime = BigInt(record.ctimeNs);
    const at = (ns: bigint): FileRecord => ({ ...record, at: String(ns) });
    files.set(path, at(ctime + 1_000_000n));
    expect(cache.knownSync(path)).toBeUndefined();
    files.set(path, at(0n));
    expect(await cache.known(path)).toBeUndefined();
    files.set(path, at(ctime + 20_000_000n));
    expect(cache.knownSync(path)).toBeDefined();
  });

  it('with an mtime in the future is known all the same', async () => {
    utimesSync(path, 4e9, 4e9);
    await cache.digestOf(path, 'sha256');
    expect(await cache.known(path)).toBeDefined();
  });

  it('by one algorithm does not answer for another', async () => {
    await cache.digestOf(path, 'sha256');
    // A small file has one digest by either name.
    expect(cache.knownSync(path, 'derived')).toBeDefined();
    writeFileSync(path, Buffer.alloc(CHUNK_SIZE + 1, 'x'));
    await cache.digestOf(path, 'sha256');
    expect(cache.knownSync(path, 'derived')).toBeUndefined();
    expect(await cache.known(path, 'any')).toBeDefined();
    expect((await cache.digestOf(path, 'derived')).digest).toMatch(/^tree:/);
    expect(await cache.known(path, 'sha256')).toBeUndefined();
  });

  it('of a link is that of what it points to', async () => {
    symlinkSync('file', join(dir, 'link'));
    const known = await cache.digestOf(join(dir, 'link'), 'sha256');
    writeFileSync(path, 'changed!');
    expect(cache.knownSync(join(dir, 'link'))).toBeUndefined();
    expect((await cache.digestOf(join(dir, 'link'), 'sha256')).digest).not.toBe(known.digest);
  });

  it('that changes while it is read is read again', async () => {
    writeFileSync(path, Buffer.alloc(3 * 1024 * 1024, 'x'));
    let changes = 0;
    const known = await cache.digestOf(path, 'sha256', {
      onBytes: () => {
        if (changes++ === 0) writeFileSync(path, 'y');
      },
    });
    expect(known).toEqual(await digestFile(path, 'sha256'));
    expect(known.size).toBe(1);
  });

  it('that never stops changing is an error', async () => {
    let n = 0;
    const run = cache.digestOf(path, 'sha256', { onBytes: () => writeFileSync(path, 'z'.repeat(++n)) });
    await expect(run).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('keeps changing'),
    });
  });

  it('is found without reading the holes', async () => {
    const fd = openSync(path, 'w');
    ftruncateSync(fd, 40 * CHUNK_SIZE);
    writeSync(fd, 'data', 5 * CHUNK_SIZE);
    closeSync(fd);
    expect(await cache.digestOf(path, 'derived', { qemuImg: 'qemu-img' })).toEqual(
      await digestFile(path, 'derived'),
    );
  });

  it('of what is not there, or no file, is an error', async () => {
    await expect(cache.digestOf(join(dir, 'none'), 'sha256')).rejects.toMatchObject({
      code: 'file-not-found',
    });
    await expect(cache.digestOf(dir, 'sha256')).rejects.toMatchObject({ code: 'io' });
  });

  it('can be had, but is not remembered, where res cannot write', async () => {
    const readOnly = new StatCache(files, join(dir, 'missing'));
    expect(await readOnly.digestOf(path, 'sha256')).toEqual(await digestFile(path, 'sha256'));
    expect(await readOnly.known(path)).toBeUndefined();
  });
});

describe('what res wrote itself', () => {
  const digest: Digest = `sha256:${'1'.repeat(64)}`;

  it('is known to it at once, and to other processes when the clock has moved on', async () => {
    const other = new StatCache(files, join(dir, 'state'));
    await cache.record(path, digest);
    expect(cache.knownSync(path)).toEqual({ digest, size: 7 });
    expect(other.knownSync(path)).toBeUndefined();
    await cache.settle();
    expect(other.knownSync(path)).toEqual({ digest, size: 7 });
    expect(cache.knownSync(path)).toEqual({ digest, size: 7 });
    cache.forget(path);
    expect(cache.knownSync(path)).toBeUndefined();
    expect(readdirSync(join(dir, 'state'))).toEqual([]);
  });

  it('and was changed before that is not known', async () => {
    await cache.record(path, digest);
    writeFileSync(path, 'by another');
    await cache.settle();
    expect(cache.knownSync(path)).toBeUndefined();
    await cache.record(path, digest);
    rmSync(path);
    await cache.settle();
    expect(cache.knownSync(path)).toBeUndefined();
  });

  const other = otherFileSystem();
  it.skipIf(other === undefined)(
    'on another file system is known as soon, and leaves no trace there',
    async () => {
      const away = tempDir(other);
      writeFileSync(join(away, 'out'), 'content');
      await cache.record(join(away, 'out'), digest);
      const before = performance.now();
      await cache.settle();
      expect(performance.now() - before).toBeLessThan(1000);
      expect(cache.knownSync(join(away, 'out'))).toEqual({ digest, size: 7 });
      expect(readdirSync(away)).toEqual(['out']);
    },
  );
});

describe('the digest of a directory', () => {
  let tree: string;
  beforeEach(() => {
    tree = join(dir, 'tree');
    mkdirSync(join(tree, 'sub'), { recursive: true });
    writeFileSync(join(tree, 'a'), 'one');
    writeFileSync(join(tree, 'sub/b'), 'two!');
  });

  it('is read once, and then known by the stats of all below', async () => {
    const first = await cache.digestOfDirectory(tree);
    expect(first).toEqual(await digestDirectory(tree));
    expect(await cache.knownDirectory(tree)).toEqual(first);
    expect(await readBy((onBytes) => cache.digestOfDirectory(tree, { onBytes }))).toBe(0);
  });

  it.each<[string, () => void]>([
    ['a file was written to', () => writeFileSync(join(tree, 'sub/b'), 'owt!')],
    ['a file came', () => writeFileSync(join(tree, 'sub/c'), '')],
    ['a file went', () => rmSync(join(tree, 'a'))],
    ['a mode changed', () => chmodSync(join(tree, 'a'), 0o755)],
    ['it went', () => rmSync(tree, { recursive: true })],
  ])('is unknown once %s', async (_, change) => {
    await cache.digestOfDirectory(tree);
    change();
    expect(await cache.knownDirectory(tree)).toBeUndefined();
  });

  it('that was written to before it got its name is not remembered', async () => {
    const { digest } = await digestDirectory(tree);
    const made = await writtenState(tree);
    const placed = join(dir, 'placed');
    renameSync(tree, placed);
    await cache.record(placed, digest, made);
    expect(await cache.knownDirectory(placed)).toEqual({ digest, size: 7 });
    writeFileSync(join(placed, 'sub/b'), 'owt!');
    renameSync(placed, tree);
    await cache.record(tree, digest, made);
    expect(await cache.knownDirectory(tree)).toBeUndefined();
  });

  it('that res made is known to it at once, and to other processes when the clock has moved on', async () => {
    const other = new StatCache(files, join(dir, 'state'));
    const { digest } = await digestDirectory(tree);
    await cache.record(tree, digest);
    expect(await cache.knownDirectory(tree)).toEqual({ digest, size: 7 });
    await cache.settle();
    expect(await other.knownDirectory(tree)).toEqual({ digest, size: 7 });
  });
});
