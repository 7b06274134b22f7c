import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Trace } from '../../src/model/action.js';
import { ActionCache } from '../../src/store/action-cache.js';
import { tempDir } from './temp.js';

const KEY = 'ab'.repeat(32);
const OTHER = 'ac'.repeat(32);
const trace: Trace = {
  content: [
    { name: 'disk.raw', type: 'file', digest: `tree:${'1'.repeat(64)}`, size: 5, executable: false },
    { name: 'boot', type: 'directory', digest: `tree:${'2'.repeat(64)}`, size: 7 },
  ],
  durationMs: 1200,
  at: 1_700_000_000_000,
  diskBytes: 4096,
};

describe('what came of actions in other workspaces', () => {
  it('is found by key, whole, and leaves no temporary', async () => {
    const root = join(tempDir(), 'store');
    const cache = new ActionCache(root);
    expect(cache.get(KEY)).toBeUndefined();
    await cache.put(KEY, trace);
    expect(new ActionCache(root).get(KEY)).toEqual(trace);
    expect(cache.get(OTHER)).toBeUndefined();
    expect(readdirSync(join(root, 'ac/ab'))).toEqual([KEY]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    const later = { ...trace, content: trace.content.slice(1) };
    await cache.put(KEY, later);
    expect(cache.get(KEY)).toEqual(later);
  });

  it('is not written again when it is the same', async () => {
    const root = tempDir();
    const cache = new ActionCache(root, join(root, 'mine'));
    await cache.put(KEY, trace);
    const { ino } = statSync(join(root, 'ac/ab', KEY));
    await cache.put(KEY, { ...trace, at: trace.at + 1 });
    expect(statSync(join(root, 'ac/ab', KEY)).ino).toBe(ino);
    expect(readdirSync(join(root, 'mine'))).toEqual([]);
  });

  it('is nothing that a person accepted in one of them', async () => {
    const cache = new ActionCache(tempDir());
    await cache.put(KEY, { ...trace, asIs: true });
    expect(cache.get(KEY)).toBeUndefined();
  });

  it('is as good as absent at every byte that is damaged or missing, and is then written anew', async () => {
    const cache = new ActionCache(join(tempDir(), 'store'));
    const root = tempDir();
    const good = new ActionCache(root);
    await good.put(KEY, trace);
    const path = join(root, 'ac/ab', KEY);
    const bytes = readFileSync(path);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Buffer.from(bytes);
      damaged[i] = (damaged[i] ?? 0) ^ (1 << (i % 8));
      writeFileSync(path, damaged);
      expect(good.get(KEY), `byte ${i}`).toBeUndefined();
      writeFileSync(path, bytes.subarray(0, i));
      expect(good.get(KEY), `cut at ${i}`).toBeUndefined();
    }
    await good.put(KEY, trace);
    expect(good.get(KEY)).toEqual(trace);
    mkdirSync(join(dirname(dirname(path)), 'ac'));
    copyFileSync(path, join(root, 'ac/ac', OTHER));
    expect(good.get(OTHER)).toBeUndefined();
    expect(cache.get(KEY)).toBeUndefined();
  });
});
