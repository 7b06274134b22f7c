// Runs the built program as a user does: a process of its own, in a clean environment.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD_FAILURE, MAIN, runFolder } from './places.js';

export interface RunOptions {
  readonly cwd: string;
  /** Added to the clean environment; `undefined` takes a variable out of it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Aborting stops the run with SIGKILL. */
  readonly signal?: AbortSignal;
  /** 25 000 by default; a run that takes longer is killed, and the promise rejects with what it printed. */
  readonly timeoutMs?: number;
  /** Program run by Node instead of the built one, for tests of the rig. */
  readonly main?: string;
}

export interface RunResult {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** ms */
  readonly durationMs: number;
}

export interface Run {
  readonly pid: number;
  /** Resolves when the process has ended and its output is read to the end. */
  readonly result: Promise<RunResult>;
  /** What was printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Sends a signal to the process alone. */
  signal(signal: NodeJS.Signals): void;
  /** Kills the process group with SIGKILL and waits for the end of the process. */
  kill(): Promise<RunResult>;
  /**
   * Resolves when the text has been printed. Rejects when the run ends without it, or after `timeoutMs` (10 000), with
   * all that was printed.
   */
  printed(text: string | RegExp, options?: { on?: 'stdout' | 'stderr'; timeoutMs?: number }): Promise<void>;
}

/** Runs `res ARGS` to its end, whatever its status. */
export function runRes(args: readonly string[], options: RunOptions): Promise<RunResult> {
  return startRes(args, options).result;
}

export function startRes(args: readonly string[], options: RunOptions): Run {
  const main = options.main ?? builtProgram();
  const { timeoutMs = 25_000 } = options;
  const began = performance.now();
  const child = spawn(process.execPath, [main, ...args], {
    cwd: options.cwd,
    env: cleanEnv(options.env ?? {}),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${process.execPath} in ${options.cwd}`);
  const printed = { stdout: '', stderr: '' };
  const heard = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      printed[name] += text;
      for (const listen of heard) listen();
    });
  }
  const killGroup = () => signalGroup(child, pid);
  const onAbort = () => killGroup();
  options.signal?.addEventListener('abort', onAbort, { once: true });

  const result = new Promise<RunResult>((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup();
    }, timeoutMs);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      if (late)
        reject(
          new Error(`res ${args.join(' ')}: still running after ${timeoutMs} ms\n${transcript(printed)}`),
        );
      else resolve({ status, signal, ...printed, durationMs: performance.now() - began });
    });
  });
  // Who only started the run may never ask for its result.
  result.catch(() => undefined);

  return {
    pid,
    result,
    get stdout() {
      return printed.stdout;
    },
    get stderr() {
      return printed.stderr;
    },
    signal(signal) {
      child.kill(signal);
    },
    kill() {
      killGroup();
      return result;
    },
    printed(text, { on = 'stderr', timeoutMs: limitMs = 10_000 } = {}) {
      const there = () => (typeof text === 'string' ? printed[on].includes(text) : text.test(printed[on]));
      return new Promise((resolve, reject) => {
        const settle = (then: () => void) => {
          clearTimeout(timer);
          heard.delete(check);
          then();
        };
        const fail = (why: string) =>
          settle(() => reject(new Error(`${String(text)} not on ${on}: ${why}\n${transcript(printed)}`)));
        const check = () => {
          if (there()) settle(resolve);
        };
        const timer = setTimeout(() => fail(`waited ${limitMs} ms`), limitMs);
        heard.add(check);
        check();
        const ended = () => (there() ? settle(resolve) : fail('the run has ended'));
        result.then(ended, ended);
      });
    },
  };
}

/** Whether a process still runs; one that has ended and was not yet waited for does not. */
export function isRunning(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  if (!existsSync('/proc/self/stat')) return spawnSync('kill', ['-0', String(pid)]).status === 0;
  try {
    // The name of the program, in parentheses, may hold anything; the state is the letter after it.
    return !/^[ZX]/.test(readFileSync(stat, 'utf8').replace(/^.*\) /s, ''));
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH'].includes(String(error.code)))
      return false;
    throw error;
  }
}

function builtProgram(): string {
  const failure = process.env[BUILD_FAILURE];
  if (failure !== undefined) throw new Error(`the program could not be built:\n${failure}`);
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run \`node scripts/build.mjs\``);
  return MAIN;
}

let home: string | undefined;

/** An empty home folder for all runs of a worker. */
function homeFolder(): string {
  home ??= mkdtempSync(join(runFolder(), 'home-'));
  return home;
}

function cleanEnv(added: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const all: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    TMPDIR: process.env.TMPDIR,
    HOME: homeFolder(),
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    ...added,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function signalGroup(child: ChildProcess, pid: number): void {
  // Once the process is reaped its number may be another's.
  if (child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-pid, 'SIGKILL');
}

function transcript(printed: { readonly stdout: string; readonly stderr: string }): string {
  return `--- stdout\n${printed.stdout}\n--- stderr\n${printed.stderr}`;
}
