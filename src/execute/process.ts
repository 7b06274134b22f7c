// External programs: no shell, a clean environment, their own process group, output to the node's log; stopped when
// the build is, and gone when res is.
import { createWriteStream, existsSync, type WriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { execa } from 'execa';
import type { ExecOptions } from '../kinds/kind.js';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import { findProgram } from '../plan/tools.js';
import { errorCode, ioError } from '../store/files.js';
import { piecesOf } from './pipeline.js';

/** Time between TERM and KILL, ms. */
const GRACE_MS = 3000;
const TAIL_LINES = 20;

/** Where what programs print goes. */
export interface ProgramLog {
  write(text: string): void;
  line(line: string): void;
  /** The last lines written, at most 20. */
  tail(): readonly string[];
}

/** The last lines of a text that comes in pieces: all that is kept of what nobody logs. */
export class LastLines implements ProgramLog {
  readonly #onLine: (line: string) => void;
  readonly #tail: string[] = [];
  #rest = '';

  constructor(onLine: (line: string) => void = () => undefined) {
    this.#onLine = onLine;
  }

  write(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#keep(line);
  }

  line(line: string): void {
    this.write(`${line}\n`);
  }

  tail(): readonly string[] {
    return this.#rest === '' ? [...this.#tail] : [...this.#tail, this.#rest].slice(-TAIL_LINES);
  }

  /** Nothing comes any more: a line without an end is one too. */
  end(): void {
    if (this.#rest !== '') this.#keep(this.#rest);
    this.#rest = '';
  }

  #keep(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    this.#onLine(line);
  }
}

/** The log of one run of one node, opened when the first line comes. */
export class NodeLog implements ProgramLog {
  readonly path: string;
  readonly #lines: LastLines;
  #stream: WriteStream | undefined;
  #broken: Error | undefined;

  constructor(path: string, onLine: (line: string) => void) {
    this.path = path;
    this.#lines = new LastLines(onLine);
  }

  get written(): boolean {
    return this.#stream !== undefined;
  }

  write(text: string): void {
    this.#stream ??= this.#open();
    if (this.#broken === undefined) this.#stream.write(text);
    this.#lines.write(text);
  }

  line(line: string): void {
    this.write(`${line}\n`);
  }

  tail(): readonly string[] {
    return this.#lines.tail();
  }

  /** Rejects with ResError `io` or `no-space` when the log could not be written. */
  async close(): Promise<void> {
    this.#lines.end();
    if (!this.#stream) return;
    try {
      if (this.#broken !== undefined) throw this.#broken;
      this.#stream.end();
      await finished(this.#stream);
    } catch (error) {
      throw ioError(error, 'cannot write the log', this.path);
    }
  }

  /** An error that comes between two writes is kept for `close`: nobody else would hear of it. */
  #open(): WriteStream {
    const stream = createWriteStream(this.path);
    stream.on('error', (error) => {
      this.#broken ??= error;
    });
    return stream;
  }
}

export interface ProcessContext {
  readonly env: Env;
  readonly cwd: string;
  readonly log: ProgramLog;
  readonly signal: AbortSignal;
  /** The program's environment, whole; by default the clean one. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A program with all that it is started with. */
export interface Command {
  /** As it is shown. */
  readonly argv: readonly [string, ...string[]];
  /** As it is run: an absolute path first. */
  readonly line: readonly [string, ...string[]];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** How a program ended. */
export interface ProgramEnd {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly timedOut: boolean;
}

/**
 * Runs a program to its end, whatever that is. Rejects with ResError `interrupted`.
 * @param timeoutMs it is stopped after that
 */
export async function runCommand(
  context: Pick<ProcessContext, 'log' | 'signal'>,
  command: Command,
  timeoutMs: number | undefined,
): Promise<ProgramEnd> {
  const child = startCommand(context, command, undefined);
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => context.log.write(text));
  let timedOut = false;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          stop(child);
        }, timeoutMs);
  try {
    const { exitCode, signal } = await resultOf(context, child);
    return {
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(signal === undefined ? {} : { signal }),
      timedOut,
    };
  } finally {
    clearTimeout(timer);
  }
}

/** Rejects with ResError `tool-missing`, `command-failed` or `interrupted`. */
export async function runProgram(
  context: ProcessContext,
  argv: readonly [string, ...string[]],
  options: ExecOptions = {},
): Promise<{ readonly stdout: string }> {
  const source = options.stdin ? Readable.from(options.stdin, { objectMode: false }) : undefined;
  let sourceError: unknown;
  source?.on('error', (error) => {
    sourceError = error;
  });
  const child = start(context, argv, source);
  const { onStderr } = options;
  if (onStderr) child.stderr.on('data', onStderr);
  let stdout = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    if (options.onStdout) {
      options.onStdout(text);
      return;
    }
    stdout += text;
    context.log.write(text);
  });
  try {
    await ended(context, argv, child);
  } catch (error) {
    // A program that was stopped because its source broke is not what failed.
    throw sourceError ?? error;
  }
  return { stdout };
}

/**
 * Sends bytes through a program. The iterable ends when the program has ended well, and throws as `runProgram`
 * rejects; a consumer that stops early stops the program.
 */
export async function* pipeProgram(
  context: ProcessContext,
  argv: readonly [string, ...string[]],
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(input, { objectMode: false, highWaterMark: 1 << 20 });
  let sourceError: unknown;
  source.on('error', (error) => {
    sourceError = error;
  });
  const child = start(context, argv, source);
  const end = ended(context, argv, child);
  end.catch(() => undefined);
  let complete = false;
  try {
    yield* piecesOf(child.stdout);
    complete = true;
  } finally {
    if (!complete) {
      stop(child);
      source.destroy();
      // What it still has to say goes into the log before that is closed; how it ends is of no interest any more.
      await end.catch(() => undefined);
    }
  }
  if (sourceError !== undefined) throw sourceError;
  await end;
}

type Child = ReturnType<typeof launch>;

function launch(
  file: string,
  args: readonly string[],
  stdin: 'pipe' | 'ignore',
  { env, cwd }: Pick<Command, 'env' | 'cwd'>,
) {
  return execa(file, args, {
    buffer: false,
    reject: false,
    detached: true,
    cleanup: false,
    // The last one is never written to: it tells who watches whether res is still there.
    stdio: [stdin, 'pipe', 'pipe', 'pipe'],
    encoding: 'buffer',
    extendEnv: false,
    env,
    cwd,
  });
}

function start(
  context: ProcessContext,
  argv: readonly [string, ...string[]],
  stdin: Readable | undefined,
): Child {
  const [program, ...args] = argv;
  const path = findProgram(program, context.env);
  if (path === undefined) {
    throw new ResError('tool-missing', `the program ${program} is not installed, or not on PATH`, {
      hint: 'Run `res doctor --fix` to install what is missing.',
    });
  }
  const env = context.environment ?? cleanEnvironment(context.env);
  return startCommand(context, { argv, line: [path, ...args], env, cwd: context.cwd }, stdin);
}

function startCommand(
  context: Pick<ProcessContext, 'log' | 'signal'>,
  command: Command,
  stdin: Readable | undefined,
): Child {
  context.signal.throwIfAborted();
  context.log.line(`$ ${commandLine(command.argv)}`);
  const [file, fileArgs] = tied(command.line);
  const child = launch(file, fileArgs, stdin ? 'pipe' : 'ignore', command);
  if (stdin && child.stdin) {
    // A program that ends before it has read all (EPIPE) tells by its exit status; a broken source ends its input.
    child.stdin.on('error', () => stdin.destroy());
    stdin.on('error', () => stop(child));
    stdin.pipe(child.stdin);
  }
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => context.log.write(text));
  // What it has started in its group goes with it: no orphans, and nobody else who keeps its output open.
  child.once('exit', () => {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  });
  return child;
}

