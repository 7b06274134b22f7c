import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { thisProcess } from '../../src/store/holder.js';
import { lockWork, sweepWorkLocks } from '../../src/store/work-lock.js';
import { allDone, runScript } from './script.js';
import { tempDir } from './temp.js';

const options = { describe: 'res build raw-disk' };
const KEY = 'ab'.repeat(32);
const locks = (root: string) => readdirSync(join(root, 'locks'));

/** What a process that cannot be seen from here wrote. */
const far = JSON.stringify({ ...thisProcess('res build y', 'far'), host: 'lab3' });
/** What one wrote that is no more. */
const corpse = JSON.stringify({ ...thisProcess('res build y', 'corpse'), start: '1' });

describe('the lock of a piece of work', () => {
  it('is one for each key, and leaves nothing behind', async () => {
    const root = tempDir();
    const [first, second] = await Promise.all([
      lockWork(root, KEY, options),
      lockWork(root, 'other', options),
    ]);
    expect(first.held() && second.held()).toBe(true);
    expect(locks(root).sort()).toEqual([KEY, 'other']);
    await first.release();
    await second.release();
    expect(first.held()).toBe(false);
    expect(locks(root)).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it('is waited for: the wait is told, and can be given up', async () => {
    const root = tempDir();
    const first = await lockWork(root, KEY, options);
    const onWait = vi.fn();
    const second = lockWork(root, KEY, { ...options, onWait });
    await vi.waitFor(() => expect(onWait).toHaveBeenCalledTimes(1));
    const stop = new AbortController();
    const third = lockWork(root, KEY, { ...options, signal: stop.signal, onWait: () => stop.abort() });
    await expect(third).rejects.toMatchObject({ code: 'interrupted' });
    await first.release();
    const lock = await second;
    expect(lock.held()).toBe(true);
    await lock.release();
    expect(locks(root)).toEqual([]);
  });

  it('has generations that no earlier folder of it had', async () => {
    const root = tempDir();
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const lock = await lockWork(root, KEY, options);
      for (const name of readdirSync(join(root, 'locks', KEY))) seen.add(name);
      await lock.release();
    }
    expect(seen.size).toBe(3);
  });

  it('that another took over stays his, also while the old holder lets go', async () => {
    const root = tempDir();
    const lock = await lockWork(root, KEY, options);
    const folder = join(root, 'locks', KEY);
    const [mine = ''] = readdirSync(folder);
    const theirs = `lock.${Number(mine.slice('lock.'.length)) + 1}`;
    writeFileSync(join(folder, theirs), far);
    await lock.release();
    expect(readdirSync(folder)).toEqual([theirs]);
    expect(locks(root)).toEqual([KEY]);
  });

  it('is not had by who finds a live holder in a generation below: a slow one may have acted on what is past', async () => {
    const root = tempDir();
    const lock = await lockWork(root, KEY, options);
    const folder = join(root, 'locks', KEY);
    const [mine = ''] = readdirSync(folder);
    // As of a process that created it by an old look, and was killed before it looked again.
    writeFileSync(join(folder, `lock.${Number(mine.slice('lock.'.length)) + 5}`), corpse);
    await expect(lockWork(root, KEY, { ...options, timeoutMs: 200 })).rejects.toMatchObject({
      message: expect.stringContaining(`(pid ${process.pid} `),
    });
    expect(lock.held()).toBe(true);
    await lock.release();
    expect(locks(root)).toEqual([]);
  });

  it('excludes: eight processes that are stopped and continued at random are never inside together', async () => {
    const root = tempDir();
    writeFileSync(join(root, 'count'), '0');
    const script = `
      import { readFileSync, rmSync, writeFileSync } from 'node:fs';
      import { lockWork } from 'src/store/work-lock.js';
      const [root, name, turns] = process.argv.slice(2);
      for (let i = 0; i < Number(turns); i++) {
        const lock = await lockWork(root, 'key', { describe: 'res count' });
        // Fails if another is inside.
        writeFileSync(root + '/inside', '', { flag: 'wx' });
        const count = Number(readFileSync(root + '/count', 'utf8'));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        writeFileSync(root + '/count', String(count + 1));
        if (!lock.held()) throw new Error('lost the lock');
        rmSync(root + '/inside');
        if (name === 'die' && i > 0) process.kill(process.pid, 'SIGKILL');
        await lock.release();
      }`;
    const runs = Array.from({ length: 8 }, (_, i) => runScript(script, [root, i < 2 ? 'die' : 'live', '12']));
    const children = await Promise.all(runs.map((run) => run.process));
    let over = false;
    const all = allDone(runs).finally(() => {
      over = true;
    });
    // Awaited below; a failure must not go unhandled while processes are stopped.
    all.catch(() => undefined);
    for (let i = 0; !over; i++) {
      const child = children[(i * 5) % children.length];
      child?.kill('SIGSTOP');
      await sleep(Math.random() * 12);
      child?.kill('SIGCONT');
    }
    await all;
    expect(readFileSync(join(root, 'count'), 'utf8')).toBe(String(6 * 12 + 2 * 2));
    await sweepWorkLocks(root, Date.now());
    expect(locks(root)).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  }, 60_000);
});

describe('cleaning up', () => {
  function place(root: string, key: string, text: string, ageMs = 0): void {
    const folder = join(root, 'locks', key);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'lock.7'), text);
    const at = (Date.now() - ageMs) / 1000;
    utimesSync(join(folder, 'lock.7'), at, at);
  }

  it('removes locks of the dead, and of those not heard of for a day; not those of the living', async () => {
    const root = tempDir();
    await sweepWorkLocks(root, Date.now());
    place(root, 'dead', corpse);
    place(root, 'free', 'free');
    place(root, 'far', far, 23 * 3_600_000);
    place(root, 'lost', far, 25 * 3_600_000);
    mkdirSync(join(root, 'locks/.gone.1-2/x'), { recursive: true });
    const lock = await lockWork(root, 'live', options);
    await sweepWorkLocks(root, Date.now());
    expect(locks(root).sort()).toEqual(['far', 'live']);
    expect(lock.held()).toBe(true);
    await lock.release();
    rmSync(join(root, 'locks/far'), { recursive: true });
  });
});
