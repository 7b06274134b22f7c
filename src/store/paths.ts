// Where the things of a workspace lie: `.res/` beside the manifest, hidden from version control by itself.
import { writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import { spoilLooks } from '../model/looks.js';
import { errorCode, ioError, makeAll } from './files.js';
import { readUserConfig } from './user-config.js';

/** All absolute. */
export interface WorkspacePaths {
  readonly root: string;
  /** Objects by digest; may be shared by many workspaces and lie on another file system. */
  readonly store: string;
  /** Append-only logs: traces, stat cache, outputs. */
  readonly state: string;
  /** Downloads under way, kept for resuming. */
  readonly partial: string;
  readonly tmp: string;
  /** Scratch directories of programs, by node; those of runs that failed are kept. */
  readonly run: string;
  readonly logs: string;
  readonly builds: string;
  /** What only spares work, and can be thrown away at any time. */
  readonly cache: string;
}

export interface StorePlace {
  /** Absolute. */
  readonly path: string;
  /** Who says so. */
  readonly by: 'RES_STORE' | 'config' | 'default';
}

/**
 * RES_STORE moves the store, a relative one from the manifest's folder; else `store` in the user's configuration does.
 * Throws ResError `config-invalid`.
 */
export function storePlace(manifestDir: string, env: Env): StorePlace {
  const dir = resolve(manifestDir);
  if (env.RES_STORE) return { path: resolve(dir, env.RES_STORE), by: 'RES_STORE' };
  const { store } = readUserConfig(env);
  return store === undefined
    ? { path: join(dir, '.res', 'store'), by: 'default' }
    : { path: store, by: 'config' };
}

/** Throws ResError `config-invalid`. */
export function workspacePaths(manifestDir: string, env: Env): WorkspacePaths {
  const root = join(resolve(manifestDir), '.res');
  return {
    root,
    store: storePlace(manifestDir, env).path,
    state: join(root, 'state'),
    partial: join(root, 'partial'),
    tmp: join(root, 'tmp'),
    run: join(root, 'run'),
    logs: join(root, 'logs'),
    builds: join(root, 'builds'),
    cache: join(root, 'cache'),
  };
}

/** Whether the store lies in the workspace's own `.res` and is nobody else's. */
export function ownsStore({ root, store }: WorkspacePaths): boolean {
  return !relative(root, store).startsWith('..');
}

/** Makes the folders. Rejects with ResError `io` or `no-space` where that cannot be. */
export async function prepareWorkspace(paths: WorkspacePaths): Promise<void> {
  spoilLooks();
  await makeFolder(paths.root, 'Work in a copy of the folder that you can write to.');
  const inside = [paths.state, paths.partial, paths.tmp, paths.logs, paths.builds];
  await Promise.all(inside.map((path) => makeFolder(path, `Check the mode of ${paths.root}.`)));
  await makeFolder(
    paths.store,
    'Set RES_STORE, or `store` in your configuration, to a folder that you can write to.',
  );
  const ignore = join(paths.root, '.gitignore');
  try {
    await writeFile(ignore, '*\n', { flag: 'wx' });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw ioError(error, 'cannot write', ignore);
  }
}

async function makeFolder(path: string, hint: string): Promise<void> {
  try {
    await makeAll(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') throw ioError(error, 'cannot create the folder', path);
    const what = `cannot create the folder ${path}`;
    const message =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? `${what}: a file is in the way`
        : ioError(error, 'cannot create the folder', path).message;
    throw new ResError('io', message, { hint, cause: error });
  }
}
