import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/model/digest.js';
import { moveOrCopy } from '../../src/store/files.js';
import { nameOfOwn, thisProcess } from '../../src/store/holder.js';
import { ObjectStore } from '../../src/store/objects.js';
import { joinStore, sweepStore } from '../../src/store/sharing.js';
import { lockWork } from '../../src/store/work-lock.js';
import { allDone, runScript } from './script.js';
import { otherFileSystem, tempDir } from './temp.js';

const A: Digest = `sha256:${'a'.repeat(64)}`;
const B: Digest = `tree:${'b'.repeat(64)}`;
const doing = 'res build raw-disk';
const HOUR = 3_600_000;
const other = otherFileSystem();

let root: string;
let store: ObjectStore;

beforeEach(() => {
  root = tempDir();
  store = new ObjectStore(root);
});

async function put(digest = A, text = 'content'): Promise<string> {
  const temp = join(root, 'made');
  writeFileSync(temp, text);
  return store.put(temp, digest, 'file');
}

async function putFolder(digest = B): Promise<string> {
  const temp = join(root, 'made');
  mkdirSync(temp);
  writeFileSync(join(temp, 'f'), 'content');
  return store.put(temp, digest, 'directory');
}

/** A member of which nothing is known but what stands in the store. */
function plant(token: string, holder: object, leases: string, silenceMs = 0): void {
  for (const folder of [`users/${token}`, `tmp/${token}`]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'users', token, 'leases'), leases);
  writeFileSync(join(root, 'users', token, 'holder'), JSON.stringify(holder));
  const at = (Date.now() - silenceMs) / 1000;
  utimesSync(join(root, 'users', token, 'holder'), at, at);
}

const far = { ...thisProcess('res build y', 'far'), host: 'lab3' };
const corpse = { ...thisProcess('res build y', 'corpse'), start: '1' };

describe('a member', () => {
  it('keeps from others what it leases, until it leaves', async () => {
    await put();
    const [one, two] = [await joinStore(root, { doing }), await joinStore(root, { doing })];
    one.lease([A]);
    expect(two.isLeasedByOthers(A)).toBe(true);
    expect(two.isLeasedByOthers(B)).toBe(false);
    expect(one.isLeasedByOthers(A)).toBe(false);
    expect(await two.takeAside(A, 'file')).toBeUndefined();
    expect(store.has(A, 'file')).toBe(true);
    one.lease([B]);
    expect(two.isLeasedByOthers(B)).toBe(true);
    await one.leave();
    expect(two.isLeasedByOthers(A)).toBe(false);
    const aside = await two.takeAside(A, 'file');
    expect(aside?.startsWith(`${two.tmp}/`)).toBe(true);
    expect(store.has(A, 'file')).toBe(false);
    await two.leave();
  });

  it('may take what it leases itself, and nothing that is not there', async () => {
    await put();
    const one = await joinStore(root, { doing });
    one.lease([A, B]);
    const aside = await one.takeAside(A, 'file');
    expect(readFileSync(aside ?? '', 'utf8')).toBe('content');
    expect(await one.takeAside(A, 'file')).toBeUndefined();
    expect(await one.takeAside(B, 'directory')).toBeUndefined();
    await one.leave();
  });

  it('leaves nothing behind, and puts back what it had taken and not used', async () => {
    await put();
    await putFolder();
    const one = await joinStore(root, { doing });
    await one.takeAside(A, 'file');
    await one.takeAside(B, 'directory');
    writeFileSync(join(one.tmp, 'temporary'), '');
    await one.leave();
    await one.leave();
    expect(store.has(A, 'file') && store.has(B, 'directory')).toBe(true);
    expect([...readdirSync(join(root, 'users')), ...readdirSync(join(root, 'tmp'))]).toEqual([]);
  });

  it('waits while another is about to take what it leases; not for one that is dead', async () => {
    const one = await joinStore(root, { doing });
    plant('corpse', corpse, `\n-${A}\n`);
    let began = performance.now();
    one.lease([A]);
    expect(performance.now() - began).toBeLessThan(1000);
    // Killed, so to speak, in the middle of a line: that it has given way cannot be read.
    plant('far', far, `\n-${B}\n\n+${B.slice(0, 30)}`);
    began = performance.now();
    one.lease([B]);
    expect(performance.now() - began).toBeGreaterThan(1000);
    plant('done', far, `\n-${A}\n\n+${A}\n`);
    const two = await joinStore(root, { doing });
    began = performance.now();
    two.lease([A]);
    expect(performance.now() - began).toBeLessThan(1000);
    await one.leave();
    await two.leave();
  });

  it('that cannot be seen from here counts while it gives signs of life', async () => {
    plant('silent', far, `\n${A}\n`, 11 * 60_000);
    plant('far', far, `\n${B}\n`, 9 * 60_000);
    plant('nameless', {}, `\n${B}\n`, 9 * 60_000);
    const one = await joinStore(root, { doing });
    expect(one.isLeasedByOthers(A)).toBe(false);
    expect(one.isLeasedByOthers(B)).toBe(true);
    await one.leave();
  });

  it('that was swept away notices before it counts on anything', async () => {
    const one = await joinStore(root, { doing });
    one.lease([A]);
    rmSync(join(root, 'users'), { recursive: true });
    const swept = { code: 'io', message: expect.stringContaining('took it for dead') };
    expect(() => one.lease([A])).toThrow(expect.objectContaining(swept));
    expect(() => one.lease([B])).toThrow(expect.objectContaining(swept));
    expect(() => one.isLeasedByOthers(A)).toThrow(expect.objectContaining(swept));
    await expect(one.takeAside(A, 'file')).rejects.toMatchObject(swept);
    await one.leave();
  });
});

