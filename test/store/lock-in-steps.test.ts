// The lock of processes that are stopped between their steps; and on a file system without hard links, where there are more of them:
// a lock file first is there, and then has its content.
import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { thisProcess } from '../../src/store/holder.js';
import { acquireLock } from '../../src/store/lock.js';
import { tempDir } from './temp.js';

const options = { describe: 'res build raw-disk' };

const system = vi.hoisted(() => ({
  /** Called between the creation of a lock file and the writing of it. */
  beforeWrite: undefined as ((path: string) => Promise<void>) | undefined,
  /** Called once, before and after a lock file is linked. */
  beforeLink: undefined as ((path: string) => void) | undefined,
  afterLink: undefined as ((path: string) => void) | undefined,
  linkError: undefined as string | undefined,
}));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return {
    ...real,
    link: async (from: string, to: string) => {
      const { linkError: code, beforeLink, afterLink } = system;
      if (code !== undefined) throw Object.assign(new Error('no hard links'), { code, syscall: 'link' });
      system.beforeLink = undefined;
      system.afterLink = undefined;
      beforeLink?.(to);
      await real.link(from, to);
      afterLink?.(to);
    },
    open: async (...args: Parameters<typeof real.open>) => {
      const file = await real.open(...args);
      if (/\/lock\.\d+$/.test(String(args[0]))) await system.beforeWrite?.(String(args[0]));
      return file;
    },
  };
});

afterEach(() => {
  system.beforeWrite = undefined;
  system.linkError = undefined;
});

describe('who acts on what was true a while ago', () => {
  const live = JSON.stringify(thisProcess('res build y', 'live'));
  const corpse = JSON.stringify({ ...thisProcess('res build y', 'corpse'), start: '1' });

  it('gives way to the holder of a generation that he took for that of a dead one', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'lock.1'), corpse);
    system.beforeLink = () => writeFileSync(join(dir, 'lock.1'), live);
    await expect(acquireLock(dir, { ...options, timeoutMs: 100 })).rejects.toMatchObject({
      message: expect.stringContaining('is in use by res build y'),
    });
    expect(readdirSync(dir)).toEqual(['lock.1']);
    expect(readFileSync(join(dir, 'lock.1'), 'utf8')).toBe(live);
  });

  it('gives way to one who came after him', async () => {
    const dir = tempDir();
    system.afterLink = () => writeFileSync(join(dir, 'lock.7'), live);
    await expect(acquireLock(dir, { ...options, timeoutMs: 100 })).rejects.toMatchObject({ code: 'io' });
    expect(readdirSync(dir)).toEqual(['lock.7']);
  });

  it('never has a number below one that was used', async () => {
    const dir = tempDir();
    system.afterLink = () => writeFileSync(join(dir, 'lock.7'), corpse);
    const lock = await acquireLock(dir, options);
    expect(readdirSync(dir)).toEqual(['lock.8']);
    await lock.release();
  });

  it('does not hold what was carried away with its folder', async () => {
    const dir = tempDir();
    const gone: string[] = [];
    system.afterLink = (path) => {
      gone.push(path);
      rmSync(path);
    };
    const lock = await acquireLock(dir, options);
    expect(gone).toEqual([join(dir, 'lock.1')]);
    expect(lock.held()).toBe(true);
    await lock.release();
  });

  it('begins anew when the folder is gone', async () => {
    const dir = join(tempDir(), 'lock');
    system.beforeLink = () => rmSync(dir, { recursive: true });
    const lock = await acquireLock(dir, options);
    expect(lock.held()).toBe(true);
    await lock.release();
  });
});

it.each(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'])('goes from one to the next (%s)', async (code) => {
  system.linkError = code;
  const dir = tempDir();
  const first = await acquireLock(dir, options);
  await expect(acquireLock(dir, { ...options, timeoutMs: 100 })).rejects.toMatchObject({ code: 'io' });
  await first.release();
  const second = await acquireLock(dir, options);
  expect(second.held()).toBe(true);
  expect(readdirSync(dir)).toEqual(['lock.2']);
  await second.release();
});

it('is not held by two: who was stopped so long that he was taken for dead waits for his successor', async () => {
  system.linkError = 'EPERM';
  const dir = tempDir();
  const steps = new EventEmitter();
  system.beforeWrite = async () => {
    system.beforeWrite = undefined;
    steps.emit('stopped');
    await once(steps, 'go on');
  };
  let slowHas = false;
  const stopped = once(steps, 'stopped');
  const slow = acquireLock(dir, options).then((lock) => {
    slowHas = true;
    return lock;
  });
  await stopped;
  const now = performance.now.bind(performance);
  let later = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + later);
  try {
    const waiting = acquireLock(dir, options);
    await sleep(100);
    later = 5_000;
    const quick = await waiting;
    steps.emit('go on');
    await sleep(200);
    expect(quick.held()).toBe(true);
    expect(slowHas).toBe(false);
    await quick.release();
    const lock = await slow;
    expect(lock.held()).toBe(true);
    expect(quick.held()).toBe(false);
    await lock.release();
  } finally {
    clock.mockRestore();
  }
});

it('any other failure is told, and leaves nothing behind', async () => {
  system.linkError = 'EIO';
  const dir = tempDir();
  await expect(acquireLock(dir, options)).rejects.toMatchObject({ code: 'io' });
  expect(readdirSync(dir)).toEqual([]);
});
