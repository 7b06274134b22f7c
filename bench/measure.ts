// Timing of whole commands, with the operating system's own count of time, memory and bytes, and tables of the medians.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measured {
  /** Wall clock, ms. */
  readonly ms: number;
  /** Largest resident set of the process itself, bytes. */
  readonly peakBytes: number;
  /** Bytes that the process and its children handed to the kernel to write (`/proc/PID/io`), sampled. */
  readonly writtenBytes: number;
}

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end. Rejects with its output when it fails. */
export function measure({ argv, cwd, env }: Command): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const [program, ...args] = argv;
    const child = spawn(program, args, {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let peakBytes = 0;
    const written = new Map<number, number>();
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const sample = () => {
      if (child.pid === undefined) return;
      peakBytes = Math.max(peakBytes, residentPeak(child.pid));
      for (const pid of [child.pid, ...descendants(child.pid)])
        written.set(pid, bytesWritten(pid) ?? written.get(pid) ?? 0);
    };
    const timer = setInterval(sample, 20);
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(timer);
      const ms = performance.now() - started;
      if (status === 0)
        resolve({ ms, peakBytes, writtenBytes: [...written.values()].reduce((a, b) => a + b, 0) });
      else reject(new Error(`${argv.join(' ')} failed with status ${status}\n${stderr}`));
    });
  });
}

function residentPeak(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
  return match ? Number(match[1]) * 1024 : 0;
}

function bytesWritten(pid: number): number | undefined {
  const match = /^wchar: (\d+)$/m.exec(read(`/proc/${pid}/io`));
  return match ? Number(match[1]) : undefined;
}

function descendants(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** The text of a /proc file, or nothing once its process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

/** Runs `before` and then the command, `runs` times; gives the median of each figure. */
export async function medianOf(
  runs: number,
  command: Command,
  before: () => Promise<void>,
): Promise<Measured> {
  const results: Measured[] = [];
  for (let i = 0; i < runs; i++) {
    await before();
    results.push(await measure(command));
  }
  const of = (figure: keyof Measured) => median(results.map((result) => result[figure]));
  return { ms: of('ms'), peakBytes: of('peakBytes'), writtenBytes: of('writtenBytes') };
}

/** The first line of `PROGRAM --version`, or undefined when the program is not installed. */
export function version(program: string): string | undefined {
  const { stdout, stderr, status } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? (stdout || stderr).split('\n', 1)[0] : undefined;
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
