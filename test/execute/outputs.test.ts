// Content gets its place without the user losing anything, at whatever moment res is stopped.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { build, planBuild } from '../../src/execute/build.js';
import { clean } from '../../src/execute/clean.js';
import { placeOutput, temporaryFor } from '../../src/execute/outputs.js';
import { sha256Digest } from '../../src/model/digest.js';
import type { Workspace } from '../../src/plan/workspace.js';
import { digestFile } from '../../src/store/hashing.js';
import { ObjectStore } from '../../src/store/objects.js';
import { tarBytes } from '../rig/tar.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { type Engine, engineIn, openEngine, outcome } from './engine.js';

afterEach(removeWorkspaces);

const MERGE = `res: 1
params: { which: { default: one, enum: [one, two] } }
artifacts: { words: { path: "\${which}.txt" } }
targets: { out: { merge: [words, words], output: out.txt } }
`;
const open = () => openEngine({ 'resources.yaml': MERGE, 'one.txt': '1\n', 'two.txt': '22\n' });
const ONE = '1\n1\n';
const TWO = '22\n22\n';
const two = { set: { which: 'two' } };

/** A store and a state that from some moment on write nothing any more, as those of a process that was killed. */
function killedAt(workspace: Workspace, at: 'flush' | 'put', when: 'before' | 'after'): Workspace {
  let killed = false;
  const kill = async <T>(here: boolean, work: () => Promise<T>): Promise<T> => {
    if (killed) throw new Error('killed');
    if (!here) return work();
    killed = true;
    if (when === 'after') await work();
    throw new Error('killed');
  };
  class KilledStore extends ObjectStore {
    override put(...args: Parameters<ObjectStore['put']>): Promise<string> {
      return kill(at === 'put', () => super.put(...args));
    }
  }
  const { state } = workspace;
  const path = join(workspace.graph.manifest.outputDir, 'out.txt');
  for (const log of [state.traces, state.files, state.outputs, state.nodes, state.tools, state.kept]) {
    const flush = log.flush.bind(log);
    log.flush = () =>
      kill(log === state.outputs && at === 'flush' && state.outputs.get(path)?.size === TWO.length, flush);
  }
  return { ...workspace, store: new KilledStore(workspace.paths.store) };
}

describe('a build that is killed while it replaces an output', () => {
  const moments = (['flush', 'put'] as const).flatMap((at) =>
    (['before', 'after'] as const).map((when) => [when, at] as const),
  );
  it.each(moments)(
    '%s %s is finished by the next one, and the former output is not lost',
    async (when, at) => {
      const engine = open();
      await engine.build();
      await build(killedAt(engine.open(two.set), at, when), ['out']).catch(() => undefined);
      expect([undefined, ONE]).toContain(
        engine.work.exists('resources/out.txt') ? engine.work.text('resources/out.txt') : undefined,
      );

      expect((await engine.plan([], two)).nodes.get('out')?.state).not.toBe('modified');
      expect((await engine.build([], two)).ok).toBe(true);
      expect(engine.work.text('resources/out.txt')).toBe(TWO);
      // Back: known, and at hand.
      expect(outcome(await engine.build())).toMatchObject({ restored: ['out'] });
      expect(engine.work.text('resources/out.txt')).toBe(ONE);
      expect(readdirSync(engine.work.path('.res/tmp'))).toEqual([]);
    },
  );

  it('by a directory knows the file that still stands there', async () => {
    const manifest = (member: string) => `res: 1
artifacts: { archive: { path: a.tar } }
targets: { out: { extract: archive, ${member}output: out } }
`;
    const engine = openEngine({
      'resources.yaml': manifest('member: a, '),
      'a.tar': tarBytes([
        { name: 'a', body: 'A' },
        { name: 'b', body: 'B' },
      ]),
    });
    await engine.build();
    // As it is when the record of the new output is written, and the old one not yet moved.
    const workspace = engine.open();
    const path = engine.work.path('resources/out');
    const record = workspace.state.outputs.get(path);
    if (!record) throw new Error('no record');
    const digest = `tree:${'a'.repeat(64)}` as const;
    workspace.state.outputs.set(path, { ...record, type: 'directory', digest, previous: record.digest });
    await workspace.state.flush();
    engine.work.write('resources.yaml', manifest(''));
    expect(outcome(await engine.build())).toMatchObject({ ran: ['out'] });
    expect(engine.work.text('resources/out/b')).toBe('B');
    engine.work.write('resources.yaml', manifest('member: a, '));
    expect(outcome(await engine.build())).toMatchObject({ restored: ['out'] });
    expect(engine.work.text('resources/out')).toBe('A');
  });
});