/** Leases, takes, and stays until it is killed. */
const STAY = `
  import { joinStore } from 'src/store/sharing.js';
  import { lockWork } from 'src/store/work-lock.js';
  const [root, file, folder] = process.argv.slice(2);
  const member = await joinStore(root, { doing: 'res build forever' });
  member.lease([file, folder]);
  await member.takeAside(file, 'file');
  await member.takeAside(folder, 'directory');
  await lockWork(root, 'work', { describe: 'res build forever' });
  console.log(member.tmp);
  setInterval(() => {}, 1000);`;

async function stayer() {
  const running = runScript(STAY, [root, A, B]);
  const child = await running.process;
  if (child.stdout === null) throw new Error('no stdout');
  await once(child.stdout, 'data');
  return { child, done: running.done };
}

describe.skipIf(other === undefined)('a store on another file system', () => {
  it('takes in what was made elsewhere by way of the member, and gives out the same way', async () => {
    const elsewhere = tempDir(other);
    const far = new ObjectStore(elsewhere);
    const one = await joinStore(elsewhere, { doing });
    writeFileSync(join(root, 'file'), 'content');
    mkdirSync(join(root, 'folder'));
    writeFileSync(join(root, 'folder/f'), 'content');
    one.lease([A, B]);
    await far.put(join(root, 'file'), A, 'file', one.tmp);
    await far.put(join(root, 'folder'), B, 'directory', one.tmp);
    expect([...readdirSync(root), ...readdirSync(one.tmp)]).toEqual([]);
    for (const [digest, type] of [
      [A, 'file'],
      [B, 'directory'],
    ] as const) {
      const aside = await one.takeAside(digest, type);
      await moveOrCopy(aside ?? '', join(root, 'out'));
      expect(readFileSync(join(root, type === 'file' ? 'out' : 'out/f'), 'utf8')).toBe('content');
      expect(far.has(digest, type)).toBe(false);
      rmSync(join(root, 'out'), { recursive: true });
    }
    await one.leave();
    expect([...readdirSync(join(elsewhere, 'users')), ...readdirSync(join(elsewhere, 'tmp'))]).toEqual([]);
  });
});

