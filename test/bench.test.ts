// The benchmarks run, with hardly any data: each gives its tables, and what it says of res are numbers. How fast anything is, no
// test says.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as hash from '../bench/hash.bench.js';
import { measure, median, race, ran, versions } from '../bench/measure.js';
import * as noOp from '../bench/no-op.bench.js';
import * as pipeline from '../bench/pipeline.bench.js';
import { type Bench, type BenchOptions, render, table, withSection } from '../bench/report.js';
import * as scale from '../bench/scale.bench.js';
import * as schedule from '../bench/schedule.bench.js';
import * as switching from '../bench/switch.bench.js';
import { REPO_ROOT, runFolder } from './rig/places.js';
import { has } from './rig/tools.js';

const BENCHES: Readonly<Record<string, Bench>> = {
  hash,
  'no-op': noOp,
  pipeline,
  scale,
  schedule,
  switch: switching,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(runFolder(), 'bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!has('mke2fs', 'qemu-img', 'curl'))('a benchmark with hardly any data', () => {
  it('is here, whichever there is', () => {
    const files = readdirSync(join(REPO_ROOT, 'bench')).filter((name) => name.endsWith('.bench.ts'));
    expect(files).toEqual(Object.keys(BENCHES).map((name) => `${name}.bench.ts`));
  });

  it.each(Object.entries(BENCHES))('gives its tables: %s', { timeout: 120_000 }, async (_, bench) => {
    const options: BenchOptions = {
      size: 'tiny',
      runs: 1,
      big: false,
      folder,
      cache: undefined,
      say: () => undefined,
    };
    expect(bench.diskNeeded(options)).toBeGreaterThan(0);
    const section = await bench.run(options);
    const text = render(section);
    expect(text).toMatch(/^## \w/);
    expect(text).toMatch(/node \d+\.\d+/);
    const rows = text.split('\n').filter((line) => line.startsWith('| '));
    expect(rows.length).toBeGreaterThan(3);
    // One that is installed but cannot work here (a file system of tup's own, in a container) is no fault.
    const other = rows.filter((row) => !row.startsWith('| tup'));
    for (const row of other) expect(row).not.toMatch(/NaN|undefined|failed:/);
    for (const { measured } of section.goals) expect(measured).toMatch(/^\d/);
    // What others use too stays until the suite ends.
    for (const name of readdirSync(folder)) expect(name).toMatch(/^(?:job|finished)-/);
  });

  it('is run by name, and writes its part of a document and nothing else of it', {
    timeout: 120_000,
  }, async () => {
    const docs = join(folder, 'page.md');
    writeFileSync(docs, 'before\n\n<!-- bench:hash -->\nold\n<!-- /bench:hash -->\n\nafter\n');
    const run = promisify(execFile);
    const args = [join(REPO_ROOT, 'bench', 'run.mjs'), '--tiny', 'hash', '--docs', docs];
    const env = { ...process.env, TMPDIR: mkdtempSync(join(folder, 'tmp-')) };
    const { stdout, stderr } = await run(process.execPath, args, { env });
    const text = readFileSync(docs, 'utf8');
    expect(text).toMatch(
      /^before\n\n<!-- bench:hash -->\n\n## Hashing\n[\s\S]*<!-- \/bench:hash -->\n\nafter\n$/,
    );
    expect(text).not.toContain('old');
    expect(text).toContain(stdout.trim());
    expect(stderr).toMatch(/needs up to \d+\.\d GiB/);
    expect(readdirSync(env.TMPDIR)).toEqual([]);
    await expect(run(process.execPath, [...args.slice(0, 2), 'nothing'])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there are hash, no-op'),
    });
  });
});

