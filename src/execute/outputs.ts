// Content into its place: how a file gets its final name, and what becomes of the one that was there.

import { createHash, randomUUID } from 'node:crypto';
import { constants, lstatSync, statSync } from 'node:fs';
import { access, chmod, lstat, mkdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { removeLockTemporary } from '../manifest/lockfile.js';
import type { Item } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';
import {
  type Holding,
  isStill,
  type Occupant,
  occupantOf,
  type Placement,
  shouldBeExecutable,
} from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import { digestDirectory } from '../store/directory.js';
import {
  type CopyOptions,
  cloneOrCopy,
  copyTree,
  errorCode,
  fsyncAll,
  fsyncDir,
  ioError,
  makeAll,
  moveOrCopy,
  removeTemporaryFolder,
  sameDevice,
} from '../store/files.js';
import { algorithmOf, digestFile } from '../store/hashing.js';
import { writerOf } from '../store/open-files.js';
import { ownsStore } from '../store/paths.js';
import { removeProbes, writtenState } from '../store/stat-cache.js';
import { removeNeedlessPartials } from './partials.js';
import { Vanished } from './vanished.js';

export interface Placing {
  readonly node: Node;
  readonly item: Item;
  /** Absolute final path. */
  readonly path: string;
  readonly overwrite: boolean;
}

/**
 * Moves a finished file or directory to an output path. The record of what will stand there is on disk before the
 * name changes, with what stood there before, so that after a crash at any point either is known to be res's own.
 * A former output that res made goes into the store. Rejects with ResError `output-modified`, `output-foreign`, …
 */
export async function placeOutput(workspace: Workspace, file: string, placing: Placing): Promise<void> {
  const { node, item, path } = placing;
  const { state, cache } = workspace;
  await makeFolder(dirname(path));
  if (!sameDevice(file, path)) {
    await placeCopy(workspace, file, placing);
    return rm(file, { recursive: true, force: true });
  }
  // What takes long comes first: little time is left for others between the look at what stands there and the rename.
  const executable = shouldBeExecutable(node, item);
  if (item.type === 'file') await setMode(file, executable);
  await fsyncAll(file);
  const made = await writtenState(file);
  const former = await look(workspace, placing);
  const displaced = former && former.digest !== item.digest ? former : undefined;
  const recorded = state.outputs.get(path);
  const keep = workspace.graph.nodes.get(recorded?.node ?? '')?.keep ?? 'auto';
  state.outputs.set(path, {
    digest: item.digest,
    node: node.name,
    type: item.type,
    size: item.size,
    executable,
    ...(displaced ? { previous: displaced.digest } : {}),
  });
  await state.outputs.flush().catch((error: unknown) => {
    // Nothing was put there: what is recorded later must not say so.
    if (recorded) state.outputs.set(path, recorded);
    else state.outputs.delete(path);
    throw error;
  });
  const still = await look(workspace, placing);
  checkNotBusy(workspace, path);
  if (displaced && still?.digest === displaced.digest && keep !== 'never')
    await storeOutput(workspace, path, displaced);
  else await clear(workspace, path, item.type);
  cache.forget(path);
  await moveOrCopy(file, path);
  cache.forget(file);
  await cache.record(path, item.digest, made);
}

/** What of res's own stands at an output path. Rejects with ResError for anything else that may not be overwritten. */
async function look(
  workspace: Workspace,
  { path, item, overwrite }: Placing,
): Promise<Extract<Occupant, { is: 'ours' }> | undefined> {
  const occupant = await occupantOf(workspace, path, item);
  if (occupant.is === 'ours') return occupant;
  if (occupant.is !== 'absent' && !overwrite) throw occupiedError(workspace, [{ path, item, occupant }]);
  return undefined;
}

/** Puts a new file or directory into the store, and says where it is there. Rejects with ResError `io`, `no-space`. */
export async function putObject(
  { store, cache, shared }: Workspace,
  temp: string,
  { digest, type }: Pick<Item, 'digest' | 'type'>,
): Promise<string> {
  shared?.lease([digest]);
  const isNew = !store.has(digest, type);
  const object = await store.put(temp, digest, type, shared?.tmp);
  // What is remembered of one that was there before says nothing of this one.
  if (isNew) cache.forget(object);
  return object;
}

/** Moves an output of res's own into the store. Should somebody still write to it there, its stat tells. */
export async function storeOutput(
  workspace: Workspace,
  path: string,
  { digest, type }: Pick<Item, 'digest' | 'type'>,
): Promise<void> {
  const { cache } = workspace;
  const before = await lstat(path, { bigint: true });
  const object = await putObject(workspace, path, { digest, type });
  const after = await lstat(object, { bigint: true });
  // The store keeps times to the microsecond.
  const isThat = after.ino === before.ino && after.mtimeNs / 1000n === before.mtimeNs / 1000n;
  if (type === 'file' && isThat) await cache.record(object, digest, after);
  cache.forget(path);
}

/** Throws ResError `output-busy` when a program has the file open to write to it: what it writes would be lost. */
export function checkNotBusy({ graph }: Workspace, path: string): void {
  const writer = writerOf(path);
  if (!writer) return;
  const shown = relative(graph.manifest.dir, path);
  throw new ResError(
    'output-busy',
    `${shown} is open for writing in ${writer.program} (pid ${writer.pid}): not replaced`,
    { hint: 'Stop that program first, a virtual machine for one, and build again.' },
  );
}

/** Makes room for what a rename cannot replace; a file is replaced by a file in one step. */
async function clear(workspace: Workspace, path: string, type: Item['type']): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there && (there.isDirectory() || type === 'directory')) await removeOutput(workspace, path);
}

