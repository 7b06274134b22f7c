// What each command looks like in a terminal: nothing is wider than it, colours add nothing to the words, and a graph of
// 300 nodes is as readable as one of five.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { width } from '../../src/report/text.js';
import { normalise } from '../rig/documents.js';
import { CURE, makeLargeWorkspace } from '../rig/large-workspace.js';
import { REPO_ROOT } from '../rig/places.js';
import { linesOf, runInTerminal, withoutColours } from '../rig/pty.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

afterAll(removeWorkspaces);

function quickstart(): Workspace {
  const space = makeWorkspace();
  cpSync(join(REPO_ROOT, 'examples', 'quickstart'), space.dir, {
    recursive: true,
    filter: (path) => !/\/(?:\.res|resources)$/.test(path),
  });
  return space;
}

/** What is to be copied stays in one piece: command lines, what programs print, and a path that is longer than a line. */
const WHOLE = /^ {2}(?:command: |\| )|^ *\S+$/;

function tooWide(text: string, columns: number): readonly string[] {
  return linesOf(text).filter((line) => width(line) > columns && !WHOLE.test(line));
}

interface Said {
  readonly line: string;
  readonly text: string;
}

async function runSession(
  { dir }: Workspace,
  lines: readonly string[],
  columns: number,
  env: Record<string, string> = {},
): Promise<readonly Said[]> {
  const texts = await runInTerminal(
    lines.map((line) => `res ${line}`),
    { cwd: dir, columns, env },
  );
  return lines.map((line, i) => ({ line, text: texts[i] ?? '' }));
}

/**
 * Runs commands with and without colours, which must say the same, and fit.
 * @param raw those whose lines are as long as they are
 */
async function bothWays(
  space: Workspace,
  lines: readonly string[],
  { columns = 80, raw = [] }: { readonly columns?: number; readonly raw?: readonly string[] } = {},
): Promise<{ readonly coloured: number; readonly plain: readonly Said[] }> {
  const coloured = await runSession(space, lines, columns);
  const plain = await runSession(space, lines, columns, { NO_COLOR: '1' });
  for (const [i, { line, text }] of coloured.entries()) {
    if (!raw.includes(line)) expect(tooWide(text, columns), line).toEqual([]);
    expect(normalise(withoutColours(text)), line).toBe(normalise(plain[i]?.text ?? ''));
    expect(text, line).not.toMatch(/\n {4}at /);
  }
  expect(plain.filter(({ text }) => text !== withoutColours(text))).toEqual([]);
  return { coloured: coloured.filter(({ text }) => text !== withoutColours(text)).length, plain };
}

const scenes = [
  { title: '5 nodes', open: quickstart, node: 'raw-disk' },
  { title: '300 nodes', open: () => makeLargeWorkspace(), node: 'many' },
] as const;

describe.each(scenes)('with $title', ({ title, open, node }) => {
  let space: Workspace;
  beforeAll(() => {
    space = open();
  });

  /** Commands that change nothing, so that they say the same each time. */
  const looks = [
    'list',
    'status',
    `status ${node}`,
    `why ${node}`,
    `show ${node}`,
    'graph',
    `graph ${node}`,
    'plan',
    'history',
    'gc -n',
    'doctor --offline',
    'report',
    `log ${node}`,
  ];
  /** What a log or a shell is to read is not cut to a terminal. */
  const raw = [`log ${node}`];

  const session = (lines: readonly string[], columns: number, env: Record<string, string> = {}) =>
    runSession(space, lines, columns, env);

  async function look(): Promise<void> {
    expect((await bothWays(space, looks, { raw })).coloured).toBeGreaterThan(6);
    for (const columns of [40, 120]) {
      const tables = ['list', 'status', 'graph', 'plan', 'history', 'gc -n'];
      for (const { line, text } of await session(tables, columns, { NO_COLOR: '1' }))
        expect(tooWide(text, columns), `${line} at ${columns}`).toEqual([]);
    }
  }

  it('all that looks at what was never built', { timeout: 120_000 }, async () => {
    expect((await bothWays(space, looks, { raw })).coloured).toBeGreaterThan(6);
  });

  it('a build, also one with failures, and what looks at it then', { timeout: 240_000 }, async () => {
    const env = title === '5 nodes' ? {} : { NO_COLOR: '1' };
    const [build, again] = await session(['build -k', 'build -k'], 80, env);
    expect(tooWide(build?.text ?? '', 80)).toEqual([]);
    expect(tooWide(again?.text ?? '', 80)).toEqual([]);
    if (title === '5 nodes') expect(linesOf(again?.text ?? '')[0]).toBe('up to date');
    else expect(build?.text).toMatch(/\d+ ran, \d+ fresh, 1 failed \(fails\), 1 skipped; /);
    await look();
    if (title === '300 nodes') {
      space.write(CURE.name, CURE.content);
      await session(['build -q'], 80);
    }
    const changing = ['verify', `check ${node}`, `export crate ${node}`, `bundle bundle.tar ${node}`];
    const rest = [
      'unbundle bundle.tar elsewhere',
      'verify',
      'history',
      'clean',
      'clean',
      'gc',
      'clean --all',
    ];
    for (const { line, text } of await session([...changing, ...rest], 80)) {
      expect(tooWide(text, 80), line).toEqual([]);
      expect(text, line).not.toMatch(/error/);
    }
  });
});