describe('placing an output', () => {
  /** A finished file for the output, and a workspace whose records are flushed with `meanwhile` on top. */
  async function ready(engine: Engine, meanwhile: () => void) {
    const workspace = engine.open();
    const node = workspace.graph.nodes.get('out');
    if (!node) throw new Error('no node');
    mkdirSync(workspace.paths.tmp, { recursive: true });
    const file = join(workspace.paths.tmp, 'made');
    writeFileSync(file, TWO);
    const { digest, size } = await digestFile(file, 'derived');
    const { outputs } = workspace.state;
    const flush = outputs.flush.bind(outputs);
    outputs.flush = async () => {
      await flush();
      meanwhile();
    };
    const item = { name: 'out.txt', type: 'file', digest, size } as const;
    const placing = { node, item, path: engine.work.path('resources/out.txt'), overwrite: false };
    return { workspace, file, placing };
  }

  it('does not replace a file that came into being since it looked', async () => {
    const engine = open();
    const { workspace, file, placing } = await ready(engine, () =>
      engine.work.write('resources/out.txt', 'a thesis'),
    );
    await expect(placeOutput(workspace, file, placing)).rejects.toMatchObject({ code: 'output-modified' });
    expect(engine.work.text('resources/out.txt')).toBe('a thesis');
  });

  it('does not put away as its own what was written to since it looked', async () => {
    const engine = open();
    await engine.build();
    const { workspace, file, placing } = await ready(engine, () =>
      engine.work.write('resources/out.txt', 'abcd'),
    );
    await expect(placeOutput(workspace, file, placing)).rejects.toMatchObject({ code: 'output-modified' });
    expect(engine.work.text('resources/out.txt')).toBe('abcd');
    expect(workspace.store.has((await digestFile(file, 'derived')).digest, 'file')).toBe(false);
    for await (const object of workspace.store.list()) expect(object).toBeUndefined();
  });

  it('that is to be overwritten, and was written to since it looked, keeps the store true', async () => {
    const engine = open();
    await engine.build();
    const { workspace, file, placing } = await ready(engine, () =>
      engine.work.write('resources/out.txt', 'abcd'),
    );
    await placeOutput(workspace, file, { ...placing, overwrite: true });
    expect(engine.work.text('resources/out.txt')).toBe(TWO);
    for await (const object of workspace.store.list()) expect(object).toBeUndefined();
  });

  it('does not vouch for a file that was written to right after it got its name', async () => {
    const engine = open();
    const { workspace, file, placing } = await ready(engine, () => undefined);
    const before = statSync(file, { bigint: true });
    await workspace.cache.record(file, placing.item.digest, {
      size: before.size,
      mtimeNs: before.mtimeNs - 1n,
    });
    await workspace.cache.settle();
    expect(await workspace.cache.known(file)).toBeUndefined();
    await workspace.cache.record(file, placing.item.digest, before);
    await workspace.cache.settle();
    expect(await workspace.cache.known(file)).toMatchObject({ digest: placing.item.digest });
  });

  it('leaves no digests of temporaries in the records', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { archive: { path: a.tar } }\ntargets: { out: { extract: archive, output: out } }\n',
      'a.tar': tarBytes([{ name: 'a', body: 'A' }]),
    });
    await engine.build();
    const paths = [...engine.open().state.files.entries()].map(([path]) => path);
    expect(paths.filter((path) => path.includes('/.res/tmp/'))).toEqual([]);
  });
});

describe('a symbolic link', () => {
  it('at an output path is somebody else’s, whatever it leads to', async () => {
    const engine = open();
    engine.work.write('elsewhere.txt', ONE);
    mkdirSync(engine.work.path('resources'));
    symlinkSync('../elsewhere.txt', engine.work.path('resources/out.txt'));
    await expect(engine.build()).rejects.toMatchObject({ code: 'output-foreign' });
    await engine.build([], { overwrite: true });
    expect(engine.work.text('elsewhere.txt')).toBe(ONE);
    expect(engine.work.text('resources/out.txt')).toBe(ONE);
    engine.work.write('elsewhere.txt', 'other');
    expect(engine.work.text('resources/out.txt')).toBe(ONE);
  });

  it('in the place of the output folder is followed, and outlives `clean`', async () => {
    const engine = open();
    engine.work.write('big/readme', '');
    rmSync(engine.work.path('big/readme'));
    symlinkSync('big', engine.work.path('resources'));
    await engine.build();
    expect(engine.work.text('big/out.txt')).toBe(ONE);
    expect((await clean(engine.open(), [])).removed).toHaveLength(1);
    expect(existsSync(engine.work.path('resources'))).toBe(true);
    expect((await engine.build()).ok).toBe(true);
  });
});

