// The faces with made-up builds of 5 and of 200 nodes.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FaceOptions } from '../../src/cli/faces/face.js';
import { jsonFace } from '../../src/cli/faces/json.js';
import { liveFace } from '../../src/cli/faces/live.js';
import { plainFace } from '../../src/cli/faces/plain.js';
import { rowText } from '../../src/cli/faces/row.js';
import { Running, timeLeft } from '../../src/cli/faces/running.js';
import { createOutput } from '../../src/cli/output.js';
import type { BuildEvent, ErrorReport } from '../../src/model/event.js';
import { width } from '../../src/report/text.js';
import { digest, page80 } from '../report/samples.js';
import { FakeTerminal } from './terminal.js';

const MIB = 1024 ** 2;

const started = (node: string, rest: Partial<Extract<BuildEvent, { type: 'started' }>> = {}): BuildEvent => ({
  type: 'started',
  node,
  work: 'execute',
  detail: `convert ${node}`,
  through: [],
  ...rest,
});
const progress = (
  node: string,
  done: number,
  total: number | null,
  unit: 'bytes' | 'percent' = 'bytes',
): BuildEvent => ({
  type: 'progress',
  node,
  done,
  total,
  unit,
});
const finished = (node: string, output: string | null = null): BuildEvent => ({
  type: 'finished',
  node,
  work: 'execute',
  duration_ms: 3100,
  size: 41.2 * MIB,
  digests: [digest('1')],
  output,
});
const planned = (run: number, restore = 0): BuildEvent => ({
  type: 'planned',
  run,
  restore,
  fresh: 2,
  download_bytes: 390 * MIB,
});
const error: ErrorReport = {
  code: 'command-failed',
  message: 'qemu-img failed',
  hint: null,
  diagnostics: [],
  command: { argv: ['qemu-img', 'convert'], exitCode: 1, tail: ['no space'] },
  log: '/exp/.res/logs/raw.log',
};
const failed = (node: string): BuildEvent => ({ type: 'failed', node, error });

const fiveNodes: readonly BuildEvent[] = [
  { type: 'warning', message: 'kernel is experimental', hint: 'see list' },
  { type: 'resolving', source: 'github:o/r@v1' },
  planned(4, 1),
  started('kernel', { work: 'download', detail: 'vmlinux-focal-amd64' }),
  progress('kernel', 12 * MIB, 41.2 * MIB),
  { type: 'notice', node: 'kernel', message: 'connection reset, trying again' },
  finished('kernel', 'kernel'),
  started('qcow2', { through: ['merged'], detail: 'extract merged' }),
  { type: 'output', node: 'qcow2', text: 'line one' },
  { ...failed('qcow2') },
  { type: 'skipped', node: 'raw', because: 'qcow2' },
];

let clock: number;
const now = () => clock;

function options(
  terminal: FakeTerminal,
  rest: Partial<FaceOptions> = {},
): FaceOptions & { now: () => number } {
  return {
    to: createOutput(terminal, { color: 'never', env: {}, cwd: '/exp' }),
    progress: 'auto',
    quiet: false,
    verbose: false,
    env: {},
    place: (output) => `resources/${output}`,
    now,
    ...rest,
  };
}

beforeEach(() => {
  clock = 0;
});

describe('the plain face', () => {
  const said = (events: readonly BuildEvent[], rest: Partial<FaceOptions> = {}) => {
    const terminal = new FakeTerminal({ isTTY: false });
    const face = plainFace(options(terminal, rest));
    for (const event of events) face.listener(event);
    return terminal.text;
  };

  it('has a line an event', () => {
    expect(said(fiveNodes)).toBe(`warning: kernel is experimental
  hint: see list
asking for github:o/r@v1
4 to run, 1 to restore, 2 fresh; 390 MiB to download
kernel: downloading vmlinux-focal-amd64
kernel: connection reset, trying again
kernel: made 41.2 MiB in 3.1 s → resources/kernel
merged → qcow2: extract merged
failed: qcow2: qemu-img failed
  command: qemu-img convert
  ended: exit status 1
  last lines of its output:
  | no space
  log: .res/logs/raw.log
raw: skipped because of qcow2
`);
  });

  it('has what programs print with -v', () => {
    expect(said(fiveNodes, { verbose: true })).toContain('\nqcow2 | line one\n');
  });

  it('has failures and warnings only with -q', () => {
    const text = said(fiveNodes, { quiet: true });
    expect(text).toMatch(/^warning: kernel is experimental\n {2}hint: see list\nfailed: qcow2:/);
    expect(text).not.toContain('skipped');
  });

  it('shows now and then that a long node is alive', () => {
    const terminal = new FakeTerminal({ isTTY: false });
    const face = plainFace(options(terminal));
    face.listener(started('raw'));
    for (clock = 0; clock <= 25_000; clock += 100) face.listener(progress('raw', clock, 50_000));
    expect(terminal.text.split('\n').filter((line) => line.includes(' of '))).toEqual([
      'raw: 9.8 of 48.8 KiB, 1000 B/s, 0:40 left',
      'raw: 19.5 of 48.8 KiB, 1000 B/s, 0:30 left',
    ]);
  });

  it('says nothing for a build with nothing to do', () => {
    expect(said([planned(0)])).toBe('');
  });

  it('lets no program write control sequences', () => {
    expect(said([{ type: 'output', node: 'a', text: 'x\x1b[2Jy\rz' }], { verbose: true })).toBe('a | xyz\n');
  });
});