/**
 * Removes what stands at an output path. A directory vanishes at once from its name: half of one, after a kill or a power cut,
 * would look as if it had been changed by hand.
 */
export async function removeOutput(workspace: Workspace, path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return rm(path, { force: true });
  const gone = await temporaryFor(workspace, path);
  await rename(path, gone);
  await fsyncDir(dirname(path));
  await rm(gone, { recursive: true, force: true });
}

/** From another file system: copied first to where the next build finds and removes it, should this one be killed. */
async function placeCopy(workspace: Workspace, file: string, placing: Placing): Promise<void> {
  const near = await temporaryFor(workspace, placing.path);
  try {
    await copyTree(file, near);
    await placeOutput(workspace, near, placing);
  } finally {
    await rm(near, { recursive: true, force: true });
  }
}

/** Makes a file that is in its place a program, or no longer one. Its content is known to be that of the item. */
export async function correctMode(workspace: Workspace, { node, item, path }: Placing): Promise<void> {
  const { state, cache } = workspace;
  const executable = shouldBeExecutable(node, item);
  const before = await lstat(path, { bigint: true });
  await setMode(path, executable);
  const { digest, type, size } = item;
  state.outputs.set(path, { digest, node: node.name, type, size, executable });
  await cache.record(path, digest, before);
}

