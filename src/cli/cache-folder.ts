// Where things lie that only spare work, and can be thrown away at any time.
import { dirname, join } from 'node:path';

/** Absolute. */
export interface CachePlace {
  readonly folder: string;
  /** What is kept in it makes sense only beside this one: without it, looking leaves nothing behind. */
  readonly state: string;
  /** Temporaries that a build removes when their process was killed. */
  readonly tmp: string;
}

/** @param manifest absolute path of the file */
export function cachePlace(manifest: string): CachePlace {
  const root = join(dirname(manifest), '.res');
  return { folder: join(root, 'cache'), state: join(root, 'state'), tmp: join(root, 'tmp') };
}