it('the JSON face has one object a line, as it came', () => {
  const terminal = new FakeTerminal({ isTTY: false });
  const face = jsonFace(options(terminal).to);
  for (const event of fiveNodes) face.listener(event);
  const lines = terminal.text.trimEnd().split('\n');
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual(fiveNodes);
});

describe('what is under way', () => {
  it('has a rate over the last seconds, and the time left at it', () => {
    const running = new Running();
    running.take(started('a'), 0);
    for (let at = 0; at <= 20_000; at += 100) {
      // Slow for 10 s, then ten times as fast.
      running.take(progress('a', at <= 10_000 ? at : 10_000 + (at - 10_000) * 10, 210_000), at);
    }
    const [row] = running.nodes(20_000);
    expect(row?.rate).toBeCloseTo(10_000, 0);
    expect(row && timeLeft(row)).toBeCloseTo(10_000, 0);
  });

  it('slows down when nothing comes any more', () => {
    const running = new Running();
    running.take(started('a'), 0);
    for (let at = 0; at <= 1000; at += 100) running.take(progress('a', at * 100, null), at);
    expect(running.nodes(1000)[0]?.rate).toBeCloseTo(100_000);
    expect(running.nodes(10_000)[0]?.rate).toBeCloseTo(10_000);
  });

  it('starts to measure anew when a download starts over', () => {
    const running = new Running();
    running.take(started('a'), 0);
    running.take(progress('a', 1000, 2000), 0);
    running.take(progress('a', 2000, 2000), 1000);
    running.take(progress('a', 0, 2000), 1100);
    expect(running.nodes(1100)[0]?.rate).toBeUndefined();
  });

  it('counts what streamed through a node with it, and failures apart', () => {
    const running = new Running();
    running.take(planned(4), 0);
    running.take(started('b', { through: ['a'] }), 0);
    running.take(finished('b'), 1);
    running.take(started('c'), 1);
    running.take(failed('c'), 2);
    running.take({ type: 'skipped', node: 'd', because: 'c' }, 2);
    expect(running.counts).toEqual({ done: 3, total: 4, running: 0, failed: 1 });
  });
});

describe('a row', () => {
  const page = { ...page80, path: (path: string) => path };
  const row = (node: string, event?: BuildEvent, cells = 80) => {
    const running = new Running();
    running.take(started(node, { detail: 'qemu-img convert', through: [] }), 0);
    if (event?.type === 'progress') running.take({ ...event, done: 0 }, 0);
    if (event) running.take(event, 1000);
    const [entry] = running.nodes(1000);
    if (!entry) throw new Error('nothing runs');
    return rowText(entry, '*', 3000, cells, page);
  };

  it('has name, what is done, bytes of total, rate and time left', () => {
    expect(row('raw-disk', progress('raw-disk', 12 * MIB, 390 * MIB))).toBe(
      '* raw-disk  qemu-img convert           12.0 of 390 MiB  12.0 MiB/s     0:32 left',
    );
  });

  it('has percent where bytes are not known', () => {
    expect(row('raw-disk', progress('raw-disk', 42.7, 100, 'percent'))).toBe(
      '* raw-disk  qemu-img convert                      42 %                 0:02 left',
    );
  });

  it('has the time so far where nothing is known', () => {
    expect(row('raw-disk')).toBe(
      '* raw-disk  qemu-img convert                                                0:03',
    );
  });

  it('cuts a long name in its middle, and is never wider than the screen', () => {
    const name = `disk-image-${'x'.repeat(80)}-arm64`;
    expect(row(name, progress(name, MIB, 9 * MIB))).toMatch(/^\* disk-image-x+…x+-arm64 +1\.0 of 9\.0 MiB/);
    for (const cells of [20, 30, 40, 60, 80, 200]) {
      expect(width(row(name, progress(name, 1000 * MIB, 1023 * MIB), cells))).toBeLessThanOrEqual(cells);
    }
  });
});