describe('an output in which something stands that has no content', () => {
  it('is modified, and the others are told of as ever', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { archive: { path: a.tar } }
targets:
  tree: { extract: archive, output: tree }
  other: { merge: archive, output: other }
`,
      'a.tar': tarBytes([{ name: 'a', body: 'A' }]),
    });
    await engine.build();
    execFileSync('mkfifo', [engine.work.path('resources/tree/monitor')]);
    const { nodes } = await engine.plan();
    expect(nodes.get('tree')?.state).toBe('modified');
    expect(nodes.get('other')?.state).toBe('fresh');
    expect((await clean(engine.open(), [])).kept).toEqual([engine.work.path('resources/tree')]);
    expect(engine.work.exists('resources/tree/a')).toBe(true);
  });
});

describe('the mode of an output', () => {
  const manifest = (extra: string) =>
    `res: 1\nartifacts: { tool: { url: "file:tool", output: tool${extra} } }\n`;
  it('follows `executable`, without work', async () => {
    const engine = openEngine({ 'resources.yaml': manifest(''), tool: '#!/bin/sh\n' });
    const isProgram = () => (statSync(engine.work.path('resources/tool')).mode & 0o111) !== 0;
    await engine.build();
    expect(isProgram()).toBe(false);

    engine.work.write('resources.yaml', manifest(', executable: true'));
    const node = await engine.node('tool');
    expect(node.state).toBe('cached');
    expect(node.reasons).toMatchObject([{ code: 'recipe-changed', detail: 'executable: false -> true' }]);
    expect(outcome(await engine.build())).toEqual({ restored: ['tool'] });
    expect(isProgram()).toBe(true);
    expect(outcome(await engine.build())).toEqual({ fresh: ['tool'] });

    engine.work.write('resources.yaml', manifest(''));
    expect(outcome(await engine.build())).toEqual({ restored: ['tool'] });
    expect(isProgram()).toBe(false);
  });

  it('that the user gave it is left alone', async () => {
    const engine = openEngine({ 'resources.yaml': manifest(''), tool: '#!/bin/sh\n' });
    await engine.build();
    chmodSync(engine.work.path('resources/tool'), 0o700);
    expect(outcome(await engine.build())).toEqual({ fresh: ['tool'] });
    expect(statSync(engine.work.path('resources/tool')).mode & 0o777).toBe(0o700);
  });
});

describe('a folder of files', () => {
  const manifest = (...urls: string[]) =>
    `res: 1\nartifacts: { parts: { parts: [${urls.map((url) => `{ url: "file:${url}" }`).join(', ')}], output: parts } }\n`;

  it('loses those that are no longer of it, but not those that were changed', async () => {
    const engine = openEngine({ 'resources.yaml': manifest('a', 'b', 'c'), a: 'a', b: 'b', c: 'c' });
    await engine.build();
    engine.work.write('resources/parts/c', 'mine');
    engine.work.write('resources/parts/own', 'mine too');
    engine.work.write('resources.yaml', manifest('a'));
    expect((await engine.build()).ok).toBe(true);
    expect(readdirSync(engine.work.path('resources/parts')).sort()).toEqual(['a', 'c', 'own']);
    expect(outcome(await engine.build())).toEqual({ fresh: ['parts'] });
    // What was cleared away is at hand.
    rmSync(engine.work.path('b'));
    expect(
      engine
        .open()
        .store.has(
          sha256Digest(execFileSync('sha256sum', { input: 'b', encoding: 'utf8' }).slice(0, 64)),
          'file',
        ),
    ).toBe(true);
  });

  it('cannot hold two of one name', async () => {
    const engine = openEngine({ 'resources.yaml': manifest('x/a', 'y/a'), 'x/a': '1', 'y/a': '2' });
    const { events } = await engine.events();
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'failed',
        node: 'parts',
        error: expect.objectContaining({ code: 'bad-format' }),
      }),
    );
    expect(engine.work.exists('resources/parts/a')).toBe(false);
  });

  it('that has no place of its own can: they are fetched side by side and joined in order', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { parts: { parts: [{ url: "file:x/a" }, { url: "file:y/a" }] } }
targets: { whole: { merge: parts, output: whole } }
`,
      'x/a': 'one ',
      'y/a': 'two',
    });
    expect((await engine.build()).ok).toBe(true);
    expect(engine.work.text('resources/whole')).toBe('one two');
  });
});