/** Puts known content at an output path from where it is at hand: moved out of the store, else cloned or copied. */
export async function restoreOutput(
  workspace: Workspace,
  holding: Holding,
  placing: Placing,
  options: {
    readonly mayMove: boolean;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<void> {
  const { item, path } = placing;
  const { store, shared } = workspace;
  const mayMove = holding.place === 'store' && options.mayMove;
  if (mayMove && shared && store.mayMove(item.digest, item.type)) {
    const aside = await shared.takeAside(item);
    if (aside !== undefined) return restoreAside(workspace, aside, placing);
  }
  // In one step from the store to its place: whenever res is killed, the content is in one of the two.
  if (mayMove && !shared && sameDevice(holding.path, path))
    return placeOutput(workspace, holding.path, placing);
  const temp = await temporaryFor(workspace, path);
  try {
    await copyHolding(workspace, holding, item, temp, options);
    await placeOutput(workspace, temp, placing);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  if (holding.place !== 'store') return;
  if (mayMove && !shared) await store.remove(item.digest, item.type);
  else await store.touch(item.digest, item.type);
}

/** What cannot be put in its place goes back; so it does, by the next one who sweeps the store, when res is killed before. */
async function restoreAside(workspace: Workspace, aside: string, placing: Placing): Promise<void> {
  const { store } = workspace;
  try {
    await makeFolder(dirname(placing.path));
    if (sameDevice(aside, placing.path)) return await placeOutput(workspace, aside, placing);
    await placeCopy(workspace, aside, placing);
  } catch (error) {
    await store.putBack(aside);
    throw error;
  }
  await store.discard(aside);
}

/**
 * Copies content from where it is at hand to `to`, which must not exist. Rejects with ResError `io` when it lies where others
 * may write to it and somebody did meanwhile: the copy is then neither. Rejects with Vanished when another workspace does not
 * have it after all.
 */
export async function copyHolding(
  workspace: Workspace,
  holding: Holding,
  item: Item,
  to: string,
  options: CopyOptions,
): Promise<void> {
  if (holding.place === 'elsewhere') return copyFromElsewhere(workspace, holding.path, item, to, options);
  const copy = item.type === 'directory' ? copyTree : cloneOrCopy;
  await copy(holding.path, to, options);
  if (holding.place === 'store' || (await isStill(workspace, holding.path, item))) return;
  const shown = relative(workspace.graph.manifest.dir, holding.path);
  throw new ResError('io', `${shown} was changed while it was copied`, {
    hint: 'Build again when no other program writes to it.',
  });
}

/** What another workspace has is believed once its copy was read: no record of theirs says what their owner does to it. */
async function copyFromElsewhere(
  { shared }: Workspace,
  from: string,
  item: Item,
  to: string,
  options: CopyOptions,
): Promise<void> {
  try {
    await copyTree(from, to, options);
    if ((await digestOf(to, item, options)) === item.digest) return;
  } catch (error) {
    options.signal?.throwIfAborted();
    // It was moved or removed while it was read, or may not be read: as good as not there.
    const told = ioError(error, 'cannot copy', from);
    if (told.code === 'no-space') throw told;
  }
  await rm(to, { recursive: true, force: true });
  shared?.distrust(from);
  throw new Vanished(from);
}

async function digestOf(path: string, { type, digest }: Item, options: CopyOptions): Promise<Digest> {
  const o = options.signal ? { signal: options.signal } : {};
  if (type === 'directory') return (await digestDirectory(path, o)).digest;
  return (await digestFile(path, algorithmOf(digest), o)).digest;
}

/** A new name for a temporary that is to go into the store; its folder exists. */
export async function temporaryForStore({ paths, shared }: Workspace): Promise<string> {
  return join(shared?.tmp ?? paths.tmp, randomUUID());
}

/** A new name for a temporary on the file system of `path`; its folder exists. */
export async function temporaryFor(workspace: Workspace, path: string): Promise<string> {
  const known = temporaries.get(workspace) ?? new Map<string, string>();
  temporaries.set(workspace, known);
  const at = dirname(path);
  let folder = known.get(at);
  if (folder === undefined) {
    await makeFolder(at);
    const near = statSync(at).dev === statSync(workspace.paths.tmp).dev;
    folder = near ? workspace.paths.tmp : temporaryFolder(workspace);
    await mkdir(folder, { recursive: true });
    known.set(at, folder);
  }
  return join(folder, randomUUID());
}

/** Of each folder of outputs, where temporaries for it go: very many nodes have few folders. */
const temporaries = new WeakMap<Workspace, Map<string, string>>();

/** Where temporaries lie when the outputs are on another file system than `.res`. */
function temporaryFolder({ graph, paths }: Workspace): string {
  // Others may put their outputs into the same folder: each workspace has temporaries of its own there.
  const own = createHash('sha256').update(paths.root).digest('hex').slice(0, 16);
  return join(graph.manifest.outputDir, '.res-tmp', own);
}

/** Removes what a killed build left; only under the workspace's lock. */
export async function removeTemporaries(workspace: Workspace): Promise<void> {
  await removeTemporaryFolder(workspace.paths.tmp);
  await mkdir(workspace.paths.tmp, { recursive: true });
  await removeProbes(workspace.paths.state);
  await removeNeedlessPartials(workspace);
  await removeLockTemporary(workspace.lockFile);
  const afar = temporaryFolder(workspace);
  try {
    await removeTemporaryFolder(afar);
    await rmdir(dirname(afar));
  } catch (error) {
    // Used by others, or never made; or a file where the folder of outputs should be, which is told when one is to be put there.
    const cause = error instanceof ResError ? error.cause : error;
    if (!['ENOTDIR', 'ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errorCode(cause) ?? '')) throw error;
  }
  // In a store that others share, theirs may be in use.
  if (ownsStore(workspace.paths)) await removeTemporaryFolder(join(workspace.paths.store, 'tmp'));
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await makeAll(folder);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST' || code === 'ENOTDIR') throw blockedError(folder, folder);
    throw ioError(error, 'cannot make the folder', folder);
  }
}

/** Rejects with ResError `output-blocked` or `io` when an output could not be put at `path`. Makes nothing. */
export async function checkFolder(path: string): Promise<void> {
  const folder = dirname(path);
  for (let at = folder; ; at = dirname(at)) {
    try {
      if (!(await stat(at)).isDirectory()) throw blockedError(folder, at);
      return await access(at, constants.W_OK);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      throw error instanceof ResError ? error : ioError(error, 'cannot write to the folder', at);
    }
  }
}

function blockedError(folder: string, file: string): ResError {
  const what = file === folder ? 'a file is in the way' : `${file} is a file`;
  return new ResError('output-blocked', `cannot make the folder ${folder}: ${what}`, {
    hint: 'Move that file away, or choose another `output` or `output-dir`.',
  });
}

/** Permission bits of an output: writable by its user as the umask allows, executable where it is a program. */
async function setMode(path: string, executable: boolean): Promise<void> {
  const allowed = (executable ? 0o777 : 0o666) & ~process.umask();
  if ((statSync(path).mode & 0o777) !== allowed) await chmod(path, allowed);
}

/** One error for all output paths that hold what res may not overwrite. */
export function occupiedError(workspace: Workspace, occupied: readonly Placement[]): ResError {
  const foreign = occupied.every(({ occupant }) => occupant.is === 'foreign');
  const names = occupied.map(({ path, occupant }) => {
    const shown = relative(workspace.graph.manifest.dir, path);
    return `${shown} ${occupant.is === 'foreign' ? 'was not made by res' : 'was changed by hand'}`;
  });
  return new ResError(
    foreign ? 'output-foreign' : 'output-modified',
    `${names.join('; ')}: not overwritten`,
    {
      hint: '`--overwrite` replaces it, `--as-is` accepts it as it is now; to keep it apart, move or copy it away.',
    },
  );
}
