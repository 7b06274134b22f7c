// What a build does with failures, with what it makes on the way, and with content that two nodes need.

import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { update } from '../../src/execute/update.js';
import { readLock, writeLock } from '../../src/manifest/lockfile.js';
import type { BuildEvent } from '../../src/model/event.js';
import { acquireLock } from '../../src/store/lock.js';
import { tarBytes } from '../rig/tar.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { openEngine, outcome } from './engine.js';

afterEach(removeWorkspaces);

const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex');
const failures = (events: readonly BuildEvent[]) =>
  events.flatMap((event) => (event.type === 'failed' ? [`${event.node}: ${event.error.code}`] : []));
const ABSENT = `url: "file:absent", sha256: "${'1'.repeat(64)}", size: 5`;

describe('a failure', () => {
  it('counts what was not come to because of it as skipped, not as fresh', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
pools: { network: 1 }
artifacts: { here: { url: "file:here" }, gone: { url: "file:absent" } }
targets: { both: { merge: [gone, here], output: both } }
default: [both]
`,
      here: 'here',
    });
    await engine.build(['here']);
    rmSync(engine.work.path('.res/store'), { recursive: true });
    expect(outcome(await engine.build())).toEqual({ failed: ['gone'], skipped: ['here', 'both'] });
  });

  it('with -k does not keep what does not depend on it from being built', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt }, gone: { ${ABSENT} } }
targets:
  bad: { merge: [words, gone], output: bad }
  worse: { merge: [bad, words], output: worse }
  good: { merge: [words, words], output: good }
default: [worse, good]
`,
      'words.txt': 'w',
    });
    const { result, events } = await engine.events([], { keepGoing: true, jobs: 1 });
    expect(outcome(result)).toEqual({
      ran: ['good'],
      fresh: ['words'],
      failed: ['gone'],
      skipped: ['bad', 'worse'],
    });
    expect(
      events.flatMap((event) => (event.type === 'skipped' ? [`${event.node} <- ${event.because}`] : [])),
    ).toEqual(['bad <- gone', 'worse <- gone']);
    expect(engine.work.text('resources/good')).toBe('ww');
  });

  it('keeps what was made for the node that failed: the next build goes on from there', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets:
  made: { merge: [words, words] }
  bad: { decompress: made }
  end: { merge: [made, bad], output: end }
default: [end]
`,
      'words.txt': 'not compressed',
    });
    expect(outcome(await engine.build()).failed).toEqual(['bad']);
    expect((await engine.node('made', [])).present).toBe(true);
    expect(outcome(await engine.build())).toMatchObject({ fresh: ['words', 'made'], failed: ['bad'] });
  });

  it('is remembered: the node is failed until it is built', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { words: { path: words.gz } }\ntargets: { out: { decompress: words, output: out } }\n',
      'words.gz': 'not compressed',
    });
    await engine.build();
    expect((await engine.node('out')).state).toBe('failed');
    engine.work.write('words.gz', gzipSync('words'));
    expect((await engine.node('out')).state).toBe('stale');
    await engine.build();
    expect((await engine.node('out')).state).toBe('fresh');
  });

  it.each(['merge: [tree]', 'convert: tree, to: qcow2'])(
    'of a node (%s) that is given a directory says so',
    async (recipe) => {
      const engine = openEngine({
        'resources.yaml': `res: 1
artifacts: { archive: { path: a.tar } }
targets: { tree: { extract: archive }, out: { ${recipe}, output: out } }
default: [out]
`,
        'a.tar': tarBytes([{ name: 'a', body: 'A' }]),
      });
      expect(failures((await engine.events()).events)).toEqual(['out: bad-format']);
    },
  );
});

describe('an interrupt', () => {
  it('while another build is waited for leaves everything as it is', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { words: { path: words.txt } }\ntargets: { out: { merge: words, output: out } }\n',
      'words.txt': 'w',
    });
    const held = await acquireLock(join(engine.work.dir, '.res', 'lock'), { describe: 'another' });
    const stop = new AbortController();
    const waiting: string[] = [];
    const building = engine.build([], {
      signal: stop.signal,
      listener(event) {
        if (event.type !== 'waiting') return;
        waiting.push(event.for);
        stop.abort();
      },
    });
    await expect(building).rejects.toMatchObject({ code: 'interrupted' });
    expect(waiting).toHaveLength(1);
    expect(engine.work.exists('resources/out')).toBe(false);
    await held.release();
    expect((await engine.build()).ok).toBe(true);
  });

  it('before any work was begun is told as one, and fails no node', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { words: { path: words.txt } }\ntargets: { out: { merge: words, output: out } }\n',
      'words.txt': 'w',
    });
    const stop = new AbortController();
    const building = engine.build([], {
      signal: stop.signal,
      listener: ({ type }) => type === 'planned' && stop.abort(),
    });
    await expect(building).rejects.toMatchObject({ code: 'interrupted' });
    expect((await engine.node('out')).state).toBe('stale');
  });

  it('tells of no node that it is skipped', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets:
  one: { merge: [words, words] }
  two: { merge: [words, words, words] }
  out: { merge: [one, two], output: out }
  end: { merge: [out, words], output: end }
default: [end]
`,
      'words.txt': 'w',
    });
    const stop = new AbortController();
    const told: string[] = [];
    const building = engine.build([], {
      jobs: 1,
      signal: stop.signal,
      listener({ type }) {
        told.push(type);
        if (type === 'started') stop.abort();
      },
    });
    await expect(building).rejects.toMatchObject({ code: 'interrupted' });
    expect(told).toEqual(['planned', 'started']);
  });
});

