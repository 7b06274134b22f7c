// A store that a group shares: two users with other primary groups and tight umasks, as on a lab machine.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { groupOf, makeStoreFolder, openToGroup } from '../../src/store/group.js';
import { runScript } from './script.js';
import { tempDir } from './temp.js';

const isRoot = process.getuid?.() === 0;
const canBecomeOthers = isRoot && spawnSync('setpriv', ['--version']).status === 0;

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}

/** Every entry below a folder, files and folders. */
function below(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
}

describe('a store whose folder lets its group write', () => {
  it('is made by many at once', async () => {
    for (let round = 0; round < 100; round++) {
      const root = join(tempDir(), 'shared');
      mkdirSync(root);
      chmodSync(root, 0o770);
      await Promise.all([1, 2, 3, 4].map(() => makeStoreFolder(root, join(root, 'cas/ab'))));
      expect(readdirSync(join(root, 'cas'))).toEqual(['ab']);
      expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    }
  });

  it('is open to it in all that is made in it; another is not', async () => {
    const [shared, own] = [join(tempDir(), 'shared'), join(tempDir(), 'own')];
    mkdirSync(shared);
    chmodSync(shared, 0o770);
    mkdirSync(own);
    chmodSync(own, 0o755);
    expect(groupOf(shared)).toEqual({ gid: statSync(shared).gid });
    expect(groupOf(own)).toBeUndefined();
    expect(groupOf(join(own, 'none'))).toBeUndefined();
    const umask = process.umask(0o077);
    try {
      for (const root of [shared, own]) {
        await Promise.all(
          [1, 2, 3].map(() => makeStoreFolder(root, join(root, 'cas/ab'), { durable: true })),
        );
        expect(readdirSync(join(root, 'cas'))).toEqual(['ab']);
      }
      for (const folder of ['tmp', 'cas', 'cas/ab'])
        expect(modeOf(join(shared, folder)) & 0o2770).toBe(0o2770);
      expect(readdirSync(join(shared, 'tmp'))).toEqual([]);
      expect(modeOf(join(own, 'cas/ab'))).toBe(0o700);

      mkdirSync(join(own, 'd/bin'), { recursive: true });
      writeFileSync(join(own, 'd/bin/program'), '', { mode: 0o700 });
      writeFileSync(join(own, 'd/text'), '', { mode: 0o600 });
      await openToGroup(groupOf(shared), join(own, 'd'));
      expect(modeOf(join(own, 'd/bin/program'))).toBe(0o750);
      expect(modeOf(join(own, 'd/text'))).toBe(0o640);
      expect(modeOf(join(own, 'd/bin'))).toBe(0o2770);
    } finally {
      process.umask(umask);
    }
  });
});

