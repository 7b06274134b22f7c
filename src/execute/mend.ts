// A download that has lost some of its content on the disk: what is damaged is fetched again, into a copy; the damaged file
// stays as it is until the copy is whole.
import { randomUUID } from 'node:crypto';
import { chmod, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, sha256Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import type { LockEntry } from '../model/lock.js';
import type { RepairReport } from '../model/report.js';
import { pinnedEntry } from '../plan/assess.js';
import type { Workspace } from '../plan/workspace.js';
import type { Fetcher } from '../sources/fetch.js';
import type { FetchLocation } from '../sources/source.js';
import { type ByteRange, damagedRanges, readChunkSums, recordChunkSums } from '../store/chunks.js';
import { cloneOrCopy, ioError } from '../store/files.js';
import { digestFile } from '../store/hashing.js';
import { partialPath } from './download.js';
import { isLocal, offlineError, type RemoteNode, remoteNodes, sourceContext } from './resolve.js';

/** A file whose content the lock holds, and where it comes from. */
export interface LockedDownload {
  readonly remote: RemoteNode;
  readonly entry: LockEntry;
  readonly index: number;
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** Those of all artifacts of the present graph. */
export function lockedDownloads(workspace: Workspace): ReadonlyMap<Digest, LockedDownload> {
  const found = new Map<Digest, LockedDownload>();
  for (const remote of remoteNodes(workspace, [...workspace.graph.nodes.keys()])) {
    const entry = pinnedEntry(workspace, remote.node, remote.source);
    for (const [index, { name, sha256, size }] of (entry?.files ?? []).entries()) {
      if (!entry || sha256 === undefined || size === undefined) continue;
      found.set(sha256Digest(sha256), { remote, entry, index, name, sha256, size });
    }
  }
  return found;
}

export interface MendContext {
  readonly workspace: Workspace;
  readonly fetcher: () => Fetcher;
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly listener: EventListener;
  readonly onProgress: (done: number, total: number | null) => void;
}

export type Mended = Pick<RepairReport['mended'][number], 'by' | 'fetchedBytes' | 'savedBytes'> & {
  /** The whole file under a temporary name; the caller gives it its place. */
  readonly path: string;
};

/**
 * Makes a whole copy of a damaged download. Rejects with ResError as a fetch does, `offline` when it would need one that is
 * forbidden.
 */
export async function mendDownload(
  context: MendContext,
  download: LockedDownload,
  damaged: string,
): Promise<Mended> {
  const { workspace, signal } = context;
  const ranges = await findDamage(workspace, download, damaged, signal);
  const bytes = ranges?.reduce((sum, { length }) => sum + length, 0) ?? download.size;
  const { node, identity } = download.remote;
  if (bytes > 0 && context.offline && !isLocal(workspace, node.name)) {
    const { message, hint } = offlineError(node.name, `${bytes} bytes of ${download.name} (${identity})`);
    throw new ResError('offline', message, hint === undefined ? {} : { hint });
  }
  let wasted = 0;
  if (ranges && bytes < download.size) {
    const patched = await patchedCopy(context, download, damaged, ranges);
    if (patched.path !== undefined) {
      const { path, fetchedBytes } = patched;
      return { path, by: 'ranges', fetchedBytes, savedBytes: download.size - fetchedBytes };
    }
    wasted = patched.fetchedBytes;
  }
  const whole = await fetchWhole(context, download);
  return { path: whole.path, by: 'download', fetchedBytes: wasted + whole.fetchedBytes, savedBytes: 0 };
}

/** What is to be fetched; undefined when that cannot be told. */
async function findDamage(
  { paths }: Workspace,
  { sha256, size }: LockedDownload,
  damaged: string,
  signal: AbortSignal,
): Promise<readonly ByteRange[] | undefined> {
  const sums = await readChunkSums(paths.store, sha256);
  if (sums?.size !== size) return undefined;
  try {
    return await damagedRanges(damaged, sums, signal);
  } catch (error) {
    // A disk that does not give its bytes any more: nothing of the file is of use.
    if (error instanceof ResError && error.code === 'io') return undefined;
    throw error;
  }
}

/** `path` is undefined when the copy did not come out whole, or no place gives parts of the file. */
async function patchedCopy(
  context: MendContext,
  download: LockedDownload,
  damaged: string,
  ranges: readonly ByteRange[],
): Promise<{ readonly path: string | undefined; readonly fetchedBytes: number }> {
  const { workspace, signal, listener, onProgress } = context;
  const { sha256, size, remote, name } = download;
  const notice = (message: string) => listener({ type: 'notice', node: remote.node.name, message });
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  const path = join(workspace.paths.tmp, randomUUID());
  let fetchedBytes = 0;
  let isWhole = false;
  try {
    await cloneOrCopy(damaged, path, { signal });
    await chmod(path, 0o644);
    const file = await open(path, 'r+');
    try {
      await file.truncate(size);
      if (ranges.length > 0) {
        const onReceived = (bytes: number) => {
          fetchedBytes = bytes;
          onProgress(bytes, total);
        };
        const location = await locate(context, download);
        await context
          .fetcher()
          .patch({ location, file, path, size, ranges, signal, onReceived, onNotice: notice });
      }
    } finally {
      await file.close();
    }
    isWhole = (await digestFile(path, 'sha256', { signal })).digest === sha256Digest(sha256);
    if (!isWhole) notice(`${name}: more of it is damaged than its sums tell; all of it is fetched`);
  } catch (error) {
    if (signal.aborted || !(error instanceof ResError) || error.code === 'no-space')
      throw ioError(error, 'cannot write', path);
    notice(`${error.message}; all of it is fetched`);
  } finally {
    if (!isWhole) await rm(path, { force: true });
  }
  return { path: isWhole ? path : undefined, fetchedBytes };
}

async function fetchWhole(
  context: MendContext,
  download: LockedDownload,
): Promise<{ readonly path: string; readonly fetchedBytes: number }> {
  const { workspace, signal, listener, onProgress } = context;
  const { remote, entry, index, sha256, size } = download;
  const fetched = await context.fetcher().fetch({
    location: await locate(context, download),
    partial: partialPath(workspace, remote.identity, entry.files, index),
    expected: { sha256, size },
    onProgress,
    onNotice: (message) => listener({ type: 'notice', node: remote.node.name, message }),
    signal,
  });
  if (fetched.chunks) await recordChunkSums(workspace.paths.store, sha256, fetched.chunks);
  return { path: fetched.path, fetchedBytes: fetched.downloadedBytes };
}

async function locate(
  { workspace, fetcher, signal }: MendContext,
  { remote, entry, index }: LockedDownload,
): Promise<FetchLocation> {
  const { source, node, identity } = remote;
  const location = (await source.locate(node.recipe, entry, sourceContext(workspace, fetcher(), signal)))[
    index
  ];
  if (!location) throw new Error(`${identity} has no location for its file ${index}`);
  return location;
}
