// An artifact that is a directory: fetched by its source in its own way, written down file by file as an archive is, with the same
// care for where names and links lead, and known by the same digest.
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unpack } from '../kinds/unpack.js';
import type { Item } from '../model/content.js';
import { digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { type LockEntry, type LockedFile, lockedItem } from '../model/lock.js';
import { Holdings } from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import type { FetchedTree, TreeSource } from '../sources/source.js';
import { digestDirectory } from '../store/directory.js';
import { type DownloadContext, type Downloaded, partialPath } from './download.js';
import { type RemoteNode, sourceContext } from './resolve.js';

/** As `download`, of a source whose content is a directory. */
export async function downloadTree(
  context: DownloadContext,
  { node, identity }: RemoteNode,
  source: TreeSource,
  entry: LockEntry,
): Promise<Downloaded> {
  const { workspace, signal } = context;
  const [file] = entry.files;
  if (!file) throw new Error(`${identity} was resolved to nothing`);
  const holdings = new Holdings(workspace);
  const known = lockedItem(file);
  if (known && (await holdings.find(known))) return { content: [known], bytes: 0 };
  const folder = partialPath(workspace, identity, entry.files, 0);
  const temp = join(workspace.paths.tmp, randomUUID());
  try {
    return await context.pooled(async () => {
      const fetched = await source.fetch(node.recipe, entry, {
        ...sourceContext(workspace, context.fetcher, signal),
        folder,
        onPercent: context.onPercent,
        onNotice: context.onNotice,
      });
      // Another commit, or another ref, of the same tree: there is nothing to be written down.
      const same = known ?? sameTree(workspace, fetched, file);
      const held = same && (await holdings.find(same));
      const item = same && held ? same : await write(temp, fetched, file.name, signal);
      if (known && item.digest !== known.digest) throw differs(node.name, identity, known, item);
      await context.check(item);
      workspace.lock.set(identity, { ...entry, tree: fetched.tree, files: [lockedFile(file, item)] });
      if (!known) await context.learned();
      if (!held) await context.place(temp, item);
      await rm(folder, { recursive: true, force: true });
      return { content: [item], bytes: fetched.downloadedBytes };
    });
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

/** What the lock has of any source under the tree's own name. */
function sameTree({ lock }: Workspace, { tree }: FetchedTree, { name }: LockedFile): Item | undefined {
  for (const entry of lock.values()) {
    const [file] = entry.files;
    const item = entry.tree === tree && file ? lockedItem(file) : undefined;
    if (item) return { ...item, name };
  }
  return undefined;
}

async function write(temp: string, fetched: FetchedTree, name: string, signal: AbortSignal): Promise<Item> {
  await mkdir(temp, { recursive: true });
  await unpack(fetched.entries(), temp, { archive: name, strip: 0, signal });
  const { digest, size } = await digestDirectory(temp, { signal });
  return { name, type: 'directory', digest, size };
}

function lockedFile({ name, url }: LockedFile, { digest, size }: Item): LockedFile {
  return { name, url, directory: digestHex(digest), size };
}

function differs(node: string, identity: string, known: Item, found: Item): ResError {
  return new ResError(
    'lock-mismatch',
    `${node}: what was fetched is not what resources.lock.yaml holds for ${identity}\n  expected ${known.digest}\n  actual   ${found.digest}`,
    { hint: `If the lock was edited by hand or merged, \`res update ${node}\` makes it anew.` },
  );
}