it('errors have one shape, whatever they are about', { timeout: 60_000 }, async () => {
  const wrong = [
    'nosuch',
    'build nosuch',
    'build --frozn',
    'build -j 0',
    'build --for qmu',
    'why',
    'log words',
  ];
  const more = ['init', 'init nosuch', 'completion fsh', 'help nosuch', 'verify --offline', 'bundle x.tar'];
  const others = [
    'graph --format dot --open',
    'build --matrix arch',
    'report',
    '-C nowhere list',
    'unbundle no.tar',
  ];
  const lines = [...wrong, ...more, ...others];
  const space = makeLargeWorkspace(20);
  const { coloured, plain } = await bothWays(space, lines, { columns: 60 });
  expect(coloured).toBe(lines.length);
  for (const { line, text } of plain) {
    // The rest of a sentence stands deeper than its beginning.
    expect(text, line).toMatch(/^error: \S.*\n(?: {2}\S.*\n)*(?: {2}hint: .*\n(?: {8}.*\n)*)$/);
  }
});

it('help of each command fits, with its examples and exit statuses', { timeout: 60_000 }, async () => {
  const lines = ['--help', ...commands.map(({ name }) => `${name} --help`)];
  const [all, ...each] = await runSession(makeLargeWorkspace(20), lines, 80);
  expect(tooWide(all?.text ?? '', 80)).toEqual([]);
  for (const [i, { name, examples, exits = [] }] of commands.entries()) {
    const { text = '' } = each[i] ?? {};
    expect(tooWide(text, 80), name).toEqual([]);
    for (const { line } of examples) expect(text).toContain(`\n  ${line}`);
    for (const { status } of exits) expect(text).toMatch(new RegExp(`^  ${status} +\\w`, 'm'));
  }
});

describe('long lists', () => {
  let space: Workspace;
  beforeAll(async () => {
    space = makeLargeWorkspace();
    await runInTerminal(['res build -k -q'], { cwd: space.dir, columns: 80 });
  }, 120_000);

  const run = async (...lines: readonly string[]) =>
    (await runInTerminal(lines, { cwd: space.dir, columns: 80, env: { NO_COLOR: '1' } })).map(linesOf);

  it('of states lead with the counts and what is not fresh; -v and a pipe have every node', async () => {
    const [folded = [], whole = [], piped = []] = await run(
      'res status',
      'res status -v',
      'res status | cat',
    );
    expect(folded).toEqual([
      '297 fresh, 1 stale, 1 failed',
      '',
      'NODE   KIND  STATE   WHERE, WHY',
      'fails  run   failed  last run failed: sh failed with exit status 3',
      'after  copy  stale   never built',
      '',
      '297 more nodes; -v lists all',
      '',
    ]);
    expect(whole).toHaveLength(1 + 299 + 3);
    expect(piped).toHaveLength(whole.length);
    expect(piped.at(-2)).toBe('297 fresh, 1 stale, 1 failed');
  });

  it('of inputs show those that are not fresh, and count the rest by state', async () => {
    const [folded = [], whole = []] = await run('res graph', 'res graph -v');
    expect(folded).toContain('├─ fails  run  failed  → fails.txt');
    expect(folded.at(-2)).toBe('└─ 188 more: 188 fresh; -v shows all');
    expect(folded.length).toBeLessThan(60);
    expect(whole.length).toBeGreaterThan(400);
  });

  it('of steps and files end with how many there are', async () => {
    const lines = ['res plan -B', 'res plan -B -v', 'res clean', 'res build -k -q 2> log', 'res clean -v'];
    const [plan = [], wholePlan = [], clean = [], , wholeClean = []] = await run(...lines);
    expect(plan.find((line) => line.includes('more'))).toBe('61 more steps; -v lists all');
    expect(plan).toHaveLength(wholePlan.length - 60);
    expect(clean.at(-3)).toBe('109 more files; -v lists all');
    expect(wholeClean).toHaveLength(1 + 149 + 1);
  });
});
