// How a build goes: what runs at once, what goes on after a failure, what is said, and two builds in one workspace.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/model/event.js';
import { fakeTool } from '../rig/fake-tool.js';
import { runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { has, tool } from '../rig/tools.js';
import { atEnd, openRelease, openScene, outcome, type Scene } from './engine-scene.js';

const qemu = describe.skipIf(!has('qemu-img'));

/** Four conversions that do not depend on each other, and one node after two of them. */
const FOUR = `res: 1
artifacts:
  a: { path: a.img }
  b: { path: b.img }
  c: { path: c.img }
  d: { path: d.img }
targets:
  qa: { convert: a, from: raw, to: qcow2, output: a.qcow2 }
  qb: { convert: b, from: raw, to: qcow2, output: b.qcow2 }
  qc: { convert: c, from: raw, to: qcow2, output: c.qcow2 }
  qd: { convert: d, from: raw, to: qcow2, output: d.qcow2 }
  ab: { merge: [qa, qb], output: ab }
default: [ab, qc, qd]
`;

function openFour(manifest = FOUR): Scene {
  const images = ['a', 'b', 'c', 'd'].map((name) => [`${name}.img`, seededBytes(name, 1 << 20)]);
  return openScene({ 'resources.yaml': manifest, ...Object.fromEntries(images) });
}

/** A qemu-img that waits until so many run at once (or no more come), and notes how many there were. */
function meetingTool(count: number) {
  const dir = mkdtempSync(join(runFolder(), 'meeting-'));
  const meeting = fakeTool({
    before: `if [ "$1" = convert ]; then
  touch "${dir}/here.$$"
  n=0
  while [ $n -lt 40 ] && [ "$(ls "${dir}" | grep -c here)" -lt ${count} ]; do sleep 0.02; n=$((n+1)); done
  ls "${dir}" | grep -c here >> "${dir}/seen"
  '${realQemu()}' "$@"; status=$?
  rm "${dir}/here.$$"
  exit $status
fi`,
  });
  atEnd(() => {
    meeting.remove();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    env: { PATH: meeting.path },
    /** The most that were there at once. */
    most: () => Math.max(...readFileSync(join(dir, 'seen'), 'utf8').trim().split('\n').map(Number)),
  };
}

function realQemu(): string {
  const folder = (process.env.PATH ?? '').split(':').find((one) => existsSync(join(one, 'qemu-img')));
  return join(folder ?? '/usr/bin', 'qemu-img');
}

qemu('the limits', () => {
  it.each([
    ['-j 1 runs one at a time', FOUR, ['-j', '1'], 2, 1],
    ['two conversions run at once by default of the pool', FOUR, ['-j', '4'], 2, 2],
    ['the pool of the manifest is kept, whatever -j is', `${FOUR}pools: { disk: 1 }\n`, ['-j', '4'], 2, 1],
    ['a larger pool lets more run', `${FOUR}pools: { disk: 4, cpu: 4 }\n`, ['-j', '4'], 4, 4],
  ])('%s', async (_, manifest, args, meet, most) => {
    const scene = openFour(manifest);
    const meeting = meetingTool(meet);
    await scene.built(args, { env: meeting.env });
    expect(meeting.most()).toBe(most);
  });

  it('of the network pool is kept', async () => {
    const scene = await openRelease({ partSize: 256 * 1024 });
    scene.work.write('resources.yaml', `${scene.work.text('resources.yaml')}\npools: { network: 2 }\n`);
    let go: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      go = resolve;
    });
    for (const name of Object.keys(scene.amd64.assets))
      scene.server.faultAlways(scene.release.asset(name), { stall: { after: 10, until } });
    const run = scene.start(['build', 'merged', 'kernel', 'client']);
    const stalled = () => scene.server.requests().filter(({ state }) => state === 'stalled').length;
    await scene.server.until(() => stalled() === 2);
    go();
    expect((await run.result).status).toBe(0);
    const open = scene.server.requests().length;
    expect(open).toBeGreaterThan(4);
  });

  it('that nothing runs in is an error', async () => {
    const scene = openFour(`${FOUR}pools: { magic: 1 }\n`);
    const { status, stderr } = await scene.run(['build']);
    expect(status).toBe(2);
    expect(stderr).toContain('magic');
  });
});

