// `res clean`: what res made is removed, and nothing else.

import { rm, rmdir } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { plainName } from '../model/node.js';
import type { CleanReport } from '../model/report.js';
import { occupantOf } from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import { chunksFolder } from '../store/chunks.js';
import { errorCode, fsyncDir } from '../store/files.js';
import { ownsStore } from '../store/paths.js';
import { lockWorkspace } from './lock-workspace.js';
import { removeOutput, removeTemporaries } from './outputs.js';
import { removeScratch } from './scratch.js';
import { throwIfInterrupted } from './verify.js';

export interface CleanOptions {
  /** The store, partial downloads, logs and caches too; only what lies in the workspace's own `.res`. */
  readonly all?: boolean;
  /** Outputs that were changed by hand too. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /** Called for each res that is waited for. */
  readonly onWait?: (holder: string) => void;
}

/**
 * Removes outputs of just these nodes, groups taken apart already, and not of what they are made of; of all nodes, also of
 * other variants, when `names` is empty.
 */
export async function clean(
  workspace: Workspace,
  names: readonly string[],
  options: CleanOptions = {},
): Promise<CleanReport> {
  const unlock = await lockWorkspace(workspace, {
    describe: 'res clean',
    onWait: options.onWait,
    signal: options.signal,
  });
  try {
    workspace.state.reload();
    const wanted = names.length === 0 ? undefined : new Set(names);
    const places = new Map(names.map((name) => [workspace.graph.nodes.get(name)?.output, name]));
    const { outputDir } = workspace.graph.manifest;
    // A build of other combinations of params may have called the node by another name.
    const isWanted = (path: string, maker: string): boolean =>
      wanted?.has(maker) === true ||
      wanted?.has(plainName(maker)) === true ||
      plainName(places.get(relative(outputDir, path)) ?? '') === maker;
    const removed: CleanReport['removed'][number][] = [];
    const kept: string[] = [];
    const folders = new Set<string>();
    for (const [path, { node, size }] of [...workspace.state.outputs.entries()]) {
      throwIfInterrupted(options.signal);
      if (wanted && !isWanted(path, node)) continue;
      const { is } = await occupantOf(workspace, path, null);
      if (is === 'changed' && !options.force) {
        kept.push(path);
        continue;
      }
      if (is !== 'absent') {
        await removeOutput(workspace, path);
        folders.add(dirname(path));
        removed.push({ path, size });
      }
      workspace.state.outputs.delete(path);
      workspace.cache.forget(path);
    }
    // A file that is back after a power cut must still be known as made by res: the records go last.
    for (const folder of folders) await fsyncDir(folder);
    if (options.all) removed.push(...(await emptyStore(workspace, options.signal)));
    await removeTemporaries(workspace);
    await workspace.state.flush();
    await removeEmptyFolders(folders, workspace.graph.manifest.outputDir);
    const freedBytes = removed.reduce((sum, { size }) => sum + size, 0);
    const { store } = workspace.paths;
    const sharedStore = options.all && !ownsStore(workspace.paths) ? store : null;
    return { removed, kept, freedBytes, sharedStore };
  } finally {
    await unlock();
  }
}

async function emptyStore(
  workspace: Workspace,
  signal: AbortSignal | undefined,
): Promise<{ path: string; size: number }[]> {
  const { partial, logs, cache, run } = workspace.paths;
  for (const folder of [partial, logs, cache]) await rm(folder, { recursive: true, force: true });
  await removeScratch(run);
  if (!ownsStore(workspace.paths)) return [];
  const removed: { path: string; size: number }[] = [];
  for await (const { digest, type, path, size } of workspace.store.list()) {
    throwIfInterrupted(signal);
    await workspace.store.remove(digest, type);
    workspace.cache.forget(path);
    removed.push({ path, size });
  }
  await rm(chunksFolder(workspace.paths.store), { recursive: true, force: true });
  return removed;
}

/** Not empty, a link to elsewhere, a mount point, or in a folder of somebody else's: then it stays. */
const KEPT: ReadonlySet<string | undefined> = new Set([
  'ENOTEMPTY',
  'EEXIST',
  'ENOENT',
  'ENOTDIR',
  'EBUSY',
  'EACCES',
  'EPERM',
  'EROFS',
  'EINVAL',
]);

/** Folders that outputs were in, and those above them up to that of all outputs, where nothing else is in them. */
async function removeEmptyFolders(folders: ReadonlySet<string>, outputDir: string): Promise<void> {
  const all = new Set([outputDir]);
  for (const folder of folders)
    for (let at = folder; at.startsWith(`${outputDir}/`); at = dirname(at)) all.add(at);
  for (const folder of [...all].sort((a, b) => b.length - a.length)) await removeIfEmpty(folder);
}

async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (!KEPT.has(errorCode(error))) throw error;
  });
}