describe('a workspace that is moved', () => {
  it('knows its outputs for its own, also when they have to change', async () => {
    const engine = open();
    await engine.build();
    const dir = `${engine.work.dir}-moved`;
    renameSync(engine.work.dir, dir);
    try {
      const moved = engineIn({ ...engine.work, dir });
      expect(outcome(await moved.build([], two))).toMatchObject({ ran: ['out'] });
      expect(outcome(await moved.build())).toMatchObject({ restored: ['out'] });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

/** A folder on another file system than that of the tests; undefined where there is none at hand. */
function elsewhere(): string | undefined {
  const place = '/dev/shm';
  if (!existsSync(place) || statSync(place).dev === statSync(tmpdir()).dev) return undefined;
  const dir = mkdtempSync(join(place, 'res-test-'));
  atEnd.add(dir);
  return dir;
}
const atEnd = new Set<string>();
afterEach(() => {
  for (const dir of atEnd) rmSync(dir, { recursive: true, force: true });
  atEnd.clear();
});
const alone = elsewhere() === undefined;

describe.skipIf(alone)('with another file system', () => {
  const manifest = `res: 1
output-dir: \${env.OUT:-resources}
params: { v: { default: one, enum: [one, two] } }
artifacts: { file: { url: "file:\${v}", output: file }, words: { path: "\${v}" } }
targets:
  twice: { merge: [words, words], output: twice }
  mid: { merge: [file, words] }
  disk: { convert: mid, to: raw, output: disk }
`;
  const one = Buffer.alloc(140 * 512, '1');
  const files = { 'resources.yaml': manifest, one, two: Buffer.alloc(180 * 512, '2') };
  const set = { v: 'two' };

  it.each(['RES_STORE', 'OUT'])('for %s, outputs go and come as on one', async (variable) => {
    const place = elsewhere() ?? '';
    const engine = openEngine(files, { [variable]: place });
    const folder = variable === 'OUT' ? place : engine.work.path('resources');
    expect((await engine.build()).ok).toBe(true);
    expect((await engine.build([], { set })).ok).toBe(true);
    expect(outcome(await engine.build()).restored).toEqual(expect.arrayContaining(['file', 'twice', 'disk']));
    expect(readFileSync(join(folder, 'file')).equals(one)).toBe(true);
    expect(readFileSync(join(folder, 'disk')).equals(Buffer.concat([one, one]))).toBe(true);
    expect(outcome(await engine.build())).not.toHaveProperty('restored');
    expect(readdirSync(folder).sort()).toEqual(['disk', 'file', 'twice']);
    for await (const { path, digest } of engine.open().store.list())
      expect((await digestFile(path, digest.startsWith('tree') ? 'derived' : 'sha256')).digest).toBe(digest);
  });

  it('one workspace does not remove what another one is writing into the same folder', async () => {
    const place = elsewhere() ?? '';
    const [mine, theirs] = [openEngine(files, { OUT: place }), openEngine(files, { OUT: place })];
    await mine.build(['twice']);
    const temp = await temporaryFor(mine.open(), join(place, 'disk'));
    writeFileSync(temp, 'half');
    expect((await theirs.build(['file'])).ok).toBe(true);
    expect(readFileSync(temp, 'utf8')).toBe('half');
    await mine.build(['twice'], { set });
    expect(existsSync(temp)).toBe(false);
  });

  it('room is counted where a download arrives and where it goes', async () => {
    const size = 12_345;
    const engine = openEngine(
      {
        'resources.yaml': `res: 1\nartifacts: { file: { url: "file:absent", sha256: "${'1'.repeat(64)}", size: ${size} } }\n`,
      },
      { RES_STORE: elsewhere() ?? '' },
    );
    const { space } = await planBuild(engine.open(), ['file']);
    expect(space.fileSystems.map(({ neededBytes }) => neededBytes)).toEqual([size, size]);
  });
});

describe('content that is copied from a file of the user’s', () => {
  it('is not taken for what it was when it was changed meanwhile', async () => {
    const engine = openEngine({
      'resources.yaml':
        'res: 1\nartifacts: { words: { path: words.txt } }\ntargets: { out: { copy: words, output: out.txt } }\n',
      'words.txt': 'words',
    });
    let looked = false;
    // Written to after its digest was taken, and before it is copied.
    const result = await engine.build([], {
      listener(event) {
        if (event.type !== 'started' || looked) return;
        looked = true;
        writeFileSync(engine.work.path('words.txt'), 'WORDS');
        utimesSync(engine.work.path('words.txt'), 1, 1);
      },
    });
    expect(looked).toBe(true);
    expect(result.failed).toEqual(['out']);
    expect(engine.work.exists('resources/out.txt')).toBe(false);
    expect(outcome(await engine.build())).toMatchObject({ fresh: expect.anything() });
    expect(engine.work.text('resources/out.txt')).toBe('WORDS');
  });
});
