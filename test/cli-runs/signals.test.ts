// SIGINT, SIGTERM and SIGHUP at every stage: status 130, no child, no temporary, what has arrived kept, and a next build that
// ends well. A terminal signals the whole group of processes, a supervisor the one.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isRunning, type Run } from '../rig/cli.js';
import { runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { startReleaseServer } from '../rig/release-server.js';
import { has } from '../rig/tools.js';
import { atEnd, filesBelow, openScene, type Scene } from './engine-scene.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Signal = (typeof SIGNALS)[number];
/** Whom a signal is sent to. */
type To = 'process' | 'group';

type Sent = readonly [Signal, To];

const isLong = process.env.RES_TEST_LONG === '1';

/** Each signal in each way in a long run; else those that are named. */
function each(...few: readonly Sent[]): readonly Sent[] {
  if (!isLong) return few;
  return SIGNALS.flatMap((signal) => [[signal, 'process'] as const, [signal, 'group'] as const]);
}

const BIG = seededBytes('signals big', 600_000);
const SMALL = seededBytes('signals small', 40_000);
const MANIFEST = `res: 1
artifacts:
  big: { github: { repo: lab/signals, release: v1, asset: big } }
  small: { github: { repo: lab/signals, release: v1, asset: small }, output: small }
targets:
  both: { merge: [big, small], output: both }
default: [both]
`;

async function openSite() {
  const server = await startReleaseServer();
  atEnd(() => server.close());
  const release = await server.release('lab/signals', 'v1', { big: BIG, small: SMALL });
  const env = { GITHUB_API_URL: server.apiUrl, RES_STALL_TIMEOUT: '20' };
  return { server, release, env, scene: openScene({ 'resources.yaml': MANIFEST }, env) };
}

function send(run: Run, signal: Signal | 'SIGKILL', to: To): void {
  try {
    if (to === 'group') process.kill(-run.pid, signal);
    else run.signal(signal);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Looks again until it holds; what another process does tells nobody. */
async function eventually(holds: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The run was stopped by the user: it says so and nothing worse, and nothing of it is left. */
async function expectStopped(scene: Scene, run: Run): Promise<void> {
  const { status, stdout, stderr } = await run.result;
  expect(status, `${stdout}\n${stderr}`).toBe(130);
  expect(stderr).not.toMatch(/failed:|bug of res|^\s+at .*:\d+:\d+/m);
  expect(stderr).toMatch(/interrupted/);
  expect(scene.temporaries()).toEqual([]);
}

function expectBoth({ work }: Scene): void {
  expect(work.read('resources/both').equals(Buffer.concat([BIG, SMALL]))).toBe(true);
}

/** A program that says its version, and else notes its process and never ends. */
function endless(name: string, script: string) {
  const dir = mkdtempSync(join(runFolder(), 'endless-'));
  atEnd(() => rmSync(dir, { recursive: true, force: true }));
  const note = (file: string) => `echo $$ > '${dir}/${file}.new'; mv '${dir}/${file}.new' '${dir}/${file}'`;
  const text = script.replaceAll('NOTE_OUTER', note('outer')).replaceAll('NOTE', note('pid'));
  writeFileSync(
    join(dir, name),
    `#!/bin/sh\ncase "$1" in --version) echo '${name} 1.0'; exit;; esac\n${text}\n`,
  );
  chmodSync(join(dir, name), 0o755);
  const pid = async (file = 'pid') => {
    await eventually(() => existsSync(join(dir, file)));
    return Number(readFileSync(join(dir, file), 'utf8'));
  };
  return { dir, path: `${dir}:${process.env.PATH ?? ''}`, pid };
}

const FOREVER = 'while :; do sleep 0.05; done';
const XZ = Buffer.from('fd377a585a0000', 'hex');

/** A build that is in the middle of running xz. */
function openUnpacking(script: string) {
  const tool = endless('xz', script);
  const scene = openScene({
    'resources.yaml':
      'res: 1\nartifacts: { packed: { path: packed } }\ntargets: { out: { decompress: packed, output: out } }\ndefault: [out]\n',
    packed: Buffer.concat([XZ, Buffer.alloc(1000)]),
  });
  return { scene, tool };
}

/** A site in which a build is under way and goes on only when it is let. */
async function openBusySite() {
  const { scene, server, release } = await openSite();
  const big = release.asset('big');
  let free: () => void = () => undefined;
  const until = new Promise<void>((resolve) => {
    free = resolve;
  });
  server.fault(big, { stall: { after: 1000, until } });
  const first = scene.start(['build']);
  await server.until(({ path, state }) => path === big.contentPath && state === 'stalled');
  return { scene, first, free };
}

describe('a signal', () => {
  it.each(each(['SIGHUP', 'group'], ['SIGTERM', 'process']))(
    '%s to the %s while it waits for another build',
    async (signal, to) => {
      const { scene, first, free } = await openBusySite();
      const second = scene.start(['build']);
      await second.printed(/waiting for/);
      send(second, signal, to);
      expect((await second.result).status).toBe(130);
      // Nothing of the first one is gone with it.
      free();
      const { status, stderr } = await first.result;
      expect(status, stderr).toBe(0);
      expectBoth(scene);
    },
  );

  it.each(each(['SIGINT', 'group']))('%s to the %s while sources are asked', async (signal, to) => {
    const { scene, server } = await openSite();
    const api = '/repos/lab/signals/releases/tags/v1';
    server.fault(api, { answer: 'never' });
    const run = scene.start(['build']);
    await server.until(({ path, state }) => path === api && state === 'stalled');
    send(run, signal, to);
    await expectStopped(scene, run);
    expect(scene.work.exists('resources.lock.yaml')).toBe(false);
    await scene.built();
    expectBoth(scene);
  });

  it.each(each(['SIGHUP', 'process'], ['SIGINT', 'group']))(
    '%s to the %s in a download, and while it waits to try again',
    async (signal, to) => {
      const { scene, server, release } = await openSite();
      const big = release.asset('big');
      server.fault(big, { cut: { after: 250_000 } }, { status: 503, retryAfter: 50 });
      const run = scene.start(['build']);
      await run.printed(/again in 50 s/);
      send(run, signal, to);
      await expectStopped(scene, run);
      server.reset();
      server.fault(big, { stall: { after: 150_000 } });
      const again = scene.start(['build']);
      await server.until(({ path, state }) => path === big.contentPath && state === 'stalled');
      const partials = () =>
        filesBelow(scene.work.path('.res/partial')).map((path) => readFileSync(path).length);
      await eventually(() => partials().includes(400_000));
      send(again, signal, to);
      await expectStopped(scene, again);
      server.reset();
      await scene.built();
      expectBoth(scene);
      expect(server.bytesSent(big)).toBe(200_000);
      expect(server.requests('/repos/lab/signals/releases/tags/v1')).toEqual([]);
      expect(partials()).toEqual([]);
    },
  );

  it.each(each(['SIGINT', 'group'], ['SIGINT', 'process'], ['SIGTERM', 'process'], ['SIGHUP', 'group']))(
    '%s to the %s while a program unpacks',
    async (signal, to) => {
      const { scene, tool } = openUnpacking(`echo some; NOTE; ${FOREVER}`);
      const run = scene.start(['build'], { env: { PATH: tool.path } });
      const pid = await tool.pid();
      send(run, signal, to);
      await expectStopped(scene, run);
      expect(isRunning(pid)).toBe(false);
      expect(scene.work.exists('resources/out')).toBe(false);
    },
  );

  it.each(each(['SIGTERM', 'process']))('%s to the %s while it unpacks by itself', async (signal, to) => {
    const scene = openScene({
      'resources.yaml':
        'res: 1\nartifacts: { packed: { path: packed.gz } }\ntargets: { out: { decompress: packed, output: out } }\ndefault: [out]\n',
      'packed.gz': gzipSync(Buffer.alloc(128 * 1024 * 1024), { level: 1 }),
    });
    const run = scene.start(['build', '--progress', 'json']);
    await run.printed('"type":"progress"');
    send(run, signal, to);
    const { status, stderr } = await run.result;
    expect(status, stderr).toBe(130);
    expect(stderr).not.toMatch(/"failed"|bug/);
    expect(scene.temporaries()).toEqual([]);
    expect(scene.work.exists('resources/out')).toBe(false);
    await scene.built();
    expect(scene.work.read('resources/out').length).toBe(128 * 1024 * 1024);
  });

  it.each(each(['SIGHUP', 'group']))(
    '%s to the %s in update leaves the lock as it was',
    async (signal, to) => {
      const { scene, server, release } = await openSite();
      await scene.built();
      const before = scene.work.text('resources.lock.yaml');
      await release.put('small', seededBytes('another', 50_000));
      const api = '/repos/lab/signals/releases/tags/v1';
      server.fault(api, { answer: 'never' });
      const run = scene.start(['update']);
      await server.until(({ path, state }) => path === api && state === 'stalled');
      send(run, signal, to);
      await expectStopped(scene, run);
      expect(scene.work.text('resources.lock.yaml')).toBe(before);
      expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    },
  );

  it.each(each(['SIGINT', 'process']))('%s to the %s in verify', async (signal, to) => {
    const scene = openScene({
      'resources.yaml': 'res: 1\nartifacts: { much: { url: "file:much", output: much } }\ndefault: [much]\n',
      much: Buffer.alloc(300 * 1024 * 1024, 'v'),
    });
    await scene.built();
    const run = scene.start(['verify', '--progress', 'json']);
    // Before the first progress is told, a fast machine may be through.
    await run.printed('"type":"started"');
    send(run, signal, to);
    const { status, stdout, stderr } = await run.result;
    expect(status, `${stdout}\n${stderr}`).toBe(130);
    expect(stderr).not.toMatch(/bug|^\s+at /m);
    const { status: next } = await scene.run(['verify']);
    expect(next).toBe(0);
  });

  it.each(each(['SIGTERM', 'process']))(
    '%s to the %s in clean that waits for a build',
    async (signal, to) => {
      const { scene, first, free } = await openBusySite();
      const cleaning = scene.start(['clean']);
      await new Promise((resolve) => setTimeout(resolve, 500));
      send(cleaning, signal, to);
      const ended = await cleaning.result;
      // As a shell counts: 128 and the number of the signal that ended it, or 130.
      expect(ended.status === 130 || ended.signal === signal, JSON.stringify(ended)).toBe(true);
      free();
      expect((await first.result).status).toBe(0);
      expectBoth(scene);
    },
  );
});

const MOMENTS = isLong ? 100 : 9;

describe('at any moment of a build', () => {
  it('a signal ends it with 130 or lets it end well, and nothing is lost', { timeout: 600_000 }, async () => {
    const { scene: whole, env, server } = await openSite();
    const { durationMs } = await whole.run(['build']);
    for (let n = 0; n < MOMENTS; n++) {
      const scene = openScene({ 'resources.yaml': MANIFEST }, env);
      const signal = SIGNALS[n % 3] ?? 'SIGINT';
      const moment = ((n + Math.random()) / MOMENTS) * durationMs * 1.1;
      const run = scene.start(['build']);
      await new Promise((resolve) => setTimeout(resolve, moment));
      send(run, signal, n % 2 === 0 ? 'group' : 'process');
      const { status, signal: by, stderr } = await run.result;
      const where = `${signal} after ${Math.round(moment)} of ${Math.round(durationMs)} ms\n${stderr}`;
      // Before there is anything to put in order the signal ends it as it ends any program.
      expect(status === 130 || status === 0 || by === signal, where).toBe(true);
      expect(stderr, where).not.toMatch(/failed:|bug of res|^\s+at .*:\d+:\d+/m);
      expect(scene.temporaries(), where).toEqual([]);
      if (scene.work.exists('resources/both')) expectBoth(scene);
      server.reset();
      await scene.built();
      expectBoth(scene);
      expect(scene.temporaries(), where).toEqual([]);
      expect(filesBelow(scene.work.path('.res/partial')), where).toEqual([]);
      expect((await scene.run(['build'])).stdout, where).toBe('up to date\n');
      scene.work.remove();
    }
  });
});

describe('a second signal', () => {
  it.each(SIGNALS)('(%s) ends it at once, and the program that does not listen with it', async (signal) => {
    const { scene, tool } = openUnpacking(`trap '' TERM INT HUP; NOTE; ${FOREVER}`);
    const run = scene.start(['build'], { env: { PATH: tool.path } });
    const pid = await tool.pid();
    run.signal(signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const asked = performance.now();
    run.signal('SIGINT');
    expect((await run.result).status).toBe(130);
    // The grace of a program that is told to end is 3 s.
    expect(performance.now() - asked).toBeLessThan(1500);
    await eventually(() => !isRunning(pid));
    // What it had no time to put in order, the next one does.
    rmSync(tool.dir, { recursive: true });
    await scene.run(['build']);
    expect(scene.temporaries()).toEqual([]);
  });
});

describe.skipIf(!has('sh'))('res killed with SIGKILL', () => {
  it.each(['process', 'group'] as const)('(its %s) leaves no program behind', async (to) => {
    const { scene, tool } = openUnpacking(`NOTE; ${FOREVER}`);
    const run = scene.start(['build'], { env: { PATH: tool.path } });
    const pid = await tool.pid();
    send(run, 'SIGKILL', to);
    await run.result;
    await eventually(() => !isRunning(pid));
  });

  it('leaves none that a program started and waits for, and none that does not listen', async () => {
    const { scene, tool } = openUnpacking(
      `NOTE_OUTER\nsh -c 'trap "" TERM INT HUP; echo $$ > "$0.new"; mv "$0.new" "$0"; ${FOREVER}' "$(dirname "$0")/inner"`,
    );
    const run = scene.start(['build'], { env: { PATH: tool.path } });
    const [outer, inner] = [await tool.pid('outer'), await tool.pid('inner')];
    run.signal('SIGKILL');
    await run.result;
    await eventually(() => !isRunning(outer) && !isRunning(inner));
  });

  it('leaves none where PATH has nothing but the program', async () => {
    const { scene, tool } = openUnpacking(`NOTE; ${FOREVER}`);
    for (const name of ['sh', 'sleep', 'mv']) symlinkSync(`/bin/${name}`, join(tool.dir, name));
    const run = scene.start(['build'], { env: { PATH: tool.dir } });
    const pid = await tool.pid();
    run.signal('SIGKILL');
    await run.result;
    await eventually(() => !isRunning(pid));
  });
});