const SHELL = '/bin/sh';

/**
 * A watch in the program's own process group holds the end of a pipe whose other end is res's alone: once that closes, which
 * no end of res can prevent, the whole group is killed. Then it becomes the program, which knows nothing of the pipe.
 * It is no child of the program's: one that waits for all its children would never end.
 * (A signal on the parent's death, as setpriv asks for, is Linux' own, and passes over what the program has started.)
 */
const WATCHED = `((trap '' TERM INT HUP; read -r _; kill -KILL -$$) <&3 >/dev/null 2>&1 3<&- &)
exec "$@" 3<&-`;

/** Ties the life of the program, and of all in its group, to that of res; where there is no shell it goes without. */
function tied([path, ...args]: Command['line']): [string, string[]] {
  return existsSync(SHELL) ? [SHELL, ['-c', WATCHED, 'res', path, ...args]] : [path, args];
}

async function ended(context: ProcessContext, argv: readonly string[], child: Child): Promise<void> {
  const result = await resultOf(context, child);
  if (result.exitCode === 0) return;
  const how = result.signal
    ? `was ended by ${result.signal}`
    : `failed with exit status ${result.exitCode ?? 'unknown'}`;
  throw new ResError('command-failed', `${argv[0]} ${how}`, {
    command: {
      argv,
      ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
      ...(result.signal === undefined ? {} : { signal: result.signal }),
      tail: context.log.tail(),
    },
  });
}

async function resultOf({ signal }: Pick<ProcessContext, 'signal'>, child: Child) {
  const onAbort = () => stop(child);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await child;
    if (signal.aborted) throw new ResError('interrupted', 'interrupted');
    return result;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Ends the whole process group: TERM, and KILL after a grace. */
function stop(child: Child): void {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null) return;
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS);
  child.once('exit', () => clearTimeout(timer));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Gone; or (macOS) only waiting to be reaped.
    const code = errorCode(error);
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

function cleanEnvironment(env: Env): Record<string, string> {
  const kept: Record<string, string> = { LANG: env.LANG ?? 'C.UTF-8' };
  for (const name of ['PATH', 'HOME', 'TMPDIR']) {
    const value = env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** The command as a person would type it in a shell. */
export function commandLine(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
