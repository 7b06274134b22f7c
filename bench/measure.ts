// Timing of whole commands, with the operating system's own count of time, memory and bytes. Everything that runs here is
// run several times, in turn with what it is compared to, and known by its medians.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The command and all that it started is killed after so many ms, and counts as failed. */
  readonly limitMs?: number;
}

export interface Measured {
  /** Wall clock, ms. */
  readonly ms: number;
  /** Processor time of the process and all below it, ms; in steps of 10. */
  readonly cpuMs: number;
  /** Largest resident set of the process itself, bytes; what it grew by in its last 20 ms may be missed; 0 for one that took less. */
  readonly peakBytes: number;
  /** Largest resident set of any single process below it, bytes. */
  readonly childPeakBytes: number;
  /** Bytes of files on disk that the process and all below it wrote. Neither pipes nor sockets nor tmpfs count. */
  readonly writtenBytes: number;
}

export interface Medians extends Measured {
  /** Of the wall clock: largest minus smallest, as a share of the median. */
  readonly spread: number;
  readonly runs: number;
}

export interface Contender extends Command {
  readonly name: string;
  /** Not timed; before each run. */
  readonly before?: () => void | Promise<void>;
  /** A program that may not work here; its failure is a row of the table and not the end of the benchmark. */
  readonly peer?: boolean;
}

export type Outcome = Medians | { readonly failed: string };

const SAMPLE_MS = 20;
/** Twice what a contender of the main job writes: while it runs the host takes some back. */
const TOUCHED_GIB = 6;
/** Ticks of /proc/PID/stat a second; 100 wherever Linux runs today. */
const TICKS = 100;

/** Process groups that are being measured. They are not in the terminal's group, so a Ctrl-C does not reach them. */
const running = new Set<number>();
process.prependListener('exit', () => {
  for (const pid of running) endGroup(pid);
});

/** Asks first: a program may have mounts and locks to take back. */
function endGroup(pid: number): void {
  process.kill(-pid, 'SIGTERM');
  setTimeout(() => {
    if (running.has(pid)) process.kill(-pid, 'SIGKILL');
  }, 10_000).unref();
}

function passedOn(): Record<string, string> {
  const { TMPDIR } = process.env;
  return { PATH, LANG: 'C.UTF-8', ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

/** Runs a command to its end. Rejects with what it printed when it fails or takes longer than its limit. */
export async function measure(command: Command): Promise<Measured> {
  const [program, ...args] = command.argv;
  const before = ofChildren();
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: { ...passedOn(), HOME: command.cwd, ...command.env },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own, so that a limit ends all of it.
    detached: true,
  });
  let peakBytes = 0;
  let childPeakBytes = 0;
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr = `${stderr}${text}`.slice(-4000);
  });
  const sample = () => {
    if (child.pid === undefined) return;
    peakBytes = Math.max(peakBytes, residentPeak(child.pid));
    for (const pid of descendants(child.pid)) childPeakBytes = Math.max(childPeakBytes, residentPeak(pid));
  };
  const sampling = setInterval(sample, SAMPLE_MS);
  if (child.pid !== undefined) running.add(child.pid);
  let late = false;
  const limit =
    command.limitMs === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          if (child.pid !== undefined) endGroup(child.pid);
        }, command.limitMs);
  const [status, ms] = await new Promise<[number | null, number]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve([code, performance.now() - started]));
  }).finally(() => {
    clearInterval(sampling);
    clearTimeout(limit);
    if (child.pid !== undefined) running.delete(child.pid);
  });
  if (late) throw new Error(`stopped after ${seconds(command.limitMs ?? 0)} s`);
  if (status !== 0) throw new Error(`${command.argv.join(' ')}: status ${status}\n${stderr}`);
  const after = ofChildren();
  return {
    ms,
    peakBytes,
    childPeakBytes,
    cpuMs: after.cpuMs - before.cpuMs,
    writtenBytes: after.writtenBytes - before.writtenBytes,
  };
}

/**
 * Runs all contenders in turn, `runs` times, so that what changes on the machine meanwhile meets all of them.
 * @param settle called before each run, after the contender's own `before`
 */
export async function race(
  contenders: readonly Contender[],
  { runs, settle }: { readonly runs: number; readonly settle?: () => void },
): Promise<ReadonlyMap<string, Outcome>> {
  const results = new Map<string, Measured[]>();
  const failures = new Map<string, string>();
  for (let round = 0; round < runs; round++) {
    for (const contender of contenders) {
      if (failures.has(contender.name)) continue;
      try {
        await contender.before?.();
        settle?.();
        const all = results.get(contender.name) ?? [];
        results.set(contender.name, [...all, await measure(contender)]);
      } catch (error) {
        if (!contender.peer) throw error;
        failures.set(contender.name, reason(error));
      }
    }
  }
  return new Map(
    contenders.map(({ name }) => {
      const failed = failures.get(name);
      return [name, failed === undefined ? mediansOf(results.get(name) ?? []) : { failed }];
    }),
  );
}

