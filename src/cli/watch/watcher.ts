// Files under watch. What the system tells of is only that something may have changed; whether it has, content says.
import { existsSync } from 'node:fs';
import { dirname, relative, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { ioError } from '../../store/files.js';
import type { Inputs } from './inputs.js';

/** So long nothing must have happened: a program that writes several files, or one in pieces, is let finish. */
const QUIET_MS = 150;

export class Watcher {
  readonly #watcher: FSWatcher;
  #lastMs: number | undefined;
  #failure: unknown;
  #wake: () => void = () => undefined;

  private constructor(watcher: FSWatcher) {
    this.#watcher = watcher;
    watcher.on('all', () => {
      this.#lastMs = performance.now();
      this.#wake();
    });
    watcher.on('error', (error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** From when it resolves on, nothing that happens to the inputs is missed. */
  static async open({ files, folders }: Pick<Inputs, 'files' | 'folders'>): Promise<Watcher> {
    const wanted = new Set<string>();
    const roots = new Set(rootsOf({ files, folders }));
    for (const file of [...files, ...folders])
      for (let path = file; !roots.has(path) && path !== dirname(path); path = dirname(path))
        wanted.add(path);
    const inFolder = (path: string) => folders.some((folder) => isVisibleBelow(path, folder));
    const watcher = watch([...roots], {
      ignoreInitial: true,
      ignorePermissionErrors: true,
      ignored: (path) => !roots.has(path) && !wanted.has(path) && !inFolder(path),
    });
    const opened = new Watcher(watcher);
    await new Promise<void>((resolve) => watcher.once('ready', () => resolve()));
    return opened;
  }

  /**
   * Resolves when something has happened since the last call, and then nothing for a while. Rejects with the signal's reason;
   * with ResError `io` when the system cannot watch any more.
   */
  async settled(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#failure !== undefined)
          throw ioError(this.#failure, 'cannot watch', 'the files of the manifest');
        const quiet = this.#lastMs === undefined ? undefined : performance.now() - this.#lastMs;
        if (quiet !== undefined && quiet >= QUIET_MS) break;
        await this.#woken(quiet === undefined ? undefined : QUIET_MS - quiet);
      }
      this.#lastMs = undefined;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  close(): Promise<void> {
    return this.#watcher.close();
  }

  #woken(afterMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = afterMs === undefined ? undefined : setTimeout(resolve, afterMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * The folders that are watched for the inputs: those that files are in, or the nearest that is there. Not the files: editors put
 * another file in the place of one, and one that is not there can come.
 */
export function rootsOf({ files, folders }: Pick<Inputs, 'files' | 'folders'>): readonly string[] {
  const roots = [
    ...folders,
    ...files.map((file) => dirname(file)),
    ...folders.map((folder) => dirname(folder)),
  ];
  return [...new Set(roots.map(nearestFolder))];
}

function nearestFolder(path: string): string {
  let folder = path;
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

/** Globs do not look into folders whose names begin with a dot. */
function isVisibleBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  if (way === '..' || way.startsWith(`..${sep}`)) return false;
  return !way
    .split(sep)
    .slice(0, -1)
    .some((name) => name.startsWith('.'));
}
