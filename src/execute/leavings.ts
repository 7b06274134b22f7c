// What builds leave behind that no build needs: downloads that nobody goes on with, logs of nodes that are no more, what programs
// that failed were run in.
import { lstat, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { plainName } from '../model/node.js';
import type { GcClass } from '../model/report.js';
import { nodesOfLog } from '../plan/record.js';
import type { Workspace } from '../plan/workspace.js';
import { outdatedBuilds } from '../store/build-records.js';
import { diskUsage } from '../store/disk-usage.js';
import { errorCode, ioError } from '../store/files.js';
import { ownsStore } from '../store/paths.js';
import { partialPath } from './download.js';
import { remoteNodes } from './resolve.js';
import { isInUse } from './scratch.js';

/** One thing that may go; all of its files together. */
export interface Leaving {
  readonly what: GcClass;
  /** Absolute. */
  readonly paths: readonly string[];
  /** On disk. */
  readonly bytes: number;
}

export const DAY_MS = 24 * 60 * 60 * 1000;
/** Downloads that were not gone on with for so long are started anew by most people. */
const PARTIAL_DAYS = 14;
/** What an action gave is known again by doing it again. */
const RESULT_DAYS = 90;
const RECORD_DAYS = 365;

/**
 * All but what depends on the objects that stay. Rejects with ResError `io`.
 * @param o.keepDays what was used within so many days stays
 * @param o.now ms since 1970
 */
export async function findLeavings(
  workspace: Workspace,
  o: { readonly keepDays: number | undefined; readonly now: number },
): Promise<readonly Leaving[]> {
  const { paths } = workspace;
  try {
    return [
      ...(await partials(workspace, o.now - (o.keepDays ?? PARTIAL_DAYS) * DAY_MS)),
      ...(await buildRecords(paths.builds, o.now - (o.keepDays ?? RECORD_DAYS) * DAY_MS)),
      ...(await logs(workspace)),
      ...(await scratchDirectories(workspace)),
      ...(await results(paths.store, o.now - RESULT_DAYS * DAY_MS)),
    ];
  } catch (error) {
    throw ioError(error, 'cannot look through', paths.root);
  }
}

/** What processes that were killed left; only while no other uses the workspace. Rejects with ResError `io`. */
export async function findTemporaries({ paths }: Workspace): Promise<readonly Leaving[]> {
  try {
    const folders = [paths.tmp, ...(ownsStore(paths) ? [join(paths.store, 'tmp')] : [])];
    const found: Leaving[] = [];
    for (const folder of folders)
      for (const name of await namesIn(folder))
        found.push(await leaving('temporaries', [join(folder, name)]));
    return found;
  } catch (error) {
    throw ioError(error, 'cannot look through', paths.root);
  }
}

/** A download and the notes about it are one. */
async function partials(workspace: Workspace, since: number): Promise<readonly Leaving[]> {
  const folder = workspace.paths.partial;
  const wanted = new Set(
    remoteNodes(workspace, [...workspace.graph.nodes.keys()]).flatMap(({ identity }) => {
      const { files } = workspace.lock.get(identity) ?? { files: [] };
      return files.map((_, i) => basename(partialPath(workspace, identity, files, i)));
    }),
  );
  const files = new Map<string, string[]>();
  for (const name of await namesIn(folder)) {
    const [begun = name] = name.split('.', 1);
    files.set(begun, [...(files.get(begun) ?? []), join(folder, name)]);
  }
  const found: Leaving[] = [];
  for (const [begun, paths] of files)
    if (!wanted.has(begun) || (await lastWrite(paths)) < since) found.push(await leaving('partials', paths));
  return found;
}

async function buildRecords(folder: string, since: number): Promise<readonly Leaving[]> {
  const bytesOf = (name: string) => diskUsage(join(folder, name));
  const outdated = await outdatedBuilds(await namesIn(folder), bytesOf, since);
  return Promise.all(outdated.map((name) => leaving('build-records', [join(folder, name)])));
}

async function logs({ paths, graph }: Workspace): Promise<readonly Leaving[]> {
  const known = new Set([...graph.nodes.keys()].map(plainName));
  const gone = (await namesIn(paths.logs)).filter((file) => {
    const nodes = nodesOfLog(file);
    return nodes.length > 0 && !nodes.some((name) => known.has(plainName(name)));
  });
  return Promise.all(gone.map((name) => leaving('logs', [join(paths.logs, name)])));
}

/** Kept for a person to look into; not those in which somebody is. */
async function scratchDirectories({ paths }: Workspace): Promise<readonly Leaving[]> {
  // What begins with a dot is no node's.
  const left = (await namesIn(paths.run)).filter((name) => !name.startsWith('.') && !isInUse(name));
  return Promise.all(left.map((name) => leaving('scratch', [join(paths.run, name)])));
}

/** What other workspaces are told of actions; written and read now and then while somebody has a use for it. */
async function results(store: string, since: number): Promise<readonly Leaving[]> {
  const found: Leaving[] = [];
  for (const path of await filesOnShelves(join(store, 'ac')))
    if ((await lastUse(path)) < since) found.push(await leaving('results', [path]));
  return found;
}

/** All files of a folder of the store that has them in folders by the beginning of their names. */
export async function filesOnShelves(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const shelf of await namesIn(folder))
    for (const name of await namesIn(join(folder, shelf))) found.push(join(folder, shelf, name));
  return found;
}

/** Rejects with the system's error. */
export async function leaving(what: GcClass, paths: readonly string[]): Promise<Leaving> {
  let bytes = 0;
  for (const path of paths) bytes += await diskUsage(path);
  return { what, paths, bytes };
}

/** ms; of the latest of them. Others may remove files of the store meanwhile: those count as just used. */
async function lastWrite(paths: readonly string[]): Promise<number> {
  const times = await Promise.all(paths.map((path) => timesOf(path)));
  return Math.max(...times.map(({ mtimeMs }) => mtimeMs));
}

async function lastUse(path: string): Promise<number> {
  const { atimeMs, mtimeMs } = await timesOf(path);
  return Math.max(atimeMs, mtimeMs);
}

async function timesOf(path: string): Promise<{ readonly atimeMs: number; readonly mtimeMs: number }> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return { atimeMs: Number.POSITIVE_INFINITY, mtimeMs: Number.POSITIVE_INFINITY };
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}
