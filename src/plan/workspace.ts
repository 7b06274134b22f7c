// A workspace opened: the graph with everything that is remembered about it. Reading it changes nothing on disk.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockPath, readLock } from '../manifest/lockfile.js';
import type { Env } from '../model/env.js';
import type { Graph } from '../model/graph.js';
import type { LockEntry } from '../model/lock.js';
import { ObjectStore } from '../store/objects.js';
import { ownsStore, type WorkspacePaths, workspacePaths } from '../store/paths.js';
import { StatCache } from '../store/stat-cache.js';
import { openState, type State } from '../store/state.js';
import { SharedStore } from './shared.js';
import { Tools } from './tools.js';

export interface Workspace {
  readonly graph: Graph;
  readonly env: Env;
  readonly paths: WorkspacePaths;
  readonly state: State;
  readonly cache: StatCache;
  readonly store: ObjectStore;
  /** Undefined when the store is nobody else's. */
  readonly shared: SharedStore | undefined;
  readonly tools: Tools;
  readonly lockFile: string;
  /** Lock entries by source identity, in memory; execute/ writes them back. */
  readonly lock: Map<string, LockEntry>;
}

export interface WorkspaceOptions {
  readonly graph: Graph;
  readonly env: Env;
}

/** Reads lock and state of the manifest's folder. Throws ResError `lock-invalid`. */
export function openWorkspace({ graph, env }: WorkspaceOptions): Workspace {
  const { file } = graph.manifest;
  const folder = dirname(file);
  const paths = workspacePaths(folder, env);
  const state = openState(paths.state, folder, paths);
  const lockFile = lockPath(file);
  return {
    graph,
    env,
    paths,
    state,
    cache: new StatCache(state.files, paths.state),
    store: new ObjectStore(paths.store),
    shared: ownsStore(paths) ? undefined : new SharedStore(paths.store, folder),
    tools: new Tools(state.tools, env),
    lockFile,
    lock: new Map(Object.entries(readLock(lockFile).sources)),
  };
}

/** Reads again what another build may have written in the meantime. */
export function refreshWorkspace(workspace: Workspace): void {
  workspace.state.reload();
  workspace.lock.clear();
  for (const [source, entry] of Object.entries(readLock(workspace.lockFile).sources)) {
    workspace.lock.set(source, entry);
  }
}

/** Keeps what was found out about files, where there is a place for it: looking alone makes no `.res`. */
export async function keepFindings(workspace: Workspace): Promise<void> {
  if (existsSync(workspace.paths.state)) await workspace.state.flush();
}