/** The medians of one that must have run. */
export function ran(outcomes: ReadonlyMap<string, Outcome>, name: string): Medians {
  const outcome = outcomes.get(name);
  if (outcome === undefined) throw new Error(`nothing called ${name} was run`);
  if ('failed' in outcome) throw new Error(`${name}: ${outcome.failed}`);
  return outcome;
}

/** Programs say what is wrong in their last line. */
function reason(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n');
  return lines.findLast((line) => line.trim() !== '') ?? '';
}

function mediansOf(results: readonly Measured[]): Medians {
  const of = (figure: keyof Measured) => median(results.map((result) => result[figure]));
  const times = results.map(({ ms }) => ms);
  return {
    ms: of('ms'),
    cpuMs: of('cpuMs'),
    peakBytes: of('peakBytes'),
    childPeakBytes: of('childPeakBytes'),
    writtenBytes: of('writtenBytes'),
    spread: (Math.max(...times) - Math.min(...times)) / of('ms'),
    runs: results.length,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

/** The median time of a function, ms; for what is no process. */
export async function timed(runs: number, work: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return median(times);
}

/** What processes used that this one has started and waited for, and those below them: the kernel adds it up exactly. */
function ofChildren(): { readonly cpuMs: number; readonly writtenBytes: number } {
  const fields = read('/proc/self/stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  const ticks = Number(fields[13]) + Number(fields[14]);
  // This counts the process itself as well, which writes nothing while it measures.
  const written = /^write_bytes: (\d+)$/m.exec(read('/proc/self/io'));
  return { cpuMs: (ticks / TICKS) * 1000, writtenBytes: written ? Number(written[1]) : Number.NaN };
}

function residentPeak(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
  return match ? Number(match[1]) * 1024 : 0;
}

function descendants(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const children = threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
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

/** Where programs are looked for: mke2fs lies in a folder that users need not have in theirs. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** How a program is asked for its version, where it is not `--version`. */
const VERSION_FLAGS: Readonly<Record<string, string>> = { openssl: 'version', mke2fs: '-V' };

/** The version of a program, or undefined where it is not installed. */
export function version(program: string): string | undefined {
  const { stdout, stderr, status } = spawnSync(program, [VERSION_FLAGS[program] ?? '--version'], {
    encoding: 'utf8',
    env: { ...process.env, PATH },
  });
  if (status !== 0) return undefined;
  return /\d+(?:\.\d+)+\S*/.exec(stdout || stderr)?.[0] ?? 'of no version';
}

export function installed(program: string): boolean {
  return version(program) !== undefined;
}

/** `node 20.20.2, curl 7.88.1; not installed: dvc` */
export function versions(programs: readonly string[]): string {
  const found = programs.map((program) => ({ program, version: version(program) }));
  const present = found.flatMap((one) => (one.version ? [`${one.program} ${one.version}`] : []));
  const absent = found.flatMap((one) => (one.version ? [] : [one.program]));
  return [
    [`node ${process.versions.node}`, ...present].join(', '),
    ...(absent.length > 0 ? [`not installed: ${absent.join(', ')}`] : []),
  ].join('; ');
}

/**
 * Takes files out of the page cache, so that the next reader goes to the disk; others' files stay in it, and nobody needs
 * to be root for it. False where the system's dd cannot.
 */
export function dropFromCache(paths: readonly string[]): boolean {
  execFileSync('sync');
  return paths.every(
    (path) => spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']).status === 0,
  );
}

/**
 * Everything written so far goes to the disk now, and not while the next command is timed. And memory is touched that it may want
 * for what it writes: a virtual machine whose host takes back what is free gets it again page by page, at 2 to 3 s a GiB here, which
 * would be measured with whoever comes first.
 */
export function settleMachine(): void {
  execFileSync('sync');
  const gib = Math.floor(Math.min(TOUCHED_GIB, freemem() / 2 ** 31));
  execFileSync(process.execPath, ['-e', `Array.from({ length: ${gib} }, () => Buffer.alloc(2 ** 30, 1))`]);
}

/** Bytes that a user may still write where `path` is. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Waits until the time stamp of what is written next is later than all before, for programs that compare times. */
export async function nextTick(ms = 20): Promise<void> {
  await delay(ms);
}

export function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 995 ? 3 : 2);
}
