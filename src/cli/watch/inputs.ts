// What a build reads of the user's files: the manifest with what it includes, and `path` artifacts. Taken down before a build,
// and again when something has happened: what has other content is what triggered.
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import picomatch from 'picomatch';
import { closure } from '../../graph/select.js';
import { readManifestFiles } from '../../manifest/files.js';
import { ResError } from '../../model/error.js';
import type { Change } from '../../model/event.js';
import { makerOf } from '../../plan/registry.js';
import type { Workspace } from '../../plan/workspace.js';
import { expandPath } from '../../sources/path.js';
import { errorCode } from '../../store/files.js';

export interface Inputs {
  /** Absolute paths, whether the files are there or not. */
  readonly files: readonly string[];
  /** Folders that globs look into, absolute, with all below them. */
  readonly folders: readonly string[];
  /** Patterns of `path` artifacts, relative to the manifest's folder. */
  readonly patterns: readonly string[];
}

/** Digests by absolute path; undefined for what cannot be read. */
export type Snapshot = ReadonlyMap<string, string | undefined>;

/** The files of a manifest, also of one with mistakes, and of those that are yet to be made. */
export function manifestInputs(manifest: string, cwd: string): Inputs {
  const { reals } = readManifestFiles(manifest, cwd);
  return { files: [...new Set([manifest, ...reals.flat()])], folders: [], patterns: [] };
}

/** The `path` artifacts that the nodes are made of. */
export function workspaceInputs({ graph }: Workspace, nodes: readonly string[]): Inputs {
  const { dir } = graph.manifest;
  const files: string[] = [];
  const folders: string[] = [];
  const patterns: string[] = [];
  for (const name of closure(graph, nodes)) {
    const node = graph.nodes.get(name);
    const maker = node && makerOf(node);
    if (maker?.is !== 'source' || maker.source.place !== 'workspace') continue;
    const pattern = maker.source.identity(node?.recipe ?? {});
    patterns.push(pattern);
    const { base, isGlob } = picomatch.scan(pattern);
    const literal = resolve(dir, pattern);
    files.push(literal, realOf(literal));
    if (isGlob) folders.push(resolve(dir, base));
  }
  return { files: [...new Set(files)], folders: [...new Set(folders)], patterns: [...new Set(patterns)] };
}

export function joinInputs(a: Inputs, b: Inputs): Inputs {
  const both = (key: keyof Inputs) => [...new Set([...a[key], ...b[key]])];
  return { files: both('files'), folders: both('folders'), patterns: both('patterns') };
}

/**
 * @param manifestFiles of `manifestInputs`: they are read whole
 * Rejects with the signal's reason.
 * @param workspace files of `path` artifacts are hashed through its cache; undefined while there is no graph
 */
export async function takeSnapshot(
  manifestFiles: readonly string[],
  patterns: readonly string[],
  workspace: Workspace | undefined,
  signal: AbortSignal,
): Promise<Snapshot> {
  const snapshot = new Map<string, string | undefined>();
  for (const file of manifestFiles) snapshot.set(file, await textDigest(file));
  if (!workspace) return snapshot;
  const { dir } = workspace.graph.manifest;
  for (const pattern of patterns) {
    for (const path of await pathsOf(pattern, dir)) {
      if (snapshot.has(path)) continue;
      snapshot.set(path, await contentDigest(workspace, path, signal));
    }
  }
  return snapshot;
}

/** What is not the same, in the order of the paths. */
export function changesBetween(before: Snapshot, after: Snapshot): readonly Change[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path): Change[] => {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) return [];
    return [{ path, change: was === undefined ? 'new' : is === undefined ? 'gone' : 'changed' }];
  });
}

async function pathsOf(pattern: string, dir: string): Promise<readonly string[]> {
  try {
    return (await expandPath(pattern, dir)).map(({ path }) => path);
  } catch (error) {
    // That there is none, or that it cannot be read, is what the build says.
    if (error instanceof ResError) return [];
    throw error;
  }
}

async function contentDigest(
  { cache }: Workspace,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await cache.digestOf(path, 'sha256', { signal })).digest;
  } catch (error) {
    if (!signal.aborted && error instanceof ResError) return undefined;
    throw error;
  }
}

async function textDigest(path: string): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return path;
  }
}
