// A store that a group of people shares: what res makes in it is open to the group, whatever their umasks.
//
// The idea is git's core.sharedRepository, and the folder itself is the switch: made with `mkdir -m 2775 /srv/res`, it lets
// its group write, and so does every folder below. Objects can be read by the group; only their own user may write to them.
import { lstatSync, type Stats, statSync } from 'node:fs';
import { chmod, lchown, mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, fsyncDir, makeAll } from './files.js';
import { nameOfOwn } from './holder.js';

export interface Group {
  readonly gid: number;
}

const GROUP_READ = 0o040;
const GROUP_EXECUTE = 0o010;
/** Beginning of the name that the folder for temporaries has before it is one. */
export const UNFINISHED = '.tmp.';
/** Everything, and what is made in the folder gets its group and this bit. */
const GROUP_FOLDER = 0o2070;

/** The group that a store is open to. Undefined when its root folder does not let the group write, or is not there. */
export function groupOf(root: string): Group | undefined {
  const stats = statSync(root, { throwIfNoEntry: false });
  return stats && (stats.mode & 0o020) !== 0 ? { gid: stats.gid } : undefined;
}

/**
 * Gives a file or directory, with all below it, to the group: files are readable (and executable where they are by their user),
 * directories may be written to. Rejects with the system's error.
 */
export async function openToGroup(group: Group | undefined, path: string): Promise<void> {
  if (group === undefined) return;
  try {
    await open(group, path, lstatSync(path));
  } catch (error) {
    // Not the owner, or not one of the group, who has the right to write here by other means: it stays as the system made it.
    if (errorCode(error) !== 'EPERM') throw error;
  }
}

async function open(group: Group, path: string, stats: Stats): Promise<void> {
  if (stats.gid !== group.gid) await lchown(path, stats.uid, group.gid);
  const mode = sharedMode(stats);
  if (mode !== undefined && mode !== (stats.mode & 0o7777)) await chmod(path, mode);
  if (!stats.isDirectory()) return;
  for (const name of await readdir(path)) {
    const child = join(path, name);
    await open(group, child, lstatSync(child));
  }
}

/** Undefined for a symbolic link, which has none. */
function sharedMode(stats: Stats): number | undefined {
  const mode = stats.mode & 0o7777;
  if (stats.isDirectory()) return mode | 0o700 | GROUP_FOLDER;
  if (!stats.isFile()) return undefined;
  return mode | GROUP_READ | ((mode & 0o100) === 0 ? 0 : GROUP_EXECUTE);
}

/**
 * As `mkdir -p`, of a folder in a store: open to its group, when it has one, from the moment that it can be seen.
 * Rejects with the system's error.
 * @param o.durable the folder's name survives a power loss
 */
export async function makeStoreFolder(
  root: string,
  folder: string,
  o: { readonly durable?: boolean } = {},
): Promise<void> {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  if (folder === root || !folder.startsWith(`${root}/`)) await makeAll(folder);
  else {
    await makeStoreFolder(root, dirname(folder), o);
    const group = groupOf(root);
    if (group === undefined) await makeAll(folder);
    else await makeGroupFolder(root, folder, group);
  }
  if (o.durable) await fsyncDir(dirname(folder));
}

/** Of folders that were taken away while something was made in them. */
const MOST_TRIES = 100;

/**
 * Others may want to write into it at once: it gets its mode before its name. When two make the same folder, the one with which
 * the second replaces that of the first is empty too; who was just about to put something in the first finds it gone.
 */
async function makeGroupFolder(root: string, folder: string, group: Group): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await tryToMakeGroupFolder(root, folder, group);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || tries === MOST_TRIES) throw error;
    }
  }
}

async function tryToMakeGroupFolder(root: string, folder: string, group: Group): Promise<void> {
  const tmp = join(root, 'tmp');
  if (folder !== tmp) await makeStoreFolder(root, tmp);
  const temp = folder === tmp ? join(root, `${UNFINISHED}${nameOfOwn()}`) : join(tmp, nameOfOwn());
  await mkdir(temp);
  try {
    await openToGroup(group, temp);
    await rename(temp, folder);
  } catch (error) {
    await rmdir(temp);
    // Another was quicker, and has used it already.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
  }
}
