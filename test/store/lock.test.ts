import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Holder, lifeOf, thisProcess } from '../../src/store/holder.js';
import { acquireLock } from '../../src/store/lock.js';
import { runScript } from './script.js';
import { tempDir } from './temp.js';

const options = { describe: 'res build raw-disk' };

/** Lets the test put the clock of this process on, by ms. */
function clock(): (ms: number) => void {
  const now = performance.now.bind(performance);
  let offset = 0;
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + offset);
  onTestFinished(() => spy.mockRestore());
  return (ms) => {
    offset += ms;
  };
}

/** Takes the lock, says so, and keeps it until it is killed. */
const KEEP = `
  import { acquireLock } from 'src/store/lock.js';
  await acquireLock(process.argv[2], { describe: 'res build forever' });
  console.log('held');
  setInterval(() => {}, 1000);`;

async function keeper(dir: string) {
  const running = runScript(KEEP, [dir]);
  const child = await running.process;
  if (child.stdout === null) throw new Error('no stdout');
  await once(child.stdout, 'data');
  return { child, done: running.done };
}

describe('the lock', () => {
  it('goes from one to the next', async () => {
    const dir = join(tempDir(), 'lock');
    for (let i = 0; i < 3; i++) {
      const lock = await acquireLock(dir, options);
      expect(lock.held()).toBe(true);
      await lock.release();
      expect(lock.held()).toBe(false);
      await lock.release();
    }
    expect(readdirSync(dir)).toEqual(['lock.3']);
  });

  it('held by another is waited for; the wait is told once, with who holds it', async () => {
    const dir = tempDir();
    const first = await acquireLock(dir, { describe: 'res build raw-disk' });
    const onWait = vi.fn();
    const second = acquireLock(dir, { describe: 'res clean', onWait });
    await vi.waitFor(() => expect(onWait).toHaveBeenCalled());
    expect(onWait.mock.calls).toEqual([
      [
        expect.stringMatching(
          new RegExp(`^res build raw-disk \\(pid ${process.pid} on ${hostname()}, since \\d\\d:\\d\\d\\)$`),
        ),
      ],
    ]);
    // Long enough for more looks.
    await expect(acquireLock(dir, { ...options, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('res build raw-disk (pid'),
    });
    await first.release();
    const lock = await second;
    expect(first.held()).toBe(false);
    expect(lock.held()).toBe(true);
    expect(onWait).toHaveBeenCalledTimes(1);
    await lock.release();
  });

  it('that is waited for can be given up', async () => {
    const dir = tempDir();
    const lock = await acquireLock(dir, options);
    const stop = new AbortController();
    const waiting = acquireLock(dir, { ...options, signal: stop.signal, onWait: () => stop.abort() });
    await expect(waiting).rejects.toMatchObject({ code: 'interrupted', exitStatus: 130 });
    await expect(acquireLock(dir, { ...options, signal: stop.signal })).rejects.toMatchObject({
      code: 'interrupted',
    });
    await lock.release();
  });

  it('of a killed process is taken at once', async () => {
    const dir = tempDir();
    const { child, done } = await keeper(dir);
    await expect(acquireLock(dir, { ...options, timeoutMs: 100 })).rejects.toMatchObject({
      message: expect.stringContaining(`res build forever (pid ${child.pid} `),
    });
    child.kill('SIGKILL');
    await done;
    const lock = await acquireLock(dir, { ...options, timeoutMs: 3000 });
    expect(lock.held()).toBe(true);
    await lock.release();
  });

  it('left by a process whose pid now belongs to another is taken', async () => {
    const dir = tempDir();
    const holder: Holder = { ...thisProcess('res build x', 'token'), start: '1' };
    writeFileSync(join(dir, 'lock.7'), JSON.stringify(holder));
    const lock = await acquireLock(dir, { ...options, timeoutMs: 1000 });
    expect(readdirSync(dir)).toEqual(['lock.8']);
    await lock.release();
  });

  it('left empty by a process that was killed while it made it is taken after a while', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'lock.1'), '{"host":"');
    await expect(acquireLock(dir, { ...options, timeoutMs: 300 })).rejects.toMatchObject({
      message: expect.stringContaining('just starting'),
    });
    const later = clock();
    const waiting = acquireLock(dir, options);
    await sleep(100);
    later(5_000);
    await (await waiting).release();
  });

  it('that another took over is no longer held, and is not freed by its old holder', async () => {
    const dir = tempDir();
    const lock = await acquireLock(dir, options);
    const other = thisProcess('res build y', 'other');
    writeFileSync(join(dir, 'lock.2'), JSON.stringify(other));
    rmSync(join(dir, 'lock.1'));
    expect(lock.held()).toBe(false);
    await lock.release();
    expect(readdirSync(dir)).toEqual(['lock.2']);
    expect(readFileSync(join(dir, 'lock.2'), 'utf8')).toBe(JSON.stringify(other));
  });

  it('says so when its folder cannot be', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'file'), '');
    await expect(acquireLock(join(dir, 'file'), options)).rejects.toMatchObject({
      code: expect.stringMatching(/io|output-blocked/),
    });
  });

  it('excludes: eight processes that count in one file never lose a count, though some are killed', async () => {
    const dir = tempDir();
    mkdirSync(join(dir, 'lock'));
    writeFileSync(join(dir, 'count'), '0');
    const script = `
      import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
      import { acquireLock } from 'src/store/lock.js';
      const [dir, name, turns] = process.argv.slice(2);
      const dies = name === 'die';
      for (let i = 0; i < Number(turns); i++) {
        const lock = await acquireLock(dir + '/lock', { describe: 'res count' });
        // Fails if another is inside.
        writeFileSync(dir + '/inside', '', { flag: 'wx' });
        const count = Number(readFileSync(dir + '/count', 'utf8'));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        writeFileSync(dir + '/count', String(count + 1));
        if (!lock.held()) throw new Error('lost the lock');
        rmSync(dir + '/inside');
        if (dies) process.kill(process.pid, 'SIGKILL');
        await lock.release();
      }`;
    const runs = Array.from(
      { length: 8 },
      (_, i) => runScript(script, [dir, i < 2 ? 'die' : 'live', '10']).done,
    );
    await Promise.all(runs);
    expect(readFileSync(join(dir, 'count'), 'utf8')).toBe(String(6 * 10 + 2));
    expect(readdirSync(join(dir, 'lock'))).toHaveLength(1);
  }, 60_000);
});

