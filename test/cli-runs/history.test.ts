// What builds leave behind of themselves, and `res history`, which lists it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BuildRecord } from '../../src/model/build-record.js';
import { buildIds, readBuild } from '../../src/store/build-records.js';
import { validator } from '../rig/schemas.js';
import { openScene, type Scene } from './engine-scene.js';
import { expectDone, openSite, PART_SIZE } from './site.js';

const check = validator('build-record');
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** All records of the folder, the newest first; each holds to its schema. */
async function recordsIn(folder: string): Promise<readonly BuildRecord[]> {
  const builds = `${folder}/.res/builds`;
  const records: BuildRecord[] = [];
  for (const id of await buildIds(builds)) {
    const record = await readBuild(builds, id);
    if (!record) throw new Error(`${id} cannot be read`);
    expect(check(record)).toEqual([]);
    records.push(record);
  }
  expect(readdirSync(builds)).toHaveLength(records.length);
  return records;
}

async function lastOf(scene: { readonly work: Scene['work'] }): Promise<BuildRecord> {
  const [last] = await recordsIn(scene.work.dir);
  if (!last) throw new Error('no build left a record');
  return last;
}

const node = (record: BuildRecord, name: string) => record.nodes.find((each) => each.name === name);

const MANIFEST = `res: 1
name: two files
params:
  word: { default: one }
artifacts:
  a: { path: a.txt }
  b: { path: b.txt }
targets:
  both: { merge: [a, b] }
  out: { copy: both, output: "out-\${word}.txt" }
default: [out]
`;
const open = () => openScene({ 'resources.yaml': MANIFEST, 'a.txt': 'a\n', 'b.txt': 'bb\n' });

