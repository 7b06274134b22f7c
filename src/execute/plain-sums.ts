// Plain sha256 sums of what nodes have: what other programs can check, whatever res itself knows content by.
import { existsSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Content, Item } from '../model/content.js';
import { digestAlgorithm, digestHex } from '../model/digest.js';
import type { NodePlan } from '../model/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { sortedEntries } from '../store/directory.js';
import { digestFile } from '../store/hashing.js';

/** One a planned output, hex; null for a directory and for what is not at hand. Rejects with ResError `io`. */
export async function plainSums(
  workspace: Workspace,
  { outputs, content }: Pick<NodePlan, 'outputs' | 'content'>,
): Promise<(string | null)[]> {
  const sums: (string | null)[] = [];
  for (const [i, { digest, path }] of outputs.entries()) {
    const type = content?.[i]?.type;
    const at = path !== null && existsSync(path) ? path : workspace.store.path(digest, type ?? 'file');
    if (digestAlgorithm(digest) === 'sha256') sums.push(digestHex(digest));
    else if (type !== 'file' || !existsSync(at)) sums.push(null);
    else sums.push(await fileSum(workspace, at));
  }
  return sums;
}

export interface SummedFile {
  /** Below the item's name where that is a directory, with `/`. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * All files of some content, in order; links within directories are left out. Rejects with ResError `io`, or with the signal's
 * reason.
 * @param places where each item lies, absolute
 */
export async function summedFiles(
  workspace: Workspace,
  content: Content,
  places: readonly string[],
  signal?: AbortSignal,
): Promise<readonly SummedFile[]> {
  const files: SummedFile[] = [];
  for (const [i, item] of content.entries()) {
    const path = places[i] ?? '';
    if (item.type === 'directory') files.push(...(await filesBelow(path, item.name, signal)));
    else files.push({ name: item.name, path, size: item.size, sha256: await itemSum(workspace, item, path) });
    signal?.throwIfAborted();
  }
  return files;
}

async function itemSum(workspace: Workspace, { digest }: Item, path: string): Promise<string> {
  return digestAlgorithm(digest) === 'sha256' ? digestHex(digest) : fileSum(workspace, path);
}

async function fileSum({ cache }: Workspace, path: string): Promise<string> {
  return digestHex((await cache.digestOf(path, 'sha256')).digest);
}

async function filesBelow(folder: string, name: string, signal?: AbortSignal): Promise<SummedFile[]> {
  const files: SummedFile[] = [];
  for (const entry of await sortedEntries(folder)) {
    const [path, below] = [join(folder, entry.name), `${name}/${entry.name}`];
    if (entry.isDirectory()) files.push(...(await filesBelow(path, below, signal)));
    if (!entry.isFile()) continue;
    const { digest } = await digestFile(path, 'sha256', signal ? { signal } : {});
    files.push({ name: below, path, sha256: digestHex(digest), size: (await lstat(path)).size });
  }
  return files;
}