describe('a download', () => {
  it('starts when there is a place for its first file: until then it waits', async () => {
    const names = ['a', 'b', 'c'];
    const engine = openEngine({
      'resources.yaml': `res: 1
pools: { network: 1 }
artifacts: { ${names.map((name) => `${name}: { url: "file:${name}.txt", output: ${name} }`).join(', ')} }
`,
      ...Object.fromEntries(names.map((name) => [`${name}.txt`, name])),
    });
    const there: number[] = [];
    await engine.build([], {
      listener: ({ type }) => {
        if (type === 'started')
          there.push(names.filter((name) => engine.work.exists(`resources/${name}`)).length);
      },
    });
    expect(there).toEqual([0, 1, 2]);
  });

  it('of what another node has fetched meanwhile is told of too, and waits for no place', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { one: { url: "file:words", output: one }, same: { url: "file:words", output: same } }
`,
      words: 'words',
    });
    const { events } = await engine.events();
    const of = (name: string) =>
      events.flatMap((event) => ('node' in event && event.node === name ? [event.type] : []));
    expect([of('one'), of('same')].map((types) => types.filter((type) => type !== 'progress'))).toEqual([
      ['started', 'finished'],
      ['started', 'finished'],
    ]);
    for (const name of ['one', 'same']) expect(of(name).at(0)).toBe('started');
  });
});

describe('a list of sums', () => {
  it('that has to be made itself does not wait for the place of what it is for', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { data: { path: data.gz }, list: { path: sums.gz } }
targets:
  sums: { decompress: list }
  plain: { decompress: data, verify: { sums: sums } }
  out: { merge: plain, output: out }
default: [out]
`,
      'data.gz': gzipSync('x\n'),
      'sums.gz': gzipSync(`${sha256('x\n')}  plain\n`),
    });
    expect((await engine.build([], { jobs: 1 })).ok).toBe(true);
    // The list is known by its trace, and its bytes were dropped; what it is for must be made again.
    engine.work.write('data.gz', gzipSync('x\n', { level: 0 }));
    rmSync(engine.work.path('resources/out'));
    expect(outcome(await engine.build([], { jobs: 1 }))).toMatchObject({
      ran: expect.arrayContaining(['sums', 'plain']),
    });
  }, 10_000);

  it('that is not to be had makes its users skipped, not failed', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { data: { path: data.gz }, sums: { ${ABSENT} } }
targets:
  plain: { decompress: data, verify: { sums: sums } }
  out: { merge: plain, output: out }
default: [out]
`,
      'data.gz': gzipSync('x\n'),
    });
    const { result, events } = await engine.events();
    expect(outcome(result)).toMatchObject({ failed: ['sums'], skipped: ['plain', 'out'] });
    expect(failures(events)).toEqual(['sums: file-not-found']);
  });
});

describe('`verify`', () => {
  const wrong = `0${sha256('words').slice(1)}`;
  const manifest = (verify: string) => `res: 1
artifacts:
  sums: { path: sums }
  words: { path: words.txt }
  file: { url: "file:words.txt", output: file${verify === '' ? '' : `, verify: ${verify}`} }
targets:
  same: { copy: words, output: same${verify === '' ? '' : `, verify: ${verify}`} }
  user: { merge: [same, file], output: user }
`;
  const open = (verify: string, sums: string) =>
    openEngine({ 'resources.yaml': manifest(verify), 'words.txt': 'words', sums });
  const SUMS = '{ sums: sums }';

  it('is of copies and of artifacts what it is of everything else', async () => {
    const list = (sum: string) => `${sum}  file\n${sum}  same\n`;
    const engine = open(SUMS, list(wrong));
    const { result, events } = await engine.events(['same', 'file'], { keepGoing: true });
    expect(outcome(result).failed).toEqual(['file', 'same']);
    expect(failures(events).sort()).toEqual(['file: checksum-mismatch', 'same: checksum-mismatch']);
    expect(engine.work.exists('resources/same')).toBe(false);

    engine.work.write('sums', list(sha256('words')));
    expect(outcome(await engine.build()).ran).toEqual(expect.arrayContaining(['file', 'same', 'user']));
    expect(engine.work.text('resources/user')).toBe('wordswords');
    expect(outcome(await engine.build())).toEqual({ fresh: ['sums', 'words', 'file', 'same', 'user'] });
  });

  it('that is added to what is there already is done, without fetching it again', async () => {
    const engine = open('', `${sha256('words')}  file\n${sha256('words')}  same\n`);
    await engine.build();
    engine.work.write('resources.yaml', manifest(SUMS));
    expect((await engine.node('file')).state).toBe('stale');
    const result = await engine.build([], { offline: true });
    expect(outcome(result)).toEqual({ ran: ['file', 'same'], fresh: ['sums', 'words', 'user'] });
    expect(result.downloaded_bytes).toBe(0);
  });

  it('is done again when the list says something else', async () => {
    const engine = open(SUMS, `${sha256('words')}  file\n${sha256('words')}  same\n`);
    await engine.build();
    engine.work.write('sums', `${wrong}  file\n${sha256('words')}  same\n`);
    expect((await engine.node('file')).reasons).toMatchObject([{ code: 'input-changed', subject: 'sums' }]);
    expect(outcome(await engine.build([], { keepGoing: true })).failed).toEqual(['file']);
    // What is in place is not taken away.
    expect(engine.work.text('resources/file')).toBe('words');
  });

  it('of a directory is refused, and not passed over', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { archive: { path: a.tar } }
targets: { tree: { extract: archive, output: tree, verify: { sha256: "${wrong}" } } }
`,
      'a.tar': tarBytes([{ name: 'a', body: 'A' }]),
    });
    expect(failures((await engine.events()).events)).toEqual(['tree: bad-format']);
    expect(engine.work.exists('resources/tree')).toBe(false);
  });
});

