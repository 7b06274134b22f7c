// A program of the user's is run: in a scratch directory of its own, in a sandbox where there is one, and what it leaves is
// taken out of there once it is known to be fit to be kept.

import { lstatSync, realpathSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { KindInput, Program, ProgramCommand } from '../kinds/kind.js';
import { ResError } from '../model/error.js';
import { findProgram } from '../plan/tools.js';
import type { Workspace } from '../plan/workspace.js';
import { copyTree, ioError, isNoSpace, moveOrCopy } from '../store/files.js';
import { type Command, type NodeLog, type ProgramEnd, runCommand } from './process.js';
import { chooseSandbox, hiddenFolders, type Sandbox, stageOf } from './sandbox.js';
import { prepareScratch, removeScratch, type Scratch, scratchPath } from './scratch.js';

export interface RunningOptions {
  readonly workspace: Workspace;
  readonly node: string;
  /** Absolute. */
  readonly scratch: string;
  /** In the order of the program's inputs. */
  readonly inputs: readonly KindInput[];
  /** Names that do not exist, one for each output. */
  readonly temps: readonly string[];
  readonly log: NodeLog;
  readonly signal: AbortSignal;
}

export interface Left {
  readonly type: 'file' | 'directory';
  readonly executable: boolean;
}

/**
 * Runs the program and moves what it leaves to `temps`. The scratch directory of a run that fails stays. Rejects with ResError
 * `tool-missing`, `sandbox-unavailable`, `command-failed`, `command-killed`, `command-timeout`, `result-missing`, `result-unfit`,
 * `io`, `no-space`, `interrupted`.
 */
export async function runInScratch(program: Program, o: RunningOptions): Promise<readonly Left[]> {
  checkTools(program, o.workspace);
  const sandbox = await chooseSandbox(o.workspace.env);
  let isKept = false;
  try {
    const scratch = await prepareScratch(o.scratch, program, o.inputs, {
      mayMount: sandbox !== undefined,
      signal: o.signal,
    });
    if (!sandbox) o.log.line('(no sandbox: the workspace can be seen)');
    try {
      const command = await commandIn(scratch, program, o.workspace, sandbox);
      const end = await runCommand(o, command, program.timeoutMs);
      checkEnd(end, command, program, o.log);
      return await takeOutputs(scratch, program, o);
    } catch (error) {
      isKept = error instanceof ResError && !o.signal.aborted && !isNoSpace(error);
      throw isKept && error instanceof ResError ? keptError(error, o) : error;
    }
  } finally {
    if (!isKept) await removeScratch(o.scratch);
  }
}

function checkTools({ tools }: Program, { env }: Workspace): void {
  const missing = tools.filter((tool) => findProgram(tool, env) === undefined);
  if (missing.length === 0) return;
  throw new ResError(
    'tool-missing',
    `${missing.join(', ')}: not installed, or not on PATH, and named in \`tools\``,
    { hint: "Install it with the system's package manager." },
  );
}

/** The program with its environment, as it is to be started. Rejects with ResError `tool-missing`. */
export async function commandIn(
  scratch: Scratch,
  program: Program,
  workspace: Workspace,
  sandbox: Sandbox | undefined,
): Promise<Command> {
  const { argv, env } = program.command(scratch.places);
  const { cwd, line } = await confine(scratch, program, workspace, sandbox, (from) =>
    lineOf(argv, from, env, workspace),
  );
  return { argv, line, cwd, env: environmentOf(scratch, program, workspace, env) };
}

/** Any command in a scratch directory, confined as the program of the node is. */
export async function confine(
  { path, mounts }: Scratch,
  { cwd: folder, network }: Program,
  workspace: Workspace,
  sandbox: Sandbox | undefined,
  line: (cwd: string) => [string, ...string[]],
): Promise<Pick<Command, 'cwd' | 'line'>> {
  const cwd = join(path, folder);
  if (!sandbox) return { cwd, line: line(cwd) };
  await mkdir(stageOf(path), { recursive: true });
  const confinement = { scratch: path, cwd, mounts, network, ...hiddenFolders(workspace) };
  return { cwd, line: sandbox.wrap(line(cwd), confinement) };
}

/** The whole of it: what the machine it runs on has set otherwise does not come in. */
export function environmentOf(
  { path }: Pick<Scratch, 'path'>,
  { home, temp }: Program,
  { env }: Workspace,
  own: ProgramCommand['env'],
): Record<string, string> {
  return {
    PATH: env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: join(path, home),
    TMPDIR: join(path, temp),
    LANG: 'C.UTF-8',
    ...own,
  };
}

function lineOf(
  [name, ...args]: ProgramCommand['argv'],
  cwd: string,
  own: ProgramCommand['env'],
  { env }: Workspace,
): [string, ...string[]] {
  const isPath = name.includes('/');
  const path = findProgram(isPath ? resolve(cwd, name) : name, { ...env, ...own });
  if (path !== undefined) return [path, ...args];
  const what = isPath ? 'is not there, or is no program' : 'is not installed, or not on PATH';
  throw new ResError('tool-missing', `the program ${name} ${what}`, {
    hint: isPath
      ? 'Make the file executable, or name its interpreter: [sh, FILE].'
      : "Correct its name, or install it with the system's package manager.",
  });
}

const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Who waits for a program tells of its end by a signal with a status above 128 (POSIX). */
function signalOf({ exitCode, signal }: ProgramEnd): string | undefined {
  return signal ?? (exitCode === undefined ? undefined : SIGNALS.get(exitCode - 128));
}

/** Throws ResError unless the program ended well. */
function checkEnd(end: ProgramEnd, { argv }: Command, { timeoutMs }: Program, log: NodeLog): void {
  if (end.exitCode === 0 && !end.timedOut) return;
  const signal = signalOf(end);
  const { exitCode } = end;
  const command = {
    argv,
    ...(signal === undefined ? (exitCode === undefined ? {} : { exitCode }) : { signal }),
    tail: log.tail(),
  };
  if (end.timedOut) {
    const seconds = (timeoutMs ?? 0) / 1000;
    throw new ResError('command-timeout', `${argv[0]} took longer than ${seconds} s and was stopped`, {
      command,
      hint: 'Raise `timeout` if it needs that time.',
    });
  }
  if (signal !== undefined) {
    throw new ResError('command-killed', `${argv[0]} was ended by ${signal}`, {
      command,
      ...(signal === 'SIGKILL'
        ? { hint: 'When memory runs out the system kills what takes most of it: `memory` and -j limit that.' }
        : {}),
    });
  }
  const how = exitCode === undefined ? 'could not be started' : `failed with exit status ${exitCode}`;
  throw new ResError('command-failed', `${argv[0]} ${how}`, { command });
}

function keptError(error: ResError, { scratch, node, workspace }: RunningOptions): ResError {
  const shown = relative(workspace.graph.manifest.dir, scratch);
  const way = scratch === scratchPath(workspace, node) ? ` \`res shell ${node}\` opens a shell there.` : '';
  const kept = `Its scratch directory is kept: ${shown}.${way}`;
  return new ResError(error.code, error.message, {
    hint: error.hint === undefined ? kept : `${error.hint} ${kept}`,
    diagnostics: error.diagnostics,
    ...(error.command ? { command: error.command } : {}),
    cause: error,
  });
}

async function takeOutputs(
  scratch: Scratch,
  { outputs }: Program,
  { temps }: RunningOptions,
): Promise<readonly Left[]> {
  const missing = outputs.filter((_, i) => !isThere(scratch.places.outputs[i] ?? ''));
  if (missing.length > 0)
    throw await missingError(
      scratch,
      missing.map(({ path }) => path),
      outputs,
    );
  const found: Left[] = [];
  // All are looked at before the first one is taken.
  for (const [i, { path }] of outputs.entries())
    found.push(await examine(scratch.places.outputs[i] ?? '', path, scratch.path));
  for (const [i, from] of scratch.places.outputs.entries()) await take(from, temps[i] ?? '');
  return found;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const SHOWN_ENTRIES = 12;

/** Which are missing, and what there is instead. */
async function missingError(
  scratch: Scratch,
  missing: readonly string[],
  outputs: Program['outputs'],
): Promise<ResError> {
  const there: string[] = [];
  const folders = new Set(['.', ...outputs.map(({ path }) => dirname(path))]);
  for (const folder of [...folders].sort())
    for (const entry of await entriesOf(join(scratch.path, folder))) {
      const name = folder === '.' ? entry.name : `${folder}/${entry.name}`;
      const isOwn = name === 'in' || name.startsWith('.') || folders.has(name);
      if (!isOwn) there.push(entry.isDirectory() ? `${name}/` : name);
    }
  const more = there.length > SHOWN_ENTRIES ? `, and ${there.length - SHOWN_ENTRIES} more` : '';
  const found = there.length === 0 ? 'nothing' : `${there.slice(0, SHOWN_ENTRIES).join(', ')}${more}`;
  const what = missing.length === 1 ? 'an output' : 'outputs';
  return new ResError(
    'result-missing',
    `the program ended well, and left no ${missing.join(', ')}: ${what} of the node; there is ${found}`,
    { hint: 'It must write to what `out` stands for, or to the paths in `outputs`.' },
  );
}

async function entriesOf(folder: string) {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}

/** Whether what a program left can be kept. Rejects with ResError `result-unfit`. Makes it readable for its user. */
async function examine(path: string, shown: string, scratch: string): Promise<Left> {
  const folder = realpathSync(dirname(path));
  if (folder !== scratch && !folder.startsWith(`${scratch}${sep}`))
    throw unfit(shown, 'lies beyond a link that leads out of the scratch directory');
  const stats = await lstat(path);
  if (stats.isSymbolicLink())
    throw unfit(shown, `is a link, to ${await readlink(path)}`, 'Copy what it leads to: cp -L.');
  if (stats.isDirectory()) {
    await examineBelow(path, shown, path);
    return { type: 'directory', executable: false };
  }
  if (!stats.isFile()) throw unfit(shown, 'is neither a file nor a directory');
  return { type: 'file', executable: (stats.mode & 0o100) !== 0 };
}

async function examineBelow(path: string, shown: string, root: string): Promise<void> {
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) {
    const target = await readlink(path);
    if (isAbsolute(target) || leaves(resolve(dirname(path), target), root))
      throw unfit(
        shown,
        `is a link out of the output, to ${target}`,
        'Make it relative, or copy what it leads to.',
      );
    return;
  }
  if (stats.isFile()) {
    if ((stats.mode & 0o600) !== 0o600) await chmod(path, (stats.mode & 0o777) | 0o600);
    return;
  }
  if (!stats.isDirectory()) throw unfit(shown, 'is neither a file, a directory nor a link');
  if ((stats.mode & 0o700) !== 0o700) await chmod(path, (stats.mode & 0o777) | 0o700);
  for (const name of await readdir(path)) await examineBelow(join(path, name), `${shown}/${name}`, root);
}

function leaves(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '..' || way.startsWith(`..${sep}`);
}

function unfit(shown: string, how: string, hint?: string): ResError {
  return new ResError('result-unfit', `the output ${shown} ${how}`, hint === undefined ? {} : { hint });
}

/** A file that has another name as well would be one with it wherever both are put: it is copied. */
async function take(from: string, to: string): Promise<void> {
  try {
    if (await hasOtherNames(from)) await copyTree(from, to);
    else await moveOrCopy(from, to);
    const stats = await lstat(to);
    if (stats.isFile() && (stats.mode & 0o600) !== 0o600) await chmod(to, (stats.mode & 0o777) | 0o600);
  } catch (error) {
    throw ioError(error, 'cannot take', from);
  }
}

async function hasOtherNames(path: string): Promise<boolean> {
  const stats = await lstat(path);
  if (stats.isFile()) return stats.nlink > 1;
  if (!stats.isDirectory()) return false;
  for (const name of await readdir(path)) if (await hasOtherNames(join(path, name))) return true;
  return false;
}
