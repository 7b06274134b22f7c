// The directory that a program of the user's is run in: its inputs, empty folders for what it needs, and nothing else of the
// workspace. An input there is a copy, or is mounted to be read only: nothing done to it reaches what it was taken from.
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { chmod, lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { KindInput, Program, ProgramPlaces, Support } from '../kinds/kind.js';
import type { Workspace } from '../plan/workspace.js';
import { copyTree, errorCode, ioError, makeAll } from '../store/files.js';
import { layOut } from './layout.js';
import type { ReadOnlyMount } from './sandbox.js';

/** Bytes from which on an input is mounted where that can be, and not copied. */
export const MOUNT_FROM = 16 * 1024 * 1024;

/** Always the same for a node: what a program writes of it into its output is the same each time, too. */
export function scratchPath({ paths }: Workspace, node: string): string {
  return join(paths.run, node);
}

/** One for a person to work in, beside what builds do: it is of this process. */
export function ownScratchPath(workspace: Workspace, node: string): string {
  return `${scratchPath(workspace, node)}${OWN}${process.pid}`;
}

const OWN = '+';

/** Whether a scratch directory, by its name, is of a process that still runs. */
export function isInUse(name: string): boolean {
  const at = name.indexOf(OWN);
  if (at < 0) return false;
  try {
    process.kill(Number(name.slice(at + 1)), 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

export interface Scratch {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly places: ProgramPlaces;
  /** What is yet to be mounted into it. */
  readonly mounts: readonly ReadOnlyMount[];
}

/**
 * Makes the directory anew, or with `keep` makes good what it lacks of its inputs. Rejects with ResError `io` or `no-space`, or with
 * the signal's reason.
 * @param o.mayMount whether large inputs may be left to be mounted
 */
export async function prepareScratch(
  path: string,
  program: Program,
  inputs: readonly KindInput[],
  {
    mayMount,
    keep = false,
    signal,
  }: { readonly mayMount: boolean; readonly keep?: boolean; readonly signal: AbortSignal },
): Promise<Scratch> {
  try {
    if (!keep) await removeScratch(path);
    await makeAll(path);
    const real = realpathSync(path);
    for (const folder of [program.home, program.temp]) await makeAll(join(real, folder));
    const mounts: ReadOnlyMount[] = [];
    const places: (readonly string[])[] = [];
    for (const [i, input] of inputs.entries()) {
      const place = join(real, program.inputs[i] ?? '');
      await makeAll(dirname(place));
      places.push(await placeInput(input, place, { mounts: mayMount ? mounts : undefined, signal }));
    }
    const outputs = program.outputs.map((output) => join(real, output.path));
    // A program that says itself where it leaves something also makes the folder, and may want it not to be there.
    for (const [i, output] of outputs.entries())
      if (program.outputs[i]?.isTold) await makeAll(dirname(output));
    await makeAll(join(real, program.cwd));
    return { path: real, places: { inputs: places, outputs }, mounts };
  } catch (error) {
    signal.throwIfAborted();
    throw ioError(error, 'cannot prepare', path);
  }
}

interface PlacingOptions {
  /** Gets what is to be mounted; undefined where nothing can be. */
  readonly mounts: ReadOnlyMount[] | undefined;
  readonly signal: AbortSignal;
}

/** Gives the absolute paths of the input's files in the scratch directory. */
async function placeInput(input: KindInput, place: string, o: PlacingOptions): Promise<readonly string[]> {
  const files = await input.paths();
  const { leansOn = [] } = input;
  if (leansOn.length > 0) return [await placeTogether(files[0] ?? '', leansOn, place, o)];
  if (input.many) await makeAll(place);
  const names = new Set<string>();
  const placed: string[] = [];
  for (const [i, file] of files.entries()) {
    const { name = '', size = null, executable = false } = input.items[i] ?? {};
    let to = place;
    if (input.many) {
      // Of a pattern that goes through folders, two may have one name.
      const folder = names.has(name) ? join(place, String(i)) : place;
      names.add(name);
      await makeAll(folder);
      to = join(folder, name);
    }
    // Of the workspace's own files it may be a link that was named.
    await placeFile(realpathSync(file), to, { size, executable }, o);
    placed.push(to);
  }
  return placed;
}

/** Puts a file and those that it leads to into a folder, so that it finds them there, and gives its path. */
async function placeTogether(
  file: string,
  leansOn: readonly Support[],
  folder: string,
  o: PlacingOptions,
): Promise<string> {
  const ways = leansOn.map(({ way }) => way);
  const [own, ...others] = layOut(basename(folder), ways);
  const put = async (from: string, to: string) => {
    await makeAll(dirname(to));
    await placeFile(realpathSync(from), to, { size: null, executable: false }, o);
  };
  await put(file, join(folder, own));
  for (const [i, { path }] of leansOn.entries()) await put(path, join(folder, others[i] ?? ''));
  return join(folder, own);
}

async function placeFile(
  from: string,
  to: string,
  { size, executable }: { readonly size: number | null; readonly executable: boolean },
  { mounts, signal }: PlacingOptions,
): Promise<void> {
  const stats = statSync(from);
  const isLarge = (size ?? stats.size) >= MOUNT_FROM;
  if (mounts && isLarge) {
    if (stats.isDirectory()) await makeAll(to);
    else await writeFile(to, '', { flag: 'a' });
    mounts.push({ from, to });
    return;
  }
  if (lstatSync(to, { throwIfNoEntry: false })) {
    // It was copied before; or something was mounted there, and cannot be now.
    if (!isLarge) return;
    await removeScratch(to);
  }
  await copyTree(from, to, { signal });
  await makeReadOnly(to, executable);
}

/** A program that writes to an input is to fail wherever it runs, and not only where inputs are mounted. */
async function makeReadOnly(path: string, executable = false): Promise<void> {
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const name of await readdir(path)) await makeReadOnly(join(path, name));
  const isProgram = stats.isDirectory() || executable || (stats.mode & 0o100) !== 0;
  await chmod(path, isProgram ? 0o555 : 0o444);
}

/** Removes a scratch directory, or what is in one, also folders that may not be written to. Rejects with the system's error. */
export async function removeScratch(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    await openFolders(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function openFolders(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await openFolders(join(path, entry.name));
}