describe('content that two need', () => {
  it('is not taken away from under its reader when its place is given to something else', async () => {
    const old = Buffer.alloc(8 << 20, 'a');
    const manifest = (rest: string) => `res: 1
artifacts: { current: { url: "file:${rest === '' ? 'v1' : 'v2'}", output: current }${rest} }
default: [current]
`;
    const engine = openEngine({ 'resources.yaml': manifest(''), v1: old, v2: 'new' });
    await engine.build();
    engine.work.write(
      'resources.yaml',
      `${manifest(', former: { url: "file:v1" }')}targets: { twice: { merge: [former, former], output: twice } }\n`,
    );
    const { result, events } = await engine.events(['twice', 'current']);
    expect(failures(events)).toEqual([]);
    expect(result.ok).toBe(true);
    expect(engine.work.read('resources/twice').equals(Buffer.concat([old, old]))).toBe(true);
    expect(engine.work.text('resources/current')).toBe('new');
  });

  it('and that lay in the store before an intermediate was the same is not dropped with it', async () => {
    const variants = `params: { v: { default: one } }
vars: { file: { select: v, one: a, two: b } }
`;
    const main = '  main: { merge: [part, part], output: main }\n';
    const engine = openEngine({
      'resources.yaml': `res: 1\n${variants}artifacts: { part: { path: "\${file}" } }\ntargets:\n${main}`,
      a: 'a',
      b: 'b',
    });
    await engine.build();
    await engine.build([], { set: { v: 'two' } });
    engine.work.write('packed.gz', gzipSync('aa'));
    engine.work.write(
      'resources.yaml',
      `res: 1\n${variants}artifacts: { part: { path: "\${file}" }, packed: { path: packed.gz } }\ntargets:\n${main}  same: { decompress: packed }\n  user: { merge: [same, same], output: user }\n`,
    );
    expect(outcome(await engine.build(['user'])).ran).toEqual(['same', 'user']);
    expect(outcome(await engine.build(['main'])).restored).toEqual(['main']);
  });

  it('goes through a chain of copies, each with its own place and mode', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets:
  first: { copy: words }
  second: { copy: first, output: second, executable: true }
  third: { copy: second, output: third }
  whole: { merge: [first, third], output: whole }
`,
      'words.txt': 'w',
    });
    expect((await engine.build()).ok).toBe(true);
    expect(engine.work.text('resources/third')).toBe('w');
    expect(engine.work.text('resources/whole')).toBe('ww');
    expect(outcome(await engine.build())).toEqual({ fresh: ['words', 'first', 'second', 'third', 'whole'] });
    rmSync(engine.work.path('resources/second'));
    expect(outcome(await engine.build()).ran ?? outcome(await engine.build()).restored).toEqual(['second']);
  });
});

describe('a node that is put back', () => {
  it('still knows how long it takes to make it', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
params: { v: { default: one } }
vars: { file: { select: v, one: a, two: b } }
artifacts: { part: { path: "\${file}" } }
targets: { main: { merge: [part, part], output: main } }
`,
      a: 'a',
      b: 'b',
    });
    await engine.build();
    const workspace = engine.open();
    const { key } = workspace.state.nodes.get('main') ?? { key: '' };
    const trace = workspace.state.traces.get(key);
    if (!trace) throw new Error('no trace');
    workspace.state.traces.set(key, { ...trace, durationMs: 12_345 });
    await workspace.state.flush();
    await engine.build([], { set: { v: 'two' } });
    expect(outcome(await engine.build()).restored).toEqual(['main']);
    expect(engine.open().state.nodes.get('main')?.durationMs).toBe(12_345);
  });
});

describe('the log of a node', () => {
  it('is of its last run: one that has nothing to say leaves none of an earlier one', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { words: { path: w } }\ntargets: { out: { merge: words, output: out } }\n',
      w: 'w',
      '.res/logs/out.log': 'what went wrong last year\n',
    });
    await engine.build();
    expect(engine.work.exists('.res/logs/out.log')).toBe(false);
  });
});

describe('`update`', () => {
  it('keeps what the build that it waited for has written to the lock', async () => {
    const engine = openEngine({
      'resources.yaml': 'res: 1\nartifacts: { file: { url: "file:a", output: file } }\n',
      a: 'a',
    });
    await engine.build();
    const workspace = engine.open();
    const held = await acquireLock(join(workspace.paths.root, 'lock'), { describe: 'another' });
    const other = 'github:owner/name@latest/asset';
    const updating = update(workspace, ['file'], {
      listener: (event) => {
        if (event.type !== 'waiting') return;
        const { sources } = readLock(workspace.lockFile);
        void writeLock(workspace.lockFile, {
          sources: { ...sources, [other]: { tag: 'v1', files: [] } },
        }).then(() => held.release());
      },
    });
    await updating;
    expect(Object.keys(readLock(workspace.lockFile).sources)).toContain(other);
  });
});
