import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/model/digest.js';
import { ObjectStore, type StoredObject } from '../../src/store/objects.js';
import { otherFileSystem, tempDir } from './temp.js';

const other = otherFileSystem();
const HEX = 'ab'.repeat(32);
const plain: Digest = `sha256:${HEX}`;
const tree: Digest = `tree:${HEX}`;

function file(dir: string, name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
}

async function listed(store: ObjectStore): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const object of store.list()) all.push(object);
  return all;
}

describe('the store', () => {
  it('keeps objects by digest and type, named as in a Bazel disk cache', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    expect(store.has(plain, 'file')).toBe(false);
    expect(await listed(store)).toEqual([]);
    const path = await store.put(file(dir, 't', 'plain'), plain, 'file');
    expect(path).toBe(join(dir, 'store/cas/ab', HEX));
    await store.put(file(dir, 't', 'chunked!'), tree, 'file');
    mkdirSync(join(dir, 'd'));
    file(join(dir, 'd'), 'f', '123');
    await store.put(join(dir, 'd'), tree, 'directory');
    expect(store.has(plain, 'file') && store.has(tree, 'file') && store.has(tree, 'directory')).toBe(true);
    file(join(dir, 'store/cas/ab'), 'notes', 'no object');
    const lastUse = expect.any(Number);
    expect(await listed(store)).toEqual([
      { digest: plain, type: 'file', path, size: 5, lastUse },
      { digest: tree, type: 'file', path: join(dir, 'store/tree/ab', HEX), size: 8, lastUse },
      { digest: tree, type: 'directory', path: join(dir, 'store/dir/ab', HEX), size: 3, lastUse },
    ]);
    expect(readdirSync(dir)).toEqual(['store']);
  });

  it('takes in by rename, and gives out by rename: never two copies', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const temp = file(dir, 't', 'x');
    const { ino } = statSync(temp);
    const path = await store.put(temp, plain, 'file');
    expect(statSync(path).ino).toBe(ino);
    await store.take(plain, 'file', join(dir, 'out'));
    expect(statSync(join(dir, 'out')).ino).toBe(ino);
    expect(store.has(plain, 'file')).toBe(false);
  });

  it('keeps the object it has, unless that one is cut short', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const path = await store.put(file(dir, 't', 'first'), plain, 'file');
    const { ino } = statSync(path);
    await store.put(file(dir, 't', 'first'), plain, 'file');
    expect(statSync(path).ino).toBe(ino);
    expect(existsSync(join(dir, 't'))).toBe(false);
    writeFileSync(path, 'fi');
    await store.put(file(dir, 't', 'first'), plain, 'file');
    expect(readFileSync(path, 'utf8')).toBe('first');
  });

  it('copies out without sharing an inode', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    await store.put(file(dir, 't', 'x'), plain, 'file');
    await store.copyOut(plain, 'file', join(dir, 'out'));
    writeFileSync(join(dir, 'out'), 'written to');
    expect(readFileSync(store.path(plain, 'file'), 'utf8')).toBe('x');
  });

  it('removes what is there, and does not mind what is not', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    mkdirSync(join(dir, 'd/sub'), { recursive: true });
    await store.put(join(dir, 'd'), tree, 'directory');
    await store.put(file(dir, 't', 'x'), plain, 'file');
    for (let i = 0; i < 2; i++) {
      await store.remove(tree, 'directory');
      await store.remove(plain, 'file');
    }
    expect(await listed(store)).toEqual([]);
    expect(readdirSync(join(dir, 'store/tmp'))).toEqual([]);
  });

  it('says so when an object that is wanted is not there, or what is put in is not', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    await expect(store.take(plain, 'file', join(dir, 'out'))).rejects.toMatchObject({ code: 'io' });
    await expect(store.copyOut(plain, 'file', join(dir, 'out'))).rejects.toMatchObject({ code: 'io' });
    await expect(store.put(join(dir, 'none'), plain, 'file')).rejects.toMatchObject({ code: 'io' });
  });

  it('knows when an object was last used, which changes nothing that tells its content', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const before = Date.now() - 1;
    const path = await store.put(file(dir, 't', 'x'), plain, 'file');
    mkdirSync(join(dir, 'd'));
    file(join(dir, 'd'), 'f', '123');
    const folder = await store.put(join(dir, 'd'), tree, 'directory');
    for (const { lastUse } of await listed(store)) expect(lastUse).toBeGreaterThanOrEqual(before);
    const { mtimeMs } = statSync(path);
    for (const at of [path, folder]) utimesSync(at, 1000, mtimeMs / 1000);
    // Listing reads directories.
    for (let i = 0; i < 2; i++)
      expect((await listed(store)).map(({ lastUse }) => lastUse)).toEqual([1_000_000, 1_000_000]);
    await store.withoutUse(plain, 'file', async () => utimesSync(path, 2000, mtimeMs / 1000));
    expect((await listed(store))[0]?.lastUse).toBe(1_000_000);
    await store.touch(tree, 'directory');
    await store.touch(`sha256:${'0'.repeat(64)}`, 'file');
    const [first, second] = (await listed(store)).map(({ lastUse }) => lastUse);
    expect(first).toBe(1_000_000);
    expect(second).toBeGreaterThanOrEqual(before);
  });

  it('keeps the mtime however often an object is used', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const temp = file(dir, 't', 'x');
    const { mtimeNs } = statSync(temp, { bigint: true });
    const path = await store.put(temp, plain, 'file');
    const first = statSync(path, { bigint: true }).mtimeNs;
    expect(Math.abs(Number(first - mtimeNs))).toBeLessThan(2000);
    for (let i = 0; i < 100; i++) await store.touch(plain, 'file');
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(first);
  });

  it('takes objects aside, and back: what was put there meanwhile stays', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const tmp = join(dir, 'store/tmp/mine');
    mkdirSync(tmp, { recursive: true });
    for (const [digest, type] of [
      [plain, 'file'],
      [tree, 'directory'],
    ] as const) {
      const make = (name: string) => {
        if (type === 'file') return file(dir, name, 'x');
        mkdirSync(join(dir, name));
        file(join(dir, name), 'f', 'x');
        return join(dir, name);
      };
      const path = await store.put(make('a'), digest, type);
      const { ino } = statSync(path);
      const aside = await store.takeAside(digest, type, tmp);
      if (aside === undefined) throw new Error('it is there');
      expect(store.has(digest, type)).toBe(false);
      expect(await store.takeAside(digest, type, tmp)).toBeUndefined();
      await store.putBack(aside);
      expect(statSync(path).ino).toBe(ino);

      await store.takeAside(digest, type, tmp);
      await store.put(make('b'), digest, type);
      await store.putAllBack(tmp);
      expect(store.has(digest, type)).toBe(true);
      const again = await store.takeAside(digest, type, tmp);
      if (again === undefined) throw new Error('it is there');
      await store.discard(again);
      await store.discard(again);
      expect(store.has(digest, type)).toBe(false);
      expect(readdirSync(tmp)).toEqual([]);
    }
    await expect(store.takeAside(plain, 'file', join(dir, 'none'))).rejects.toMatchObject({ code: 'io' });
  });

  it('leaves a directory as it is that another process put there first', async () => {
    const dir = tempDir();
    const store = new ObjectStore(join(dir, 'store'));
    const made = (name: string) => {
      mkdirSync(join(dir, name));
      file(join(dir, name), 'f', name);
      return join(dir, name);
    };
    const ends = await Promise.all(['a', 'b', 'c'].map((name) => store.put(made(name), tree, 'directory')));
    expect(new Set(ends).size).toBe(1);
    expect(readdirSync(dir)).toEqual(['store']);
    expect(readdirSync(join(dir, 'store/dir/ab'))).toEqual([HEX]);
  });

  it.skipIf(other === undefined)('may lie on another file system', async () => {
    const dir = tempDir();
    const root = tempDir(other);
    const store = new ObjectStore(root);
    mkdirSync(join(dir, 'd'));
    file(join(dir, 'd'), 'f', '123');
    await store.put(join(dir, 'd'), tree, 'directory');
    await store.put(file(dir, 't', 'x'), plain, 'file');
    expect(readdirSync(dir)).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    await store.take(tree, 'directory', join(dir, 'out-d'));
    await store.take(plain, 'file', join(dir, 'out-f'));
    expect(readFileSync(join(dir, 'out-d/f'), 'utf8')).toBe('123');
    expect(readFileSync(join(dir, 'out-f'), 'utf8')).toBe('x');
    expect(await listed(store)).toEqual([]);
  });
});