qemu('after a failure', () => {
  /** Fails for one image, with words. */
  const failing = (image: string) => {
    const broken = fakeTool({
      before: `case "$*" in *convert*${image}*)
  n=1; while [ $n -le 30 ]; do echo "complaint $n" >&2; n=$((n+1)); done
  exit 7;;
esac`,
    });
    atEnd(() => broken.remove());
    return { env: { PATH: broken.path }, calls: broken.calls };
  };

  it('nothing more is started', async () => {
    const scene = openFour();
    // One at a time, and that image first.
    const { env } = failing('a.img');
    const result = await scene.build(['-j', '1', 'qa', 'qb', 'qc', 'qd'], { env });
    expect(result.ok).toBe(false);
    expect(result.failed).toEqual(['qa']);
    expect(result.ran).toEqual([]);
    expect([...result.skipped].sort()).toEqual(['qb', 'qc', 'qd']);
  });

  it('-k goes on with what does not depend on it', async () => {
    const scene = openFour();
    const { env } = failing('a.img');
    const result = await scene.build(['-k'], { env });
    expect(outcome(result)).toEqual({
      failed: ['qa'],
      ran: ['qb', 'qc', 'qd'],
      skipped: ['ab'],
      fresh: ['a', 'b', 'c', 'd'],
    });
    expect(scene.work.exists('resources/ab')).toBe(false);
  });

  it('the whole of it is told: node, command line, exit status, last lines, log', async () => {
    const scene = openFour();
    const { env } = failing('a.img');
    const { status, stderr } = await scene.run(['build', 'qa'], { env });
    expect(status).toBe(1);
    const lines = stderr.split('\n');
    const at = lines.findIndex((line) => line.startsWith('failed: qa: '));
    expect(at).toBeGreaterThan(-1);
    const block = lines.slice(at);
    expect(block[0]).toContain('exit status 7');
    expect(block[1]).toMatch(/^ {2}command: qemu-img convert -p -f raw -O qcow2 .*a\.img/);
    expect(block[2]).toBe('  ended: exit status 7');
    const tail = block.filter((line) => line.startsWith('  | '));
    expect(tail).toHaveLength(20);
    expect(tail.at(-1)).toBe('  | complaint 30');
    const log = block.find((line) => line.startsWith('  log: '))?.slice('  log: '.length);
    expect(log).toBeDefined();
    const whole = scene.work.text(log ?? '');
    expect(whole).toContain('$ qemu-img convert');
    expect(whole).toContain('complaint 1\n');
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect((await scene.run(['log', 'qa'])).stdout).toBe(whole);
    expect(scene.temporaries()).toEqual([]);
  });

  it('the node is failed, and runs again in the next build', async () => {
    const scene = openFour();
    const { env, calls } = failing('a.img');
    await scene.build(['-k'], { env });
    expect((await scene.node('qa', [], { env })).state).toBe('failed');
    expect((await scene.run(['status', '--check'], { env })).status).toBe(3);
    const before = calls().length;
    expect((await scene.build(['-k'], { env })).failed).toEqual(['qa']);
    expect(calls().length).toBeGreaterThan(before);
    const result = await scene.built();
    expect(result.ran).toEqual(expect.arrayContaining(['qa', 'ab']));
    expect((await scene.node('qa')).state).toBe('fresh');
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('an output that was there before stays as it was', async () => {
    const scene = openFour();
    await scene.built(['qa']);
    const before = scene.work.read('resources/a.qcow2');
    scene.work.write('a.img', seededBytes('other', 1 << 20));
    const { env } = failing('a.img');
    expect((await scene.build(['qa'], { env })).ok).toBe(false);
    expect(scene.work.read('resources/a.qcow2').equals(before)).toBe(true);
    // And what it was made of, put back, finds it fresh.
    scene.work.write('a.img', seededBytes('a', 1 << 20));
    expect((await scene.node('qa')).state).toBe('fresh');
  });

  it('a program that is missing is named with what to do', async () => {
    const scene = openFour();
    const bare = mkdtempSync(join(runFolder(), 'bare-'));
    await tool(['ln', '-s', process.execPath, join(bare, 'node')]);
    const { status, stderr } = await scene.run(['build', 'qa'], { env: { PATH: bare } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/failed: qa: .*qemu-img/);
    expect(stderr).toContain('res doctor --fix');
  });
});

qemu('what is run', () => {
  it('-B runs every action again, and gives the same', async () => {
    const scene = await openRelease();
    await scene.built();
    const raw = scene.work.read('resources/disk-image.raw');
    scene.server.reset();
    const again = fakeTool({ version: '7.7.7' });
    atEnd(() => again.remove());
    const result = await scene.built(['-B']);
    expect(result.ran).toEqual(expect.arrayContaining(['merged', 'qcow2', 'raw-disk']));
    // What comes from outside is fixed: to fetch it again could give nothing else.
    expect(result.downloaded_bytes).toBe(0);
    expect(scene.work.read('resources/disk-image.raw').equals(raw)).toBe(true);
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('gets a clean environment, no standard input, and no shell', async () => {
    const scene = openFour();
    const seen = mkdtempSync(join(runFolder(), 'seen-'));
    const spy = fakeTool({
      before: `[ "$1" = convert ] && { env > '${seen}/env'; cat > '${seen}/stdin'; readlink /proc/$$/fd/0 > '${seen}/fd0' || true; }`,
    });
    atEnd(() => spy.remove());
    await scene.built(['qa'], { env: { PATH: spy.path, GITHUB_TOKEN: 'ghp_secret', SOMETHING: 'else' } });
    const names = readFileSync(join(seen, 'env'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    // sh adds PWD, SHLVL and _ of its own.
    const allowed = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'PWD', 'OLDPWD', 'SHLVL', '_'];
    expect(names.filter((name) => !allowed.includes(name ?? ''))).toEqual([]);
    expect(readFileSync(join(seen, 'stdin'), 'utf8')).toBe('');
  });
});

describe('content that several nodes have', () => {
  const SHARED = `res: 1
artifacts: { words: { path: words.txt } }
targets:
  joined: { merge: [words, words] }
  a: { copy: joined, output: a }
  b: { copy: joined, output: deep/b }
  c: { copy: a, output: c }
  same: { merge: [words, words], output: same }
  longer: { merge: [joined, a, words], output: longer }
default: [a, b, c, same, longer]
`;

  it.each([[[]], [['-j', '1']], [['longer', 'c', 'b', 'a', 'same']]])(
    'is put in each place, made once where it is moved about (%j)',
    async (args) => {
      const scene = openScene({ 'resources.yaml': SHARED, 'words.txt': 'w\n' });
      const expectAll = () => {
        for (const name of ['a', 'deep/b', 'c', 'same'])
          expect(scene.work.text(`resources/${name}`), name).toBe('w\nw\n');
        expect(scene.work.text('resources/longer')).toBe('w\nw\nw\nw\nw\n');
      };
      await scene.built(args);
      expectAll();
      expect((await scene.run(['build', ...args])).stdout).toBe('up to date\n');
      for (const name of ['a', 'deep/b', 'c', 'longer']) rmSync(scene.work.path('resources', name));
      // One of them is there still: nothing needs to be made but what was made of it.
      const { ran, restored } = await scene.built(args);
      expect([...ran, ...restored].sort()).toEqual(expect.arrayContaining(['a', 'b', 'c', 'longer']));
      expect(ran).not.toContain('same');
      expect(ran).not.toContain('joined');
      expectAll();
      rmSync(scene.work.path('resources'), { recursive: true });
      await scene.built(args);
      expectAll();
      expect(scene.temporaries()).toEqual([]);
    },
  );

  it('a list of sums may be an output too', async () => {
    const scene = await openRelease();
    const { work } = scene;
    work.write(
      'resources.yaml',
      work
        .text('resources.yaml')
        .replace('\n  all:', '\n  sums: { copy: disk-sums, output: disk-image.sums }\n\n  all:'),
    );
    await scene.built(['sums', 'raw-disk']);
    expect(work.text('resources/disk-image.sums')).toContain('temp/disk-image.qcow2');
    rmSync(work.path('resources'), { recursive: true });
    await scene.built(['raw-disk', 'sums']);
    expect(work.text('resources/disk-image.sums')).toContain('temp/disk-image.qcow2');
  });
});

describe('what is told to programs', () => {
  const TEXT = `res: 1
artifacts: { words: { path: words.txt } }
targets:
  one: { merge: [words, words], output: one.txt }
  two: { merge: [one, words], output: two.txt }
default: [two]
`;
  const open = () => openScene({ 'resources.yaml': TEXT, 'words.txt': 'w\n' });

  it('events are one JSON object a line, ending with the summary', async () => {
    const scene = open();
    const events = await scene.events();
    const of = <T extends BuildEvent['type']>(type: T) =>
      events.filter((event): event is Extract<BuildEvent, { type: T }> => event.type === type);
    expect(of('planned')).toMatchObject([{ run: 2, restore: 0 }]);
    for (const node of ['one', 'two']) {
      const started = events.findIndex((event) => event.type === 'started' && event.node === node);
      const finished = events.findIndex((event) => event.type === 'finished' && event.node === node);
      expect(started).toBeGreaterThan(-1);
      expect(finished).toBeGreaterThan(started);
    }
    expect(of('finished')).toMatchObject([
      {
        node: 'one',
        work: 'execute',
        size: 4,
        output: 'one.txt',
        digests: [expect.stringMatching(/^sha256:/)],
      },
      { node: 'two', work: 'execute', size: 6, output: 'two.txt' },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'summary', ok: true, ran: ['one', 'two'], fresh: ['words'] });
    const again = await scene.events();
    expect(again).toMatchObject([
      { type: 'summary', ok: true, ran: [], fresh: expect.arrayContaining(['one']) },
    ]);
  });

  it('every node of the closure is in exactly one list of the result', async () => {
    const scene = open();
    for (const result of [await scene.build(), await scene.build(['one'])]) {
      const { ran, restored, fresh, failed, skipped } = result;
      const all = [...ran, ...restored, ...fresh, ...failed, ...skipped];
      expect(new Set(all).size).toBe(all.length);
    }
    rmSync(scene.work.path('words.txt'));
    const { status, stderr, stdout } = await scene.run(['build', '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'file-not-found' } });
    expect(stderr).toContain('words.txt');
  });

  it('--trace leaves a trace of what ran, and no file where it cannot', async () => {
    const scene = open();
    await scene.build(['--trace', 'trace.json']);
    const trace = JSON.parse(scene.work.text('trace.json'));
    const ran = trace.traceEvents.filter(
      ({ ph, cat }: { ph: string; cat: string }) => ph === 'X' && cat !== 'placing',
    );
    expect(ran.map(({ name }: { name: string }) => name).sort()).toEqual(['one', 'two']);
    const { status, stderr } = await scene.run(['build', '--trace', 'nowhere/trace.json']);
    expect(status).toBe(1);
    expect(stderr).toContain('cannot write the trace');
  });

  it('stdout carries the answer alone', async () => {
    const scene = open();
    const first = await scene.run(['build']);
    expect(first.stdout).toMatch(/^2 ran, 1 fresh; .*\n$/);
    const quiet = await scene.run(['build', '-q', '-B']);
    expect(quiet).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('each build leaves a record', async () => {
    const scene = open();
    await scene.built();
    const [name, ...others] = readdirSync(scene.work.path('.res/builds'));
    expect(others).toEqual([]);
    expect(JSON.parse(scene.work.text(`.res/builds/${name}`))).toMatchObject({
      requested: ['two'],
      outcome: 'done',
    });
  });
});

describe('two builds in one workspace', () => {
  it('the second waits, says for whom, and finds everything done', async () => {
    const scene = await openRelease();
    let go: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      go = resolve;
    });
    scene.server.faultAlways(scene.release.asset(scene.amd64.kernel), { stall: { after: 1000, until } });
    const first = scene.start(['build', 'kernel', 'client']);
    await scene.server.until(({ state }) => state === 'stalled');
    const second = scene.start(['build', 'kernel', 'client']);
    await second.printed(`waiting for`);
    expect(second.stderr).toContain(String(first.pid));
    expect(second.stderr).toContain('res build kernel client');
    const asked = scene.server.requests().length;
    go();
    expect((await first.result).status).toBe(0);
    const { status, stdout } = await second.result;
    expect(status).toBe(0);
    expect(stdout).toBe('up to date\n');
    expect(scene.server.requests(scene.release.asset(scene.amd64.kernel)).length).toBeLessThanOrEqual(asked);
  });

  it('one that waits can be interrupted, and the other goes on', async () => {
    const scene = await openRelease();
    let go: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      go = resolve;
    });
    scene.server.faultAlways(scene.release.asset(scene.amd64.kernel), { stall: { after: 1000, until } });
    const first = scene.start(['build', 'kernel']);
    await scene.server.until(({ state }) => state === 'stalled');
    const second = scene.start(['build', 'kernel']);
    await second.printed('waiting for');
    second.signal('SIGINT');
    expect((await second.result).status).toBe(130);
    go();
    expect((await first.result).status).toBe(0);
  });

  it('a build that was killed holds up nobody', async () => {
    const scene = await openRelease();
    scene.server.fault(scene.release.asset(scene.amd64.kernel), { stall: { after: 1000 } });
    const first = scene.start(['build', 'kernel']);
    await scene.server.until(({ state }) => state === 'stalled');
    await first.kill();
    const { status, stderr } = await scene.run(['build', 'kernel']);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('waiting');
  });

  it('looking does not wait', async () => {
    const scene = await openRelease();
    scene.server.fault(scene.release.asset(scene.amd64.kernel), { stall: { after: 1000 } });
    const first = scene.start(['build', 'kernel']);
    await scene.server.until(({ state }) => state === 'stalled');
    expect((await scene.node('kernel')).state).toBe('stale');
    first.signal('SIGTERM');
    expect((await first.result).status).toBe(130);
  });
});