describe('the live face', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function show(
    terminal: FakeTerminal,
    events: readonly BuildEvent[],
    rest: Partial<FaceOptions> = {},
  ) {
    const face = liveFace(options(terminal, rest));
    for (const event of events) face.listener(event);
    // The screen's library is loaded when there is something to show.
    await vi.dynamicImportSettled();
    await vi.waitFor(() => {
      if (vi.getTimerCount() === 0) throw new Error('not open yet');
    });
    return face;
  }
  const rowsOf = (terminal: FakeTerminal) => terminal.screen.filter((line) => line !== '');

  it('has a row a running node and the counts below', async () => {
    const terminal = new FakeTerminal();
    const face = await show(terminal, [planned(5), started('a'), progress('a', MIB, 2 * MIB), started('b')]);
    vi.advanceTimersByTime(100);
    expect(rowsOf(terminal)).toEqual([
      expect.stringMatching(/^. a {2}convert a +1\.0 of 2\.0 MiB$/),
      expect.stringMatching(/^. b {2}convert b +0:00$/),
      '0 of 5 done, 2 running',
    ]);
    await face.end();
  });

  it('leaves a line a finished node, failures whole, and no rows', async () => {
    const terminal = new FakeTerminal();
    const face = await show(terminal, fiveNodes);
    vi.advanceTimersByTime(100);
    await face.end();
    expect(rowsOf(terminal)).toEqual([
      'warning: kernel is experimental',
      '  hint: see list',
      'kernel: connection reset, trying again',
      'kernel: made 41.2 MiB in 3.1 s → resources/kernel',
      'failed: qcow2: qemu-img failed',
      '  command: qemu-img convert',
      '  ended: exit status 1',
      '  last lines of its output:',
      '  | no space',
      '  log: .res/logs/raw.log',
      'raw: skipped because of qcow2',
    ]);
  });

  it('says once, at the end, what was skipped because of one node', async () => {
    const terminal = new FakeTerminal();
    const skipped = Array.from(
      { length: 9 },
      (_, i): BuildEvent => ({ type: 'skipped', node: `n${i}`, because: 'qcow2' }),
    );
    const face = await show(terminal, [planned(10), started('qcow2'), ...skipped, failed('qcow2')]);
    await face.end();
    const rows = rowsOf(terminal);
    expect(rows.at(-1)).toBe('n0, n1, n2, n3, n4 and 4 more: skipped because of qcow2');
    expect(rows.filter((row) => row.includes('skipped'))).toHaveLength(1);
  });

  it('hides the cursor while it draws, and gives it back', async () => {
    const terminal = new FakeTerminal();
    const face = await show(terminal, [planned(1), started('a')]);
    vi.advanceTimersByTime(100);
    await face.end();
    expect(terminal.text.startsWith('\x1b[?25l')).toBe(true);
    expect(terminal.text.endsWith('\x1b[?25h')).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('draws each frame with one write and clears nothing before it is written over', async () => {
    const terminal = new FakeTerminal();
    const face = await show(terminal, [planned(2), started('a'), started('b')]);
    const before = terminal.writes;
    vi.advanceTimersByTime(1000);
    expect(terminal.writes - before).toBe(10);
    // Clearing below is the last thing in a frame.
    for (const frame of terminal.text.split('\x1b[?2026l'))
      expect(frame.replace(/J$/, '')).not.toContain('J');
    await face.end();
  });

  it('with 200 nodes shows those that run, cut to the screen, and each finished one once', async () => {
    const terminal = new FakeTerminal({ rows: 24 });
    const names = Array.from({ length: 200 }, (_, i) => `node-${i}`);
    const face = await show(terminal, [planned(200), started('node-0')]);
    for (const [i, name] of names.entries()) {
      if (i > 0) face.listener(started(name));
      face.listener(progress(name, i, 200));
      if (i >= 40) face.listener(finished(names[i - 40] ?? ''));
      if (i % 7 === 0) vi.advanceTimersByTime(100);
    }
    vi.advanceTimersByTime(100);
    const screen = rowsOf(terminal);
    expect(screen.at(-1)).toBe('160 of 200 done, 40 running');
    expect(screen.at(-2)).toBe('  and 25 more');
    expect(screen.filter((line) => line.includes('convert'))).toHaveLength(15);
    for (const line of screen) expect(width(line)).toBeLessThanOrEqual(80);
    for (const name of names.slice(160)) face.listener(finished(name));
    await face.end();
    expect(rowsOf(terminal)).toEqual(names.map((name) => `${name}: made 41.2 MiB in 3.1 s`));
  });

  it('keeps to a low and narrow terminal', async () => {
    const terminal = new FakeTerminal({ rows: 5, columns: 40 });
    const face = await show(terminal, [
      planned(9),
      ...['a', 'b', 'c', 'd', 'e', 'f'].map((name) => started(name)),
    ]);
    vi.advanceTimersByTime(100);
    expect(rowsOf(terminal)).toHaveLength(4);
    expect(rowsOf(terminal).at(-1)).toBe('0 of 9 done, 6 running');
    await face.end();
  });

  it('opens no screen for a build with nothing to do, and still says its warnings', async () => {
    const terminal = new FakeTerminal();
    const face = liveFace(options(terminal));
    face.listener({ type: 'warning', message: 'w', hint: null });
    face.listener(planned(0));
    await face.end();
    expect(terminal.text).toBe('warning: w\n');
  });

  it('says what it waits for before anything runs', async () => {
    const terminal = new FakeTerminal();
    const face = await show(terminal, [{ type: 'waiting', for: 'res build (process 12)' }]);
    vi.advanceTimersByTime(100);
    expect(rowsOf(terminal)[0]).toMatch(/^. waiting for res build \(process 12\)$/);
    await face.end();
  });
});
