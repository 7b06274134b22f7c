// An artifact's files from outside: fetched side by side, checked against lock, pins and `verify`, put where they
// belong.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Content, Item } from '../model/content.js';
import { digestHex, sha256Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { type LockedFile, lockedItem } from '../model/lock.js';
import { pinnedEntry } from '../plan/assess.js';
import { Holdings } from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import type { Fetched, Fetcher } from '../sources/fetch.js';
import type { Watcher } from '../sources/partial.js';
import type { Slot } from '../sources/segments.js';
import type { FetchLocation } from '../sources/source.js';
import { recordChunkSums } from '../store/chunks.js';
import { type Arrival, Restarted } from './arrival.js';
import { type RemoteNode, sourceContext } from './resolve.js';

export interface DownloadContext {
  readonly workspace: Workspace;
  readonly fetcher: Fetcher;
  readonly signal: AbortSignal;
  /** Runs when the network pool has a place. */
  readonly pooled: <T>(work: (slot: Slot) => Promise<T>) => Promise<T>;
  readonly onProgress: (done: number, total: number | null) => void;
  /** Instead, of a source that does not know how much there is. */
  readonly onPercent: (percent: number) => void;
  readonly onNotice: (message: string) => void;
  /** Called with each file before it gets its final place; rejects when its content is not acceptable. */
  readonly check: (item: Item) => Promise<void>;
  /**
   * Called when a file's sum or size, which were not known before, stand in the workspace's lock (in memory), and before
   * the file leaves its partial name: so that a build that is killed does not fetch it again.
   */
  readonly learned: () => Promise<void>;
  /** Gives a fetched file its final place, and says which. */
  readonly place: (temp: string, item: Item) => Promise<string>;
  /** Who reads along, by file; nobody where there is none. */
  readonly arrivals: readonly Arrival[];
}

export interface Downloaded {
  readonly content: Content;
  readonly bytes: number;
}

/** Where a download under way lies: the same for the same file of the same source, so that it is resumed. */
export function partialPath(
  workspace: Workspace,
  identity: string,
  files: readonly Pick<LockedFile, 'name'>[],
  index: number,
): string {
  const name = files[index]?.name ?? '';
  // Files at different addresses may have one name.
  const before = files.slice(0, index).filter((file) => file.name === name).length;
  const file = before === 0 ? name : `${name}\n${before}`;
  return join(
    workspace.paths.partial,
    createHash('sha256').update(`${identity}\n${file}`).digest('hex').slice(0, 40),
  );
}

/** Fetches those files of the artifact that are not at hand, and completes its lock entry in memory, file by file. */
export async function download(context: DownloadContext, remote: RemoteNode): Promise<Downloaded> {
  const { workspace } = context;
  const { node, source, identity } = remote;
  const entry = pinnedEntry(workspace, node, source);
  if (!entry) throw new Error(`${identity} was not resolved`);
  // Loaded when it is needed: most sources are of files.
  if (source.tree) return (await import('./tree.js')).downloadTree(context, remote, source.tree, entry);
  const holdings = new Holdings(workspace);
  const sizes: (number | null)[] = entry.files.map((file) => file.size ?? null);
  const done = entry.files.map(() => 0);
  const report = () => {
    const total = sizes.reduce((sum, size) => (sum === null || size === null ? null : sum + size), 0);
    context.onProgress(
      done.reduce((sum, now) => sum + now, 0),
      total,
    );
  };
  // As locked, without the pins of files that are yet to be seen.
  const files = [...(workspace.lock.get(identity) ?? entry).files];
  const enter = (file: LockedFile, index: number, item: Item) => {
    files[index] = { ...file, sha256: digestHex(item.digest), size: item.size };
    workspace.lock.set(identity, { ...entry, files: [...files] });
  };
  let bytes = 0;
  let locations: Promise<readonly FetchLocation[]> | undefined;

  // All of them first, so that files take their places in order.
  const found = await Promise.all(
    entry.files.map(async (file) => {
      const known = lockedItem(file);
      return { known, held: known && (await holdings.find(known)) };
    }),
  );
  const one = async (file: LockedFile, index: number): Promise<Item> => {
    const { known, held } = found[index] ?? {};
    const arrival = context.arrivals[index];
    if (known && held) {
      if (held.place === 'elsewhere') arrival?.fail(new Restarted());
      else arrival?.whole(held.path, known.size);
      done[index] = known.size;
      report();
      enter(file, index, known);
      return known;
    }
    return context.pooled(async (slot) => {
      locations ??= source.locate(
        node.recipe,
        entry,
        sourceContext(workspace, context.fetcher, context.signal),
      );
      const location = (await locations)[index];
      if (!location) throw new Error(`${identity} has no location for its file ${index}`);
      const partial = partialPath(workspace, identity, entry.files, index);
      const watcher = arrival?.watcher(partial);
      const fetched = await fetchFile(
        context,
        remote,
        { file, partial, location, watcher, slot },
        (now, total) => {
          done[index] = now;
          sizes[index] ??= total;
          report();
        },
      );
      bytes += fetched.downloadedBytes;
      const item: Item = {
        name: file.name,
        type: 'file',
        digest: sha256Digest(fetched.sha256),
        size: fetched.size,
      };
      await context.check(item);
      if (fetched.chunks) await recordChunkSums(workspace.paths.store, fetched.sha256, fetched.chunks);
      enter(file, index, item);
      if (!known) await context.learned();
      const path = await context.place(fetched.path, item);
      arrival?.whole(path, item.size);
      return item;
    });
  };
  const results = await Promise.allSettled(entry.files.map(one));
  const content: Item[] = [];
  for (const result of results) {
    if (result.status === 'rejected') throw result.reason;
    content.push(result.value);
  }
  return { content, bytes };
}

async function fetchFile(
  context: DownloadContext,
  { node, source, identity }: RemoteNode,
  {
    file,
    partial,
    location,
    watcher,
    slot,
  }: {
    readonly file: LockedFile;
    readonly partial: string;
    readonly location: FetchLocation;
    readonly watcher: Watcher | undefined;
    readonly slot: Slot;
  },
  onProgress: (done: number, total: number | null) => void,
): Promise<Fetched> {
  try {
    return await context.fetcher.fetch({
      location,
      partial,
      expected: {
        ...(file.sha256 === undefined ? {} : { sha256: file.sha256 }),
        ...(file.size === undefined ? {} : { size: file.size }),
      },
      onProgress,
      onNotice: context.onNotice,
      ...(watcher ? { watcher } : {}),
      slot,
      signal: context.signal,
    });
  } catch (error) {
    const differs =
      error instanceof ResError && (error.code === 'checksum-mismatch' || error.code === 'size-mismatch');
    if (
      !differs ||
      source.pins(node.recipe)?.some((pin) => pin.sha256 !== undefined || pin.size !== undefined)
    )
      throw error;
    throw new ResError('lock-mismatch', `${node.name}: ${error.message}`, {
      hint: `It is not what resources.lock.yaml holds for ${identity}. If the publisher replaced it and you want the new content, run \`res update ${node.name}\`.`,
      cause: error,
    });
  }
}
