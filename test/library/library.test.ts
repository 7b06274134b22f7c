// The library in a process that is not its own: what it gives, how a build is followed and left, and what it leaves alone.
import { existsSync, rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type BuildEvent,
  build,
  bundle,
  clean,
  env,
  exportCrate,
  gc,
  graph,
  history,
  list,
  open,
  picture,
  plan,
  provenance,
  ResError,
  record,
  report,
  show,
  status,
  unbundle,
  update,
  verify,
  type Workspace,
  why,
} from '../../src/index.js';
import { seededBytes } from '../rig/random.js';
import { type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { type Workspace as Folder, makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
artifacts:
  parts: { path: "part-\${arch}.*" }
targets:
  whole: { merge: parts, output: "whole-\${arch}" }
  again: { copy: whole, output: again }
  both: { group: [whole, again] }
default: [both]
exports:
  ARCH: "\${arch}"
`;
const FILES = {
  'resources.yaml': MANIFEST,
  'part-amd64.1': 'one ',
  'part-amd64.2': 'two',
  'part-arm64.1': 'other',
};

let server: ReleaseServer | undefined;
afterEach(async () => {
  removeWorkspaces();
  await server?.close();
  server = undefined;
});

const opened = (folder: Folder): Promise<Workspace> =>
  open({ cwd: folder.dir, env: { PATH: process.env.PATH, HOME: folder.dir } });

async function errorOf(promise: Promise<unknown>): Promise<ResError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ResError) return error;
  throw new Error(`not a ResError: ${error}`);
}

/** A workspace whose one download stands still after its first bytes. */
async function stalled(): Promise<{ folder: Folder; workspace: Workspace; server: ReleaseServer }> {
  server = await startReleaseServer({});
  const file = await server.file('big', seededBytes('big', 3_000_000));
  server.faultAlways(file, { stall: { after: 1_000_000 } });
  const folder = makeWorkspace(
    `res: 1\nartifacts:\n  big: { url: "${file.url}", sha256: ${file.sha256}, output: big }\n`,
  );
  return { folder, server, workspace: await opened(folder) };
}

/** Whether the event is that the download has begun; then its first bytes are on their way. */
async function isLoading(event: BuildEvent, server: ReleaseServer): Promise<boolean> {
  if (event.type !== 'started') return false;
  await server.until(({ bytesSent }) => bytesSent > 100_000);
  return true;
}

describe('a build', () => {
  it('is a stream of events that begins with its beginning, and has a result', async () => {
    const folder = makeWorkspace(FILES);
    const run = build(await opened(folder));
    const events: BuildEvent[] = [];
    for await (const event of run) events.push(event);
    const result = await run.result;
    expect(events.flatMap(({ type }) => (type === 'progress' ? [] : [type]))).toEqual([
      'planned',
      'started',
      'finished',
      'started',
      'finished',
      'summary',
    ]);
    expect(events.at(-1)).toEqual({ type: 'summary', ...result });
    expect(result).toMatchObject({ ok: true, ran: ['whole', 'again'], fresh: ['parts'] });
    expect(folder.text('resources/again')).toBe('one two');
  });

  it('is known to one who asks later with the same workspace', async () => {
    const workspace = await opened(makeWorkspace(FILES));
    expect((await status(workspace)).nodes.get('again')?.state).toBe('stale');
    await build(workspace, ['again']).result;
    expect((await status(workspace)).nodes.get('again')?.state).toBe('fresh');
    expect((await build(workspace, ['again']).result).ran).toEqual([]);
  });

  it('needs no reader', async () => {
    const folder = makeWorkspace(FILES);
    expect(await build(await opened(folder), ['whole']).result).toMatchObject({ ok: true, ran: ['whole'] });
  });

  it('keeps for a late reader no more of what a program prints than its end', async () => {
    const folder = makeWorkspace(
      'res: 1\ntargets:\n  chatty: { run: [sh, -c, "seq 30000; echo done > out"], outputs: { out: chatty } }\n',
    );
    const run = build(await opened(folder));
    await run.result;
    const events: BuildEvent[] = [];
    for await (const event of run) events.push(event);
    const lines = events.flatMap((event) => (event.type === 'output' ? [event.text] : []));
    expect(lines).toHaveLength(1000);
    expect(lines.at(-1)).toBe('30000');
    const [notice, ...others] = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(others).toEqual([]);
    expect(notice).toMatch(/^not read in time and left out: \d+ lines of its output; its log has all of it$/);
    expect(Number(/\d+/.exec(notice ?? '')?.[0]) + lines.length).toBeGreaterThanOrEqual(30_000);
    expect(folder.text('.res/logs/chatty.log')).toContain('\n1\n2\n');
    expect(events.at(-1)?.type).toBe('summary');
  });

  it('has failed nodes in its result and its events', async () => {
    const folder = makeWorkspace({
      ...FILES,
      'resources.yaml': MANIFEST.replace(
        'merge: parts,',
        `merge: parts, verify: { sha256: ${'a'.repeat(64)} },`,
      ),
    });
    const run = build(await opened(folder));
    const failed: string[] = [];
    for await (const event of run) if (event.type === 'failed') failed.push(event.error.code);
    expect(await run.result).toMatchObject({ ok: false, failed: ['whole'], skipped: ['again'] });
    expect(failed).toEqual(['checksum-mismatch']);
  });

  it('that is stopped as a whole says so in the loop and in the result', async () => {
    const folder = makeWorkspace({ ...FILES, 'resources/again': 'mine' });
    const workspace = await opened(folder);
    expect((await errorOf(build(workspace).result)).code).toBe('output-foreign');
    const read = async () => {
      for await (const _ of build(workspace));
    };
    expect((await errorOf(read())).code).toBe('output-foreign');
    expect((await errorOf(build(workspace, ['agian']).result)).hint).toBe('did you mean `again`?');
    expect(folder.text('resources/again')).toBe('mine');
  });

  it('ends when its loop is left, in order, and leaves the workspace to the next one', async () => {
    const { folder, workspace, server } = await stalled();
    const run = build(workspace);
    for await (const event of run) if (await isLoading(event, server)) break;
    // Nothing of it goes on when the loop has been left.
    expect(server.openConnections).toBe(0);
    expect(folder.exists('resources/big')).toBe(false);
    expect((await errorOf(run.result)).code).toBe('interrupted');
    server.reset();
    expect((await build(workspace).result).ok).toBe(true);
    expect(folder.read('resources/big').equals(seededBytes('big', 3_000_000))).toBe(true);
  });

  it('gives an error of the reader on, and ends', async () => {
    const { workspace, server } = await stalled();
    const read = async () => {
      for await (const event of build(workspace)) if (await isLoading(event, server)) throw new Error('mine');
    };
    await expect(read()).rejects.toThrow('mine');
    expect(server.openConnections).toBe(0);
  });

  it.each(['before', 'while'])('is interrupted by a signal that is aborted %s it runs', async (when) => {
    const { folder, workspace, server } = await stalled();
    const controller = new AbortController();
    if (when === 'before') controller.abort('enough');
    const run = build(workspace, [], { signal: controller.signal });
    const read = async () => {
      for await (const event of run) if (await isLoading(event, server)) controller.abort('enough');
    };
    const error = await errorOf(read());
    expect(error.code).toBe('interrupted');
    expect(await errorOf(run.result)).toBe(error);
    expect(folder.exists('resources/big')).toBe(false);
  });

  it('waits for another one of the same process', async () => {
    const { workspace, server } = await stalled();
    const first = build(workspace);
    await server.until(({ bytesSent }) => bytesSent > 0);
    const second = build(workspace);
    for await (const event of second) {
      if (event.type !== 'waiting') continue;
      expect(event.for).toContain(`${process.pid}`);
      break;
    }
    for await (const _ of first) break;
    expect((await errorOf(first.result)).code).toBe('interrupted');
  });

  it('refuses a variant that does not work with the simulator, and warns of one that is not stable', async () => {
    const folder = makeWorkspace({
      ...FILES,
      'resources.yaml': MANIFEST.replace(
        'copy: whole,',
        'copy: whole, variants: [{ when: {}, state: experimental, works-with: [qemu] }],',
      ),
    });
    const workspace = await opened(folder);
    expect((await errorOf(build(workspace, [], { for: 'gem5' }).result)).code).toBe('variant-unsupported');
    expect((await errorOf(plan(workspace, [], { for: 'gem5' }))).code).toBe('variant-unsupported');
    const warnings: string[] = [];
    for await (const event of build(workspace, [], { for: 'qemu' }))
      if (event.type === 'warning') warnings.push(event.message);
    expect(warnings.join()).toContain('experimental');
  });
});

describe('the process around it', () => {
  it('keeps its signals, its folder and its streams', async () => {
    const folder = makeWorkspace(FILES);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'uncaughtException', 'unhandledRejection'];
    const listeners = () => signals.map((name) => process.listenerCount(name));
    const before = { listeners: listeners(), cwd: process.cwd(), exitCode: process.exitCode };
    const seen: unknown[] = [];
    for (const stream of [process.stdout, process.stderr]) {
      const write = stream.write;
      stream.write = (...words: readonly unknown[]) => {
        seen.push(words[0]);
        return true;
      };
      try {
        const workspace = await opened(folder);
        for await (const _ of build(workspace, [], { force: true }))
          expect(listeners()).toEqual(before.listeners);
        await errorOf(build(workspace, ['nope']).result);
        await verify(workspace);
      } finally {
        stream.write = write;
      }
    }
    expect(seen).toEqual([]);
    expect({ listeners: listeners(), cwd: process.cwd(), exitCode: process.exitCode }).toEqual(before);
  });
});

describe('a workspace', () => {
  it('is found from a folder below, and by its file', async () => {
    const folder = makeWorkspace({ ...FILES, 'deep/er/file': '', 'other.yaml': 'res: 1\nartifacts: {}\n' });
    expect((await open({ cwd: folder.path('deep', 'er') })).graph.manifest.file).toBe(
      folder.path('resources.yaml'),
    );
    const other = await open({ cwd: folder.dir, file: 'other.yaml' });
    expect(other.graph.nodes.size).toBe(0);
    expect((await errorOf(open({ cwd: '/' }))).code).toBe('manifest-not-found');
    expect((await errorOf(open({ cwd: folder.dir, file: 'none.yaml' }))).code).toBe('manifest-not-found');
  });

  it('has the params that it was opened with, or several of each', async () => {
    const folder = makeWorkspace(FILES);
    const arm = await open({ cwd: folder.dir, params: { arch: 'arm64' } });
    expect(list(arm, ['whole'])[0]?.output).toBe('whole-arm64');
    const matrix = await open({
      cwd: makeWorkspace({
        ...FILES,
        'resources.yaml': MANIFEST.replace('output: again', `output: "again-\${arch}"`),
      }).dir,
      matrix: { arch: ['amd64', 'arm64'] },
    });
    expect(list(matrix, ['whole']).map(({ name }) => name)).toEqual(['whole@arch=amd64', 'whole@arch=arm64']);
    expect((await errorOf(why(matrix, 'whole'))).code).toBe('usage');
    expect((await errorOf(open({ cwd: folder.dir, params: { arhc: 'x' } }))).code).toBe('unknown-param');
  });

  it('gives all mistakes of the manifest', async () => {
    const folder = makeWorkspace('res: 1\ntargets:\n  a: { copy: b }\n  c: { cpoy: a }\n');
    const error = await errorOf(open({ cwd: folder.dir }));
    expect(error.code).toBe('manifest-invalid');
    expect(error.diagnostics.map(({ location }) => location?.line)).toEqual([3, 4]);
  });
});

describe('a question', () => {
  it('is answered as on the command line', async () => {
    const folder = makeWorkspace(FILES);
    const workspace = await opened(folder);
    expect((await plan(workspace)).plan.steps.map(({ node }) => node)).toEqual(['whole', 'again']);
    expect(existsSync(folder.path('.res'))).toBe(false);
    await build(workspace).result;
    expect(list(workspace).map(({ name }) => name)).toEqual(['parts', 'whole', 'again', 'both']);
    const shown = await show(workspace, 'again', { sha256: true });
    expect(shown).toMatchObject({ output: folder.path('resources', 'again'), lastRun: { status: 'done' } });
    expect(shown.sha256).toHaveLength(1);
    expect((await graph(workspace)).edges).toContainEqual({ from: 'whole', to: 'again', role: 'in' });
    expect(env(workspace).variables).toMatchObject({
      ARCH: 'amd64',
      RES_AGAIN: folder.path('resources', 'again'),
    });
    folder.write('part-amd64.2', 'three');
    expect(await why(workspace, 'again')).toMatchObject({
      state: 'stale',
      chain: [{ node: 'whole', reasons: [{ code: 'input-changed', subject: 'parts' }] }, { node: 'again' }],
    });
  });

  it('of what a build would do has the answer that the build gives', async () => {
    const folder = makeWorkspace(FILES);
    const workspace = await opened(folder);
    const bothSay = async (nodes: readonly string[] = [], force = false) => {
      const { steps } = (await plan(workspace, nodes, { force })).plan;
      const begun: [string, string][] = [];
      const run = build(workspace, nodes, { force });
      for await (const event of run) if (event.type === 'started') begun.push([event.node, event.work]);
      expect(begun).toEqual(steps.map(({ node, work }) => [node, work]));
      const { ran, restored } = await run.result;
      expect(begun.map(([node]) => node).sort()).toEqual([...ran, ...restored].sort());
      return begun;
    };
    expect(await bothSay(['whole'])).toEqual([['whole', 'execute']]);
    // What it copies is there, and it was never copied.
    expect(await bothSay()).toEqual([['again', 'execute']]);
    rmSync(folder.path('resources', 'again'));
    expect(await bothSay()).toEqual([['again', 'execute']]);
    folder.write('part-amd64.2', 'three');
    expect(await bothSay()).toEqual([
      ['whole', 'execute'],
      ['again', 'execute'],
    ]);
    folder.write('part-amd64.2', 'two');
    rmSync(folder.path('resources', 'whole-amd64'));
    await bothSay();
    expect(await bothSay([], true)).toEqual([['whole', 'execute']]);
  });

  it('about what is not there is an error', async () => {
    const workspace = await opened(makeWorkspace(FILES));
    for (const ask of [
      () => status(workspace, ['x']),
      () => why(workspace, 'x'),
      () => show(workspace, 'x'),
      () => graph(workspace, ['x']),
      () => plan(workspace, ['x']),
      () => verify(workspace, ['x']),
      () => update(workspace, ['x']),
      () => clean(workspace, ['x']),
      () => provenance(workspace, 'x'),
    ])
      expect((await errorOf(ask())).code).toBe('unknown-node');
    expect(() => list(workspace, ['x'])).toThrow('no node is called `x`');
  });
});

describe('a picture', () => {
  it.each([
    ['svg', /^<svg .*>whole<.*<\/svg>\n$/s],
    ['html', /^<!doctype html>.*>whole<.*<\/html>\n$/s],
    ['dot', /^digraph res \{.*"whole" -> "again".*\}\n$/s],
    ['mermaid', /^flowchart .*whole.*\n$/s],
    ['json', /^\{"nodes":\[.*"name":"whole".*\}\n$/s],
  ] as const)('is drawn as %s, of all or of a part', async (format, form) => {
    const workspace = await opened(makeWorkspace(FILES));
    const text = await picture(workspace, format);
    expect(text).toMatch(form);
    expect(text).toContain('both');
    expect(await picture(workspace, format, ['whole'])).not.toContain('again');
    expect((await errorOf(picture(workspace, format, ['x']))).code).toBe('unknown-node');
  });
});

describe('builds that were', () => {
  it('are listed, the newest first, and each has a page', async () => {
    const folder = makeWorkspace(FILES);
    const workspace = await opened(folder);
    expect(await history(workspace)).toEqual({ builds: [], unreadable: [], older: 0 });
    expect((await errorOf(report(workspace))).code).toBe('file-not-found');
    await build(workspace, ['whole']).result;
    await build(workspace, ['again']).result;
    const { builds } = await history(workspace);
    expect(builds.map(({ requested }) => requested)).toEqual([['again'], ['whole']]);
    expect(await history(workspace, { most: 1 })).toMatchObject({ builds: [builds[0]], older: 1 });
    const [last, first] = builds.map(({ id }) => id);
    expect(await record(workspace)).toEqual(builds[0]);
    expect((await record(workspace, first)).id).toBe(first);
    expect((await errorOf(record(workspace, 'x'))).code).toBe('usage');
    const page = await report(workspace, { file: folder.path('page.html') });
    expect(page).toContain(`${last}</title>`);
    expect(folder.text('page.html')).toBe(page);
    expect(await report(workspace, { build: first ?? '' })).toContain(`${first}</title>`);
    folder.write('mine.html', 'mine');
    expect((await errorOf(report(workspace, { file: folder.path('mine.html') }))).code).toBe(
      'output-foreign',
    );
    expect(folder.text('mine.html')).toBe('mine');
    folder.write(`.res/builds/${last}.json`, '{');
    expect(await history(workspace)).toMatchObject({ builds: [builds[1]], unreadable: [last] });
    expect((await record(workspace)).id).toBe(first);
    expect((await errorOf(report(workspace, { build: last ?? '' }))).code).toBe('state-damaged');
  });
});

describe('upkeep', () => {
  it('verifies, mends, cleans and drops', async () => {
    const folder = makeWorkspace(FILES);
    const workspace = await opened(folder);
    await build(workspace).result;
    folder.write('resources/again', 'onX two');
    expect(await verify(workspace)).toMatchObject({ ok: false });
    expect(await verify(workspace, [], { repair: true, overwrite: true })).toMatchObject({ ok: true });
    expect(folder.text('resources/again')).toBe('one two');
    expect((await clean(workspace, ['again'])).removed.map(({ path }) => path)).toEqual([
      folder.path('resources', 'again'),
    ]);
    expect(folder.exists('resources/whole-amd64')).toBe(true);
    expect((await gc(workspace, { dryRun: true })).dryRun).toBe(true);
    expect((await gc(workspace)).left.objects).toBe(0);
  });

  it('resolves sources anew', async () => {
    server = await startReleaseServer({});
    const file = await server.file('tool', Buffer.from('1'));
    const folder = makeWorkspace(`res: 1\nartifacts:\n  tool: { url: "${file.url}", output: tool }\n`);
    const workspace = await opened(folder);
    await build(workspace).result;
    await server.file('tool', Buffer.from('22'));
    expect((await update(workspace)).sources).toMatchObject([{ change: 'changed' }]);
    await build(workspace).result;
    expect(folder.text('resources/tool')).toBe('22');
  });
});

describe('what others get', () => {
  it('is a crate, a statement, and a bundle that builds offline', async () => {
    const folder = makeWorkspace(FILES);
    const workspace = await opened(folder);
    await build(workspace).result;
    expect((await provenance(workspace, 'again')).subject.map(({ name }) => name)).toEqual(['again']);
    await exportCrate(workspace, ['again'], folder.path('crate'), { license: 'CC0' });
    expect(folder.exists('crate/ro-crate-metadata.json')).toBe(true);
    await bundle(workspace, ['again'], folder.path('all.tar'));
    const there = await unbundle(folder.path('all.tar'), folder.path('there'));
    const other = await open({ cwd: there.dir });
    expect(await build(other, there.nodes, { offline: true }).result).toMatchObject({
      ok: true,
      downloaded_bytes: 0,
    });
    expect(folder.text('there/resources/again')).toBe('one two');
  });

  it.each(['provenance', 'crate', 'bundle', 'unbundle', 'verify', 'gc', 'clean', 'update', 'plan'] as const)(
    'and %s ends at once under a signal that is aborted',
    async (what) => {
      const workspace = await opened(makeWorkspace(FILES));
      const signal = AbortSignal.abort();
      const work = {
        provenance: () => provenance(workspace, 'again', { signal }),
        crate: () => exportCrate(workspace, [], '/nowhere', { signal }),
        bundle: () => bundle(workspace, [], '/nowhere.tar', { signal }),
        unbundle: () => unbundle('/nowhere.tar', '/nowhere', { signal }),
        verify: () => verify(workspace, [], { signal }),
        gc: () => gc(workspace, { signal }),
        clean: () => clean(workspace, [], { signal }),
        update: () => update(workspace, [], { signal }),
        plan: () => plan(workspace, [], { signal }),
      };
      expect((await errorOf(work[what]())).code).toBe('interrupted');
    },
  );
});