describe.skipIf(!canBecomeOthers)('two users of one group', () => {
  const GROUP = 60_321;
  const as = (uid: number) => [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    `--groups=${GROUP}`,
    '--no-new-privs',
  ];
  const [ANN, BOB] = [60_001, 60_002];
  /** Of anybody: what a user has made there is his own. */
  let home: string;
  let root: string;

  beforeEach(() => {
    home = tempDir();
    chmodSync(home, 0o1777);
    root = join(home, 'store');
    mkdirSync(root);
    chownSync(root, 0, GROUP);
    chmodSync(root, 0o2770);
  });

  const COMMON = `
    import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
    import { ActionCache } from 'src/store/action-cache.js';
    import { ObjectStore } from 'src/store/objects.js';
    import { register, registrations } from 'src/store/registry.js';
    import { joinStore, sweepStore } from 'src/store/sharing.js';
    import { lockWork } from 'src/store/work-lock.js';
    process.umask(0o077);
    const [home, root, name] = process.argv.slice(2);
    const store = new ObjectStore(root);
    const FILE = 'sha256:' + 'a'.repeat(64), FOLDER = 'tree:' + 'b'.repeat(64), KEY = 'c'.repeat(64);
    const trace = { content: [{ name: 'a', type: 'file', digest: FILE, size: 7 }], durationMs: 1, at: 1 };
    await sweepStore(root);
    const member = await joinStore(root, { doing: name });
    member.lease([FILE, FOLDER]);
    const made = mkdtempSync(home + '/' + name);
    writeFileSync(made + '/file', 'content');
    mkdirSync(made + '/folder/sub', { recursive: true });
    writeFileSync(made + '/folder/sub/program', 'content', { mode: 0o700 });
    const use = async () => {
      if (readFileSync(store.path(FILE, 'file'), 'utf8') !== 'content') throw new Error('file');
      if (readFileSync(store.path(FOLDER, 'directory') + '/sub/program', 'utf8') !== 'content') throw new Error('folder');
      await store.touch(FILE, 'file');
      const lock = await lockWork(root, KEY, { describe: name });
      await lock.release();
      if (new ActionCache(root).get(KEY) === undefined) throw new Error('no trace');
    };`;
  const run = (uid: number, script: string) =>
    runScript(COMMON + script, [home, root, `u${uid}`], as(uid)).done;

  it('use what the other made, and cannot take it; gc of either may remove it', async () => {
    await run(
      ANN,
      `
      await store.put(made + '/file', FILE, 'file', member.tmp);
      await store.put(made + '/folder', FOLDER, 'directory', member.tmp);
      await new ActionCache(root).put(KEY, trace);
      await register(root, { workspace: '/work', digests: [FILE], kept: [] });
      await use();
      if (!store.mayMove(FILE, 'file')) throw new Error('it is her own');
      await member.leave();`,
    );
    expect(statSync(join(root, 'cas/aa', 'a'.repeat(64))).uid).toBe(ANN);
    await run(
      BOB,
      `
      await use();
      if (store.mayMove(FILE, 'file') || store.mayMove(FOLDER, 'directory')) throw new Error('not his');
      await store.put(made + '/file', FILE, 'file', member.tmp);
      await new ActionCache(root).put(KEY, { ...trace, content: [] });
      await register(root, { workspace: '/work', digests: [FILE, FOLDER], kept: [] });
      const [{ digests }] = await registrations(root);
      if (digests.length !== 2) throw new Error('not registered');
      await register(root, { workspace: '/work', digests: [FILE, FOLDER], kept: [] });
      await use();
      for (const [digest, type] of [[FILE, 'file'], [FOLDER, 'directory']]) {
        const aside = await member.takeAside(digest, type);
        await store.putBack(aside);
        await store.discard(await member.takeAside(digest, type));
        if (store.has(digest, type)) throw new Error('still there');
        if (type === 'file') await store.put(made + '/folder/sub/program', digest, type, member.tmp);
      }
      await member.leave();`,
    );
    await run(ANN, 'readFileSync(store.path(FILE, "file")); await member.leave();');
    for (const path of below(root)) {
      const stats = lstatSync(path);
      expect(stats.gid, path).toBe(GROUP);
      const wanted = stats.isDirectory() ? 0o2070 : 0o040;
      expect(stats.mode & wanted, path).toBe(wanted);
    }
  }, 30_000);

  it('wait for each other, and clean up after each other', async () => {
    const script = `
      const lock = await lockWork(root, KEY, { describe: name });
      await store.put(made + '/file', FILE, 'file', member.tmp);
      await member.takeAside(FILE, 'file');
      process.kill(process.pid, 'SIGKILL');`;
    await run(ANN, script);
    await run(
      BOB,
      `
      if (!store.has(FILE, 'file')) throw new Error('not put back');
      if (member.isLeasedByOthers(FILE)) throw new Error('leased by nobody');
      const lock = await lockWork(root, KEY, { describe: name, timeoutMs: 5000 });
      await lock.release();
      await member.leave();`,
    );
    for (const folder of ['users', 'tmp', 'locks'])
      expect(readdirSync(join(root, folder)), folder).toEqual([]);
  }, 30_000);
});