describe('cleaning up', () => {
  it('leaves a living member alone, and removes a killed one; what it had taken is in the store again', async () => {
    await put();
    await putFolder();
    const { child, done } = await stayer();
    const one = await joinStore(root, { doing });
    await sweepStore(root);
    expect(one.isLeasedByOthers(A)).toBe(true);
    expect(store.has(A, 'file')).toBe(false);
    child.kill('SIGKILL');
    await done;
    expect(one.isLeasedByOthers(A)).toBe(false);
    await Promise.all(Array.from({ length: 5 }, () => sweepStore(root)));
    expect(readFileSync(store.path(A, 'file'), 'utf8')).toBe('content');
    expect(readFileSync(join(store.path(B, 'directory'), 'f'), 'utf8')).toBe('content');
    expect(readdirSync(join(root, 'locks'))).toEqual([]);
    await one.leave();
    expect([...readdirSync(join(root, 'users')), ...readdirSync(join(root, 'tmp'))]).toEqual([]);
  }, 20_000);

  it('removes what nobody owns when it is older than a day, at work or not', async () => {
    await sweepStore(root);
    const age = (path: string, ms: number) => {
      const at = (Date.now() - ms) / 1000;
      utimesSync(path, at, at);
    };
    for (const [name, hours] of [
      ['old', 25],
      ['young', 23],
    ] as const) {
      writeFileSync(join(root, 'tmp', `${name}-file`), '');
      mkdirSync(join(root, 'tmp', name));
      writeFileSync(join(root, 'tmp', name, 'f'), '');
      mkdirSync(join(root, `.tmp.${name}`));
      for (const path of [`tmp/${name}/f`, `tmp/${name}`, `tmp/${name}-file`, `.tmp.${name}`])
        age(join(root, path), hours * HOUR);
    }
    // Written to not long ago.
    mkdirSync(join(root, 'tmp/used'));
    writeFileSync(join(root, 'tmp/used/f'), '');
    age(join(root, 'tmp/used'), 25 * HOUR);
    // Of one that was killed while it joined, and of one that is just joining.
    const live = nameOfOwn();
    const dead = live.replace(/^\d+/, String(2 ** 22 + 1));
    for (const name of [live, dead]) mkdirSync(join(root, 'tmp', name));
    const lock = await lockWork(root, 'work', { describe: doing });
    await sweepStore(root);
    expect(readdirSync(join(root, 'tmp')).sort()).toEqual([live, 'used', 'young', 'young-file'].sort());
    expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual(['.tmp.young']);
    expect(lock.held()).toBe(true);
    await lock.release();
  });

  it('removes what a member left that has not been heard of for ten minutes', async () => {
    plant('silent', far, '', 11 * 60_000);
    plant('far', far, '', 9 * 60_000);
    writeFileSync(join(root, 'tmp/silent/f'), '');
    await sweepStore(root);
    expect(readdirSync(join(root, 'users'))).toEqual(['far']);
    expect(readdirSync(join(root, 'tmp'))).toEqual(['far']);
  });
});