describe('whether a holder lives', () => {
  const me = thisProcess('res build', 'token');

  it('is certain on this machine', async () => {
    const dir = tempDir();
    expect(await lifeOf(me, dir)).toBe('alive');
    expect(await lifeOf({ ...me, start: '1' }, dir)).toBe('dead');
    expect(await lifeOf({ ...me, pid: 2 ** 22 + 1 }, dir)).toBe('dead');
  });

  it('cannot be told of another host or of another container', async () => {
    const dir = tempDir();
    expect(await lifeOf({ ...me, host: 'lab3', start: '1' }, dir)).toBe('unknown');
    if (me.pids !== '') expect(await lifeOf({ ...me, pids: 'pid:[1]', start: '1' }, dir)).toBe('unknown');
  });

  it('before a reboot is certain only where no other machine could see the folder', async () => {
    const before = { ...me, boot: '00000000-0000-0000-0000-000000000000' };
    if (statSync('/dev/shm', { throwIfNoEntry: false }))
      expect(await lifeOf(before, '/dev/shm')).toBe('dead');
    // Of no file system in the list of those that one kernel has for itself.
    if (statSync('/proc/self', { throwIfNoEntry: false }))
      expect(await lifeOf(before, '/proc')).toBe('unknown');
  });

  it('on another host is judged by its heartbeat, by our own clock, not by its times', async () => {
    const dir = tempDir();
    const path = join(dir, 'lock.1');
    writeFileSync(path, JSON.stringify({ ...me, host: 'lab3' }));
    utimesSync(path, 1, 1);
    const later = clock();
    const waiting = acquireLock(dir, options);
    for (let i = 0; i < 4; i++) {
      // More than the longest time between two looks.
      await sleep(1300);
      later(30_000);
      utimesSync(path, 1, 1000 + i);
    }
    expect(readdirSync(dir)).toEqual(['lock.1']);
    await sleep(1300);
    later(61_000);
    const lock = await waiting;
    expect(readdirSync(dir)).toEqual(['lock.2']);
    await lock.release();
  }, 20_000);
});
