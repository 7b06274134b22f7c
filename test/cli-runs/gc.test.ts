// `res gc` as a user runs it: what it costs (nothing of what is in use), beside builds, interrupted, and killed at any step.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RIG } from '../rig/places.js';
import { randomNumbers } from '../rig/random.js';
import { validator } from '../rig/schemas.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';
import {
  assetsOf,
  dataOf,
  type Environment,
  expectDone,
  expectFailed,
  filesBelow,
  inFolder,
  MANIFEST,
  openSite,
  REPO,
  type Site,
} from './site.js';

const isLong = process.env.RES_TEST_LONG === '1';
const V2 = assetsOf('v2');

/** A site with two versions, of which the second is the present one and the first in the store. */
async function openTwo(env: Environment = {}): Promise<Site> {
  const site = await openSite({ env });
  await site.server.release(REPO, 'v2', V2);
  expectDone(await site.res('build'));
  expectDone(await site.res('build --version v2'));
  site.server.reset();
  return site;
}

/** Names, times and sizes of all files and folders. */
function tree(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const { mode, size, mtimeMs, ino } = statSync(join(folder, name));
      return `${name} ${mode} ${size} ${mtimeMs} ${ino}`;
    })
    .sort();
}

function objectsIn(store: string): readonly string[] {
  return filesBelow(store).filter((path) => /\/(?:cas|tree|dir)\//.test(path));
}

async function reportOf(site: Pick<Site, 'res'>, args: string): Promise<Record<string, unknown>> {
  const run = await site.res(`${args} --json`);
  expectDone(run);
  const report: unknown = JSON.parse(run.stdout);
  expect(validator('gc')(report)).toEqual([]);
  return Object(report);
}

describe('gc', () => {
  it('frees what another version needed, and costs the present one nothing', async () => {
    const site = await openTwo();
    const run = await site.res('gc --version v2');
    expectDone(run);
    expect(run.stdout).toMatch(
      /^REMOVED +NUMBER +SIZE\nobjects in the store +5 +7\.6 MiB\n7\.6 MiB freed; 4 objects left, 3\.8 MiB\n$/,
    );
    expect(objectsIn(site.work.path('.res/store'))).toHaveLength(4);
    expect((await site.res('build --version v2 --offline')).stdout).toBe('up to date\n');
    expectDone(await site.res('verify --version v2'));
    site.work.write('resources/data.bin', 'gone');
    expectDone(await site.res('build --version v2 --offline --overwrite'));
    expect(site.work.read('resources/data.bin').equals(dataOf(V2))).toBe(true);
    expect(site.server.requests()).toEqual([]);
    // The other one is fetched again, as if it never had been here.
    expectDone(await site.res('build'));
    expect(site.server.bytesSent()).toBe(4_000_000);
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    expect((await site.res('gc')).stdout).toContain('freed');
    expect((await site.res('gc')).stdout).toMatch(/^nothing to remove; 4 objects left, 3\.8 MiB\n$/);
  });

  it('keeps what was used lately, when that is asked for: switching back fetches nothing', async () => {
    const site = await openTwo();
    expect((await site.res('gc --version v2 --keep-days 30')).stdout).toContain(
      'nothing to remove; 9 objects',
    );
    expectDone(await site.res('build --offline'));
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    expect(site.server.requests()).toEqual([]);
  });

  it('-n touches nothing, and names what would go with -v', async () => {
    const site = await openTwo();
    const before = tree(site.work.dir);
    const run = await site.res('gc -n -v --version v2');
    expectDone(run);
    expect(run.stdout).toMatch(/^would remove \.res\/store\/cas\/\S+ \(data\.bin\.aa, 980 KiB\)$/m);
    expect(run.stdout).toMatch(/^WOULD GO +NUMBER +SIZE\n(.*\n)+7\.6 MiB would be freed; 4 objects left/m);
    const told = await reportOf(site, 'gc -n --version v2');
    expect(tree(site.work.dir)).toEqual(before);
    expect(await reportOf(site, 'gc --version v2')).toEqual({ ...told, dry_run: false });
    expect((await site.res('gc -q --version v2')).stdout).toBe('');
  });

  it('makes the store as small as is asked for', async () => {
    const site = await openTwo();
    expect(await reportOf(site, 'gc --version v2 --max-size 6M')).toMatchObject({ max_size: 6 * 1024 ** 2 });
    const bytes = objectsIn(site.work.path('.res/store')).reduce(
      (sum, path) => sum + statSync(path).blocks * 512,
      0,
    );
    expect(bytes).toBeLessThanOrEqual(6 * 1024 ** 2);
    expect(bytes).toBeGreaterThan(3 * 1024 ** 2);
    expect((await site.res('build --version v2 --offline')).stdout).toBe('up to date\n');
  });

  it.each([
    ['gc --keep-days soon', /--keep-days.*whole number of days/],
    ['gc --keep-days -1', /--keep-days/],
    ['gc --max-size 5apples', /--max-size.*500M, 2G, 1\.5T/],
    ['gc data', /too many arguments/],
  ])('refuses %s', async (args, words) => {
    const work = makeWorkspace('res: 1\nartifacts:\n  kernel: { path: k }\n');
    expectFailed(await inFolder(work, {}).res(args), [words], 2);
  });
});

describe('the user configuration', () => {
  function configured(text: string): { readonly home: Workspace; readonly env: Environment } {
    const home = makeWorkspace({ '.config/res/config.yaml': text });
    return { home, env: { HOME: home.dir } };
  }

  it('says what gc keeps; its flags say otherwise', async () => {
    const { env } = configured('gc: { keep-days: 30 }\n');
    const site = await openTwo(env);
    expect((await site.res('gc --version v2')).stdout).toContain('nothing to remove');
    const text = (await site.res('gc --version v2 --keep-days 0')).stdout;
    expect(text).toContain('7.6 MiB freed');
  });

  it('moves the store of every workspace, and doctor says so', async () => {
    const { home, env } = configured('store: ~/store\n');
    const site = await openSite({ env });
    expectDone(await site.res('build'));
    expect(site.work.exists('.res/store')).toBe(false);
    expect(objectsIn(home.path('store'))).toHaveLength(4);
    const check = async (more: Environment = {}) => {
      const { stdout } = await site.res('doctor --offline --json', more);
      const { checks }: { checks: readonly { name: string }[] } = JSON.parse(stdout);
      return checks.find(({ name }) => name === 'store');
    };
    const config = home.path('.config/res/config.yaml');
    expect(await check()).toMatchObject({ state: 'ok', detail: expect.stringContaining('/store (') });
    expect(await check()).toMatchObject({ detail: expect.stringContaining(`${config.split('/').at(-1)})`) });
    expect(await check({ RES_STORE: '/nowhere' })).toMatchObject({ detail: '/nowhere (RES_STORE)' });
    expect(await check({ HOME: site.work.dir })).toMatchObject({ detail: '.res/store (the default)' });
  });

  it('with a mistake is an error with its place, for every command; for doctor a finding', async () => {
    const { home, env } = configured('stor: /srv/res\n');
    const site = inFolder(makeWorkspace({ 'resources.yaml': MANIFEST }), env);
    for (const args of ['build --offline', 'status', 'gc', 'clean']) {
      const run = await site.res(args);
      expectFailed(
        run,
        [
          /config\.yaml:1:1: error: unknown key `stor`\n {2}stor: \/srv\/res\n {2}\^~~~\n {2}hint: did you mean `store`\?/,
        ],
        2,
      );
    }
    const doctor = await site.res('doctor --offline');
    expect(doctor.status).toBe(1);
    expect(doctor.stdout).toMatch(/^fail +store +\S+config\.yaml:1: unknown key `stor`/m);
    expect(doctor.stdout).not.toMatch(/^fail +lock/m);
    expect(home.exists('.res')).toBe(false);
  });

  it('lets `clean --all` leave a shared store, and say what to do', async () => {
    const { home, env } = configured('store: ~/store\n');
    const site = await openSite({ env });
    expectDone(await site.res('build'));
    const objects = objectsIn(home.path('store'));
    const run = await site.res('clean --all');
    expectDone(run);
    expect(run.stdout).toMatch(/^kept the store .*store: others may use it\n {2}hint: `res gc` removes/m);
    expect(objectsIn(home.path('store'))).toEqual(objects);
    expect(JSON.parse((await site.res('clean --all --json')).stdout)).toMatchObject({
      shared_store: home.path('store'),
    });
  });
});

describe('beside a build', () => {
  /** Two workspaces with one store; the second one has nothing yet. */
  async function openPair() {
    const store = makeWorkspace().path('store');
    const site = await openTwo({ RES_STORE: store });
    const work = makeWorkspace(MANIFEST);
    return { site, store, work, other: inFolder(work, site.env) };
  }

  it('in another workspace takes nothing of what that needs, and does not wait', async () => {
    const { site, store, work, other } = await openPair();
    // Of the first version three of the four parts are in the store: the build will count on them.
    for (const sum of [site.part().sha256, createHash('sha256').update(site.data).digest('hex')])
      rmSync(objectsIn(store).find((path) => path.endsWith(sum)) ?? '');
    site.server.fault(site.part(), { stall: { after: 300_000 } });
    const build = other.start('build', { RES_STALL_TIMEOUT: '3' });
    await site.server.until(({ state, path }) => state === 'stalled' && path === site.part().contentPath);
    const report = await reportOf(site, 'gc --version v2 --max-size 0');
    // The three other parts are in use, and what nobody builds from goes.
    expect(report).toMatchObject({ left: { objects: 3 } });
    expect(report.spared).toHaveLength(3);
    expectDone(await build.result);
    expect(work.read('resources/data.bin').equals(site.data)).toBe(true);
    expectDone(await other.res('verify'));
    expect((await other.res('build --offline')).stdout).toBe('up to date\n');
    for (const folder of ['tmp', 'users', 'locks']) expect(filesBelow(join(store, folder))).toEqual([]);
  });

  it('in its own workspace waits for it, says so, and then takes nothing that it made', async () => {
    const site = await openSite();
    site.server.fault(site.part(), { stall: { after: 300_000 } });
    const build = site.start('build', { RES_STALL_TIMEOUT: '3' });
    await site.server.until(({ state }) => state === 'stalled');
    const gc = site.start('gc');
    await gc.printed(/^waiting for res build data \(pid \d+ on \S+, since \d\d:\d\d\)$/m);
    expectDone(await build.result);
    const run = await gc.result;
    expectDone(run);
    expect(run.stdout).toContain('nothing to remove; 4 objects left');
    expect((await site.res('build --offline')).stdout).toBe('up to date\n');
  });

  it('ends at once when it is interrupted while it waits, as clean does', async () => {
    const site = await openSite();
    site.server.fault(site.part(), { stall: { after: 300_000 } });
    const build = site.start('build', { RES_STALL_TIMEOUT: '30' });
    await site.server.until(({ state }) => state === 'stalled');
    for (const args of ['gc', 'clean --all']) {
      const run = site.start(args);
      await run.printed(/^waiting for res build data/m);
      run.signal('SIGINT');
      expect((await run.result).status, args).toBe(130);
    }
    build.signal('SIGINT');
    expect((await build.result).status).toBe(130);
    // What has arrived of it was left alone, and can be gone on with.
    site.server.reset();
    expectDone(await site.res('gc'));
    expectDone(await site.res('build'));
    expect(site.server.bytesSent()).toBeLessThanOrEqual(4_000_000 - 200_000);
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
  });
});

describe('killed', () => {
  /** What gc finds: an object of each sort, a partial download, sums, a temporary, a log. */
  function litter(store: string, work: Workspace, seed: string): void {
    const bytes = Buffer.from(`litter ${seed}`);
    const hex = createHash('sha256').update(bytes).digest('hex');
    const old = new Date(2000, 1, 1);
    const put = (path: string) => {
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, bytes);
      utimesSync(path, old, old);
    };
    put(join(store, 'cas', hex.slice(0, 2), hex));
    put(join(store, 'tree', hex.slice(0, 2), hex));
    const folder = join(store, 'dir', hex.slice(0, 2), hex);
    for (const name of ['a', 'b/c']) put(join(folder, name));
    put(join(store, 'chunks', hex.slice(0, 2), hex));
    put(work.path('.res/partial', hex.slice(0, 40)));
    put(work.path('.res/partial', `${hex.slice(0, 40)}.json`));
    put(work.path('.res/tmp', hex));
    put(work.path('.res/logs', 'former.log'));
  }

  it.each(['its own', 'a shared'])(
    'at any step of its work in %s store it has lost nothing',
    async (whose) => {
      const shared = whose === 'a shared' ? makeWorkspace().path('store') : undefined;
      const site = await openTwo(shared === undefined ? {} : { RES_STORE: shared });
      const store = shared ?? site.work.path('.res/store');
      expectDone(await site.res('gc --version v2'));
      const clean = objectsIn(store);
      const random = randomNumbers(`gc ${whose}`);
      let killed = 0;
      for (let step = 1, ended = false; !ended; step += isLong ? 1 : 1 + Math.floor(random() * 9)) {
        litter(store, site.work, `${step}`);
        const run = await site.res('gc --version v2', {
          NODE_OPTIONS: `--require=${JSON.stringify(join(RIG, 'disk.cjs'))}`,
          RES_DISK_ROOT: step % 3 === 0 ? store : site.work.dir,
          RES_DISK_KILL: String(step),
        });
        ended = run.signal === null && step > 20;
        if (run.signal === null) expectDone(run);
        else killed += 1;
        expect((await site.res('build --version v2 --offline')).stdout, `step ${step}`).toBe('up to date\n');
      }
      expect(killed).toBeGreaterThan(3);
      expectDone(await site.res('gc --version v2'));
      expect(objectsIn(store)).toEqual(clean);
      expectDone(await site.res('verify --version v2'));
      const left = [site.work.path('.res/tmp'), site.work.path('.res/partial'), join(store, 'tmp')];
      expect(left.flatMap((folder) => (existsSync(folder) ? filesBelow(folder) : []))).toEqual([]);
      rmSync(site.work.path('resources/data.bin'));
      expectDone(await site.res('build --version v2 --offline'));
      expect(readFileSync(site.work.path('resources/data.bin')).equals(dataOf(V2))).toBe(true);
    },
    120_000,
  );
});