describe('many processes in one store', () => {
  /** Joins, leases, reads, takes, changes what it took, puts, and leaves, at random, for so many ms. */
  const RANDOM = `
    import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
    import { ObjectStore } from 'src/store/objects.js';
    import { joinStore, sweepStore } from 'src/store/sharing.js';
    const [root, ms] = process.argv.slice(2);
    const store = new ObjectStore(root);
    const objects = [...'01234567'].map((c, i) => ({
      digest: (i % 4 === 3 ? 'tree:' : 'sha256:') + c.repeat(64),
      type: i % 4 === 3 ? 'directory' : 'file',
      text: c.repeat(20_000),
    }));
    const chance = (p) => Math.random() < p;
    const pause = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
    const inside = (path, type) => (type === 'directory' ? path + '/f' : path);
    const counts = { reads: 0, takes: 0, puts: 0, absent: 0, refused: 0 };
    let made = 0;
    console.log('started');
    const until = Date.now() + Number(ms);
    while (Date.now() < until) {
      const member = await joinStore(root, { doing: 'res at random' });
      const mine = objects.filter(() => chance(0.3));
      member.lease(mine.map(({ digest }) => digest));
      for (const { digest, type, text } of mine) {
        const path = store.path(digest, type);
        if (store.has(digest, type)) {
          for (let i = 0; i < 3; i++) {
            if (readFileSync(inside(path, type), 'utf8') !== text) throw new Error('changed: ' + path);
            counts.reads++;
            if (i < 2) await pause();
          }
        } else {
          counts.absent++;
          const temp = member.tmp + '/made' + made++;
          if (type === 'directory') mkdirSync(temp);
          writeFileSync(inside(temp, type), text);
          await store.put(temp, digest, type, member.tmp);
          if (readFileSync(inside(path, type), 'utf8') !== text) throw new Error('changed: ' + path);
          counts.puts++;
        }
      }
      for (const { digest, type, text } of objects) {
        if (!chance(0.3)) continue;
        const had = store.has(digest, type);
        const aside = await member.takeAside(digest, type);
        if (aside === undefined) {
          if (had) counts.refused++;
          continue;
        }
        counts.takes++;
        if (readFileSync(inside(aside, type), 'utf8') !== text) throw new Error('taken, but changed: ' + aside);
        if (chance(0.3)) continue;
        // It becomes an output, is written to, and goes.
        const out = root + '/out.' + process.pid;
        renameSync(aside, out);
        const fd = openSync(inside(out, type), 'r+');
        writeSync(fd, 'X'.repeat(100), 0);
        closeSync(fd);
        rmSync(out, { recursive: true });
      }
      if (chance(0.1)) await sweepStore(root);
      await member.leave();
    }
    console.log(JSON.stringify(counts));`;

  it('never take from each other what is read, nor change it', async () => {
    const runs = Array.from({ length: 6 }, () => runScript(RANDOM, [root, '3000']));
    // One that is stopped now and then acts on what it saw before.
    const child = await runs[0]?.process;
    let over = false;
    const all = allDone(runs).finally(() => {
      over = true;
    });
    all.catch(() => undefined);
    while (!over) {
      await sleep(20);
      child?.kill('SIGSTOP');
      await sleep(Math.random() * 20);
      child?.kill('SIGCONT');
    }
    const counts: Record<string, number>[] = (await all).map((text) =>
      JSON.parse(text.replace('started', '')),
    );
    for (const what of ['reads', 'takes', 'puts', 'absent', 'refused'])
      expect(
        counts.reduce((sum, count) => sum + (count[what] ?? 0), 0),
        what,
      ).toBeGreaterThan(10);
    expect(readdirSync(join(root, 'users'))).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  }, 60_000);

  it('that are killed leave nothing that the next one does not clean up, and no object that is not whole', async () => {
    for (let round = 0; round < 3; round++) {
      const runs = Array.from({ length: 3 }, () => runScript(RANDOM, [root, '60000']));
      const children = await Promise.all(runs.map((run) => run.process));
      await Promise.all(children.map(({ stdout }) => stdout && once(stdout, 'data')));
      await sleep(100 + Math.random() * 300);
      for (const child of children) child.kill('SIGKILL');
      await allDone(runs);
      await sweepStore(root);
      expect(readdirSync(join(root, 'users'))).toEqual([]);
      expect(readdirSync(join(root, 'tmp'))).toEqual([]);
      for await (const { digest, type, path } of store.list()) {
        const text = readFileSync(type === 'directory' ? join(path, 'f') : path, 'utf8');
        expect(text, digest).toBe(digest.at(-1)?.repeat(20_000));
      }
    }
  }, 60_000);
});