describe('the record of a build', () => {
  it('and the events name all outputs of a node that has several', async () => {
    const scene = openScene({
      'resources.yaml':
        'res: 1\ntargets:\n  two: { run: [sh, -c, "mkdir x; echo 1 > x/a; echo 2 > b"], outputs: { a: x/a, b: b } }\n',
    });
    const finished = (await scene.events()).find(({ type }) => type === 'finished');
    expect(finished).toMatchObject({ node: 'two', output: null, outputs: { a: 'x/a', b: 'b' } });
    expect(validator('events')(finished)).toEqual([]);
    expect(node(await lastOf(scene), 'two')).toMatchObject({
      output: null,
      outputs: { a: 'resources/x/a', b: 'resources/b' },
    });
    expect((await scene.run(['report'])).stdout).toContain('<strong>resources/x/a, resources/b</strong>');
    const { stdout, stderr } = await scene.run(['build', '-B', '--progress', 'plain']);
    expect(`${stdout}${stderr}`).toMatch(/two: made .* → resources\/x\/a, resources\/b\n/);
  });

  it('of a large graph tells of what was done and its inputs, and how many more were fresh', async () => {
    const names = Array.from({ length: 1100 }, (_, i) => `s${i}`);
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts:
  changing: { path: b.txt }
${names.map((name) => `  ${name}: { path: a.txt }\n`).join('')}targets:
  one: { merge: [s0, changing], output: one }
  all: { merge: [${names.join(', ')}], output: all }
`,
      'a.txt': 'a\n',
      'b.txt': 'b\n',
    });
    await scene.built();
    expect((await lastOf(scene)).left_out).toBe(0);
    writeFileSync(scene.work.path('b.txt'), 'another\n');
    await scene.built();
    const record = await lastOf(scene);
    expect(record.nodes.map(({ name }) => name)).toEqual(['changing', 's0', 'one']);
    expect(record).toMatchObject({ left_out: 1100, cache: { ran: 1, fresh: 1102 } });
    // What is left out is not gone, and what is told of again is not new.
    expect(record.changes?.entries.map(({ what, name }) => [what, name])).toEqual([
      ['content', 'changing'],
      ['content', 'one'],
    ]);
    expect((await scene.run(['report'])).stdout).toContain('1100 more were fresh');
    await scene.built(['-B', 'all']);
    expect((await lastOf(scene)).changes?.entries).toEqual([]);
  });

  it('tells what ran when and for what reason, what it read and wrote, and in what surroundings', async () => {
    const scene = open();
    await scene.built();
    const record = await lastOf(scene);
    expect(record).toMatchObject({
      outcome: 'done',
      error: null,
      requested: ['out'],
      options: { force: false, keep_going: false },
      manifest: { name: 'two files', file: 'resources.yaml', params: { word: 'one' }, commit: null },
      environment: { node: process.version, platform: process.platform },
      cache: { fresh: 2, ran: 2, restored: 0 },
      changes: null,
    });
    expect(record.nodes.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['a', 'fresh'],
      ['b', 'fresh'],
      ['both', 'ran'],
      ['out', 'ran'],
    ]);
    const out = node(record, 'out');
    expect(out).toMatchObject({
      output: 'resources/out-one.txt',
      state: 'stale',
      inputs: [{ role: 'in', node: 'both' }],
      content: [{ size: 5 }],
    });
    expect(out?.reasons[0]?.code).toBe('never-built');
    const runs = record.nodes.flatMap(({ runs: of }) => of);
    expect(runs.length).toBeGreaterThan(0);
    for (const { start_ms, end_ms } of runs) {
      expect(start_ms).toBeLessThanOrEqual(end_ms);
      expect(end_ms).toBeLessThanOrEqual(record.duration_ms);
    }
    expect(record.bytes.read).toBeGreaterThanOrEqual(5);
  });

  it('tells the bytes of each download, and what was fetched before and not again', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    const first = await lastOf(site);
    expect(node(first, 'parts')).toMatchObject({
      outcome: 'ran',
      bytes: { downloaded: 4 * PART_SIZE, written: 4 * PART_SIZE },
      runs: [{ work: 'download', pool: 'network' }],
      source: { tag: 'v1' },
    });
    expect(node(first, 'parts')?.source?.urls).toHaveLength(4);
    expect(first.bytes.downloaded).toBe(4 * PART_SIZE);
    // A place for each part.
    expect(first.pool_use?.network?.pieces).toBe(4);
    expect(first.manifest.lock_sha256).toMatch(/^[0-9a-f]{64}$/);
    rmSync(site.work.path('resources/data.bin'));
    expectDone(await site.res('build'));
    const second = await lastOf(site);
    expect(second.bytes.downloaded).toBe(0);
    expect(second.cache.saved_download_bytes).toBe(4 * PART_SIZE);
    expect(second.changes).toEqual({ since: first.id, entries: [] });
  });

  it('is left by builds that fail as a whole or in a node, and none by one that does nothing', async () => {
    const scene = open();
    await scene.built();
    await scene.built();
    expect(await recordsIn(scene.work.dir)).toHaveLength(1);
    scene.work.write('resources/out-one.txt', 'by hand');
    expect((await scene.run(['build'])).status).toBe(1);
    expect(await lastOf(scene)).toMatchObject({
      outcome: 'failed',
      error: { code: 'output-modified' },
      nodes: expect.arrayContaining([expect.objectContaining({ name: 'out', state: 'modified' })]),
    });
    scene.work.write(
      'resources.yaml',
      MANIFEST.replace('both, ', `both, verify: { sha256: "${'0'.repeat(64)}" }, `),
    );
    expect((await scene.run(['build', '--overwrite'])).status).toBe(1);
    const failed = await lastOf(scene);
    expect(failed).toMatchObject({ outcome: 'failed', error: null });
    expect((await scene.run(['history'])).stdout).toMatch(/ failed .* out: the content does not/);
    expect(node(failed, 'out')).toMatchObject({ outcome: 'failed', error: { code: 'checksum-mismatch' } });
  });

  it('is left by an interrupted build, with what was under way', async () => {
    const site = await openSite();
    site.server.fault(site.part(), { stall: { after: PART_SIZE / 2 } });
    const run = site.start('build');
    await site.server.until(({ state }) => state === 'stalled');
    run.signal('SIGINT');
    expect((await run.result).status).toBe(130);
    const record = await lastOf(site);
    expect(record).toMatchObject({ outcome: 'interrupted', error: { code: 'interrupted' } });
    expect(['unfinished', 'waiting']).toContain(node(record, 'parts')?.outcome);
    expect(node(record, 'data')?.outcome).toMatch(/^(waiting|unfinished)$/);
  });

  it('has the sum of each file of the manifest, so that a change of an included one shows', async () => {
    const scene = openScene({
      'resources.yaml': `${MANIFEST}include: [more/words.yaml]\n`,
      'a.txt': 'a\n',
      'b.txt': 'b\n',
      'more/words.yaml': 'res: 1\nvars: { unused: one }\n',
    });
    await scene.built();
    const first = await lastOf(scene);
    expect(first.manifest).toMatchObject({
      sha256: sha256(scene.work.text('resources.yaml')),
      includes: { 'more/words.yaml': sha256('res: 1\nvars: { unused: one }\n') },
    });
    scene.work.write('more/words.yaml', 'res: 1\nvars: { unused: two }\n');
    await scene.built(['-B']);
    expect((await lastOf(scene)).changes?.entries).toEqual([
      {
        what: 'manifest',
        name: 'more/words.yaml',
        was: first.manifest.includes?.['more/words.yaml'],
        now: sha256('res: 1\nvars: { unused: two }\n'),
      },
    ]);
    expect((await scene.run(['report'])).stdout).toContain('>more/words.yaml, sha256 ');
  });

  it('goes when there are a hundred newer ones, with the build that makes it one too many', async () => {
    const scene = open();
    const before = new Date(Date.now() - 24 * 3600 * 1000).toISOString().replaceAll('-', '').slice(0, 8);
    const older = (i: number) => `${before}-000000-${String(i).padStart(3, '0')}-0000`;
    for (let i = 0; i < 300; i++) scene.work.write(`.res/builds/${older(i)}.json`, '{}');
    scene.work.write('.res/builds/notes.txt', 'mine');
    await scene.built();
    const builds = scene.work.path('.res/builds');
    const left = await buildIds(builds);
    expect(left).toHaveLength(100);
    expect([left[1], left.at(-1)]).toEqual([older(299), older(201)]);
    expect(scene.work.text('.res/builds/notes.txt')).toBe('mine');
    await scene.built(['-B']);
    expect((await buildIds(builds)).at(-1)).toBe(older(202));
  });

  it('tells what is not as in the build before', async () => {
    const scene = open();
    execFileSync('git', ['init', '-q'], { cwd: scene.work.dir });
    await scene.built();
    scene.work.write('b.txt', 'other\n');
    scene.work.write('resources.yaml', MANIFEST.replace('[a, b]', '[b, a]'));
    execFileSync('git', ['add', 'resources.yaml'], { cwd: scene.work.dir });
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
    execFileSync('git', [...identity, 'commit', '-qm', 'first'], { cwd: scene.work.dir });
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: scene.work.dir,
      encoding: 'utf8',
    }).trim();
    await scene.built(['--word', 'two']);
    const [now, before] = await recordsIn(scene.work.dir);
    expect(now?.changes?.since).toBe(before?.id);
    expect(
      now?.changes?.entries.map(({ what, name, was, now: is }) => [
        what,
        name,
        was?.slice(0, 40),
        is?.slice(0, 40),
      ]),
    ).toEqual([
      ['manifest', 'resources.yaml', expect.stringMatching(/^[0-9a-f]{40}$/), expect.any(String)],
      ['param', 'word', 'one', 'two'],
      ['commit', 'commit', undefined, commit],
      ['content', 'b', expect.stringMatching(/^sha256:/), expect.stringMatching(/^sha256:/)],
      ['recipe', 'both', '{"merge":["a","b"]}', '{"merge":["b","a"]}'],
      ['content', 'both', expect.any(String), expect.any(String)],
      ['content', 'out', expect.any(String), expect.any(String)],
    ]);
  });
});

describe('res history', () => {
  it('lists builds, the newest first, and says of damaged records that they are left out', async () => {
    const scene = open();
    expect((await scene.run(['history'])).stdout).toMatch(/^no build has left a record here/);
    await scene.built();
    await scene.built(['-B']);
    scene.work.write('resources/out-one.txt', 'by hand');
    await scene.run(['build']);
    const { stdout, stderr } = await scene.run(['history']);
    expect(stderr).toBe('');
    const rows = stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^BUILD +RESULT +TIME +RAN +WHAT$/);
    expect(rows[1]).toMatch(/^\d{8}-\d{6}-\d{3}-[0-9a-f]{4} {2}failed .*was changed by hand/);
    expect(rows[2]).toMatch(/ {2}done .* {2}1 {2}out word=one$/);
    expect(rows).toHaveLength(4);
    expect((await scene.run(['history', '-n', '1'])).stdout).toMatch(/\n2 older builds; -n lists more\n$/);
    const [newest] = (await buildIds(scene.work.path('.res/builds'))).slice(-1);
    writeFileSync(
      scene.work.path(`.res/builds/${newest}.json`),
      readFileSync(scene.work.path(`.res/builds/${newest}.json`), 'utf8').slice(0, 99),
    );
    const damaged = await scene.run(['history', '--json']);
    expect(damaged.stderr).toContain(`left out, as damaged or of another version of res: ${newest}`);
    const shown: unknown = JSON.parse(damaged.stdout);
    expect(validator('history')(shown)).toEqual([]);
    expect(shown).toMatchObject({
      builds: [{ outcome: 'failed' }, { outcome: 'done', nodes: { ran: 1, fresh: 3 } }],
    });
  });
});
