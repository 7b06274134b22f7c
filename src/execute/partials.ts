// Partial downloads that nobody will go on with: what was to be fetched came from somewhere else in the meantime.
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { lockedItem } from '../model/lock.js';
import { Holdings } from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import { errorCode } from '../store/files.js';
import { partialPath } from './download.js';

/** Removes those whose content is at hand; only under the workspace's lock. Rejects with the system's error. */
export async function removeNeedlessPartials(workspace: Workspace): Promise<void> {
  const { partial } = workspace.paths;
  const names = await readdir(partial).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  const holdings = new Holdings(workspace);
  for (const [identity, { files }] of workspace.lock) {
    for (const [i, file] of files.entries()) {
      const begun = basename(partialPath(workspace, identity, files, i));
      // Beside it are notes about it.
      const found = names.filter((one) => one === begun || one.startsWith(`${begun}.`));
      const item = found.length === 0 ? undefined : lockedItem(file);
      if (!item || !(await holdings.find(item))) continue;
      for (const one of found) await rm(join(partial, one), { recursive: true, force: true });
    }
  }
}