describe('a measured command', () => {
  const node = (code: string) => [process.execPath, '-e', code] as const;

  it.skipIf(process.platform !== 'linux')(
    'has its time, memory and bytes written, and those of its children',
    async () => {
      // Both stay long enough to be looked at where much else runs.
      const code = (path: string) =>
        `require('fs').writeFileSync('${path}', Buffer.alloc(3 << 20)); setTimeout(() => undefined, 500)`;
      const nested = `const all = Buffer.alloc(64 << 20, 1); require('child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(code('inner'))}]); ${code('outer')}; setTimeout(() => all, 500)`;
      const { ms, peakBytes, childPeakBytes, writtenBytes } = await measure({
        argv: node(nested),
        cwd: folder,
      });
      for (const name of ['inner', 'outer']) rmSync(join(folder, name));
      expect(ms).toBeGreaterThan(1000);
      expect(peakBytes).toBeGreaterThan(80 << 20);
      expect(childPeakBytes).toBeGreaterThan(0);
      expect(childPeakBytes).toBeLessThan(peakBytes);
      // Where the temporary folder lies in memory, nothing is written to a disk.
      if (writtenBytes > 0) expect(Math.round(writtenBytes / (1 << 20))).toBe(6);
    },
  );

  it('that fails says what it printed', async () => {
    await expect(
      measure({ argv: node("console.error('so so'); process.exit(3)"), cwd: folder }),
    ).rejects.toThrow(/status 3\nso so/);
  });

  it('is stopped at its limit, with what it started', async () => {
    const began = performance.now();
    const argv = ['sh', '-c', 'sleep 60; true'] as const;
    await expect(measure({ argv, cwd: folder, limitMs: 100 })).rejects.toThrow('stopped after 0.100 s');
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe('a race', () => {
  const cwd = tmpdir();

  it('runs all in turn and prepares each', async () => {
    const order: string[] = [];
    const one = (name: string) => ({
      name,
      cwd,
      argv: ['true'] as const,
      before: () => void order.push(name),
    });
    const outcomes = await race([one('a'), one('b')], { runs: 2 });
    expect(order).toEqual(['a', 'b', 'a', 'b']);
    expect(ran(outcomes, 'a')).toMatchObject({ runs: 2, ms: expect.any(Number) });
  });

  it('goes on without one that is only compared to', async () => {
    const broken = { name: 'broken', cwd, argv: ['sh', '-c', 'echo no such luck >&2; exit 1'] as const };
    const outcomes = await race(
      [
        { ...broken, peer: true },
        { name: 'well', cwd, argv: ['true'] },
      ],
      { runs: 2 },
    );
    expect(outcomes.get('broken')).toEqual({ failed: 'no such luck' });
    expect(ran(outcomes, 'well').runs).toBe(2);
    await expect(race([broken], { runs: 1 })).rejects.toThrow('no such luck');
  });
});

describe('what is written down', () => {
  it('is the middle of what was measured', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([1, 2, 3, 10])).toBe(2.5);
  });

  it('names programs that are not there', () => {
    expect(versions(['sh-that-is-nowhere'])).toMatch(/^node \d.*; not installed: sh-that-is-nowhere$/);
  });

  it('is a table that is flush in the source too', () => {
    expect(table(['', 'seconds'], [['res', '0.1']])).toBe(
      '|     | seconds |\n|-----|--------:|\n| res |     0.1 |',
    );
  });

  it('replaces its own part of a document, or gets one at the end', () => {
    const once = withSection('# Page\n', 'a', 'first');
    expect(once).toBe('# Page\n\n<!-- bench:a -->\n\nfirst\n\n<!-- /bench:a -->\n');
    const both = withSection(once, 'b', 'second');
    expect(withSection(both, 'a', 'third')).toBe(both.replace('first', 'third'));
  });
});

describe('the page about performance', () => {
  it('has a place for each benchmark', () => {
    const path = join(REPO_ROOT, 'docs', 'performance.md');
    expect(existsSync(path)).toBe(true);
    const text = readFileSync(path, 'utf8');
    for (const name of Object.keys(BENCHES))
      expect(text).toMatch(new RegExp(`<!-- bench:${name} -->[\\s\\S]*<!-- /bench:${name} -->`));
  });
});
