// What a kind sees of the world, made of real files and real programs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KindContext, KindInput } from '../../src/kinds/kind.js';
import { ResError } from '../../src/model/error.js';

export const temporary = mkdtempSync(join(tmpdir(), 'res-kinds-'));

/** To be called once a test file: `afterAll(removeTemporary)`. */
export function removeTemporary(): void {
  rmSync(temporary, { recursive: true, force: true });
}

export function freshDir(): Promise<string> {
  return mkdtemp(join(temporary, 'd-'));
}

export interface TestContext extends KindContext {
  readonly members: { name: string; executable: boolean }[];
  readonly percents: number[];
  readonly commands: string[][];
  /** Programs that run at the moment. */
  readonly running: Set<number>;
}

export interface ContextOptions {
  readonly inputs?: readonly KindInput[];
  readonly out?: string;
  readonly signal?: AbortSignal;
  /** Programs that count as installed; all that are there by default. */
  readonly has?: (program: string) => boolean;
}

export async function makeContext(options: ContextOptions = {}): Promise<TestContext> {
  const scratch = await freshDir();
  const commands: string[][] = [];
  const running = new Set<number>();
  const percents: number[] = [];
  const members: { name: string; executable: boolean }[] = [];
  const run = (argv: readonly [string, ...string[]]) => {
    commands.push([...argv]);
    const [program, ...args] = argv;
    const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' } });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    const ended = new Promise<void>((resolve, reject) => {
      child.on('error', () => reject(new ResError('tool-missing', `${program} is not installed`)));
      child.on('close', (code, signal) => {
        if (pid !== undefined) running.delete(pid);
        if (code === 0) return resolve();
        const tail = said.split('\n').filter((line) => line !== '');
        const command = {
          argv,
          tail,
          ...(code === null ? {} : { exitCode: code }),
          ...(signal ? { signal } : {}),
        };
        reject(new ResError('command-failed', `${program} failed`, { command }));
      });
    });
    return { child, ended };
  };
  return {
    inputs: options.inputs ?? [],
    out: options.out ?? join(scratch, 'out'),
    scratch,
    signal: options.signal ?? new AbortController().signal,
    members,
    percents,
    commands,
    running,
    has:
      options.has ??
      ((program) => (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, program)))),
    async exec(argv, { onStdout } = {}) {
      const { child, ended } = run(argv);
      child.stdin.end();
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (onStdout) onStdout(text);
        else stdout += text;
      });
      await ended;
      return { stdout };
    },
    async *pipe(argv, input) {
      const { child, ended } = run(argv);
      let resume = () => {};
      child.stdin
        .on('error', () => undefined)
        .on('drain', () => resume())
        .on('close', () => resume());
      let failure: { error: unknown } | undefined;
      const fed = (async () => {
        for await (const piece of input) {
          if (child.stdin.destroyed) return;
          if (!child.stdin.write(piece)) {
            await new Promise<void>((resolve) => {
              resume = resolve;
            });
          }
        }
        child.stdin.end();
      })().catch((error: unknown) => {
        failure = { error };
        child.kill();
      });
      const settled = ended.then(
        () => undefined,
        (error: unknown) => error,
      );
      try {
        for await (const piece of child.stdout) yield piece;
        await fed;
        const error = await settled;
        if (failure) throw failure.error;
        if (error) throw error;
      } finally {
        child.kill();
        child.stdin.destroy();
        await settled;
        await fed;
      }
    },
    percent: (done) => percents.push(done),
    log: () => undefined,
    member: (name, { executable }) => members.push({ name, executable }),
  };
}

/** Bytes as an input that streams, cut into pieces of `step` bytes; `source` tells how far it was read and whether it was ended. */
export function streamed(
  bytes: Uint8Array,
  options: { step?: number; node?: string; name?: string } = {},
): KindInput & { source: Source } {
  const source = new Source(bytes, options.step);
  return {
    role: 'in',
    node: options.node ?? 'input',
    items: [{ name: options.name ?? options.node ?? 'input', size: bytes.length }],
    format: undefined,
    stream: () => source.stream(),
    paths: () => Promise.reject(new Error('it streams')),
    source,
  };
}

/** Files as an input that lies at rest. */
export function stored(
  paths: readonly string[],
  options: { format?: string; node?: string } = {},
): KindInput {
  return {
    role: 'in',
    node: options.node ?? 'input',
    items: paths.map((path) => ({ name: path.slice(path.lastIndexOf('/') + 1), size: null })),
    format: options.format,
    stored: true,
    stream: () => {
      throw new Error('it is to be read by its path');
    },
    paths: () => Promise.resolve(paths),
  };
}

export class Source {
  readonly #bytes: Uint8Array;
  readonly #step: number;
  read = 0;
  ended = false;

  constructor(bytes: Uint8Array, step = 64 * 1024) {
    this.#bytes = bytes;
    this.#step = step;
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < this.#bytes.length; at += this.#step) {
        const piece = this.#bytes.subarray(at, at + this.#step);
        this.read += piece.length;
        yield piece;
      }
    } finally {
      this.ended = true;
    }
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  // A hole is one shared piece of zeros; what is kept must be a copy only if it were changed.
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The ResError that a promise rejects with; fails when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<ResError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ResError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
