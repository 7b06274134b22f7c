// Where the manifest is: in the folder that one stands in, or the nearest one above that has it.
import { statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { sawFile, spoilLooks } from '../model/looks.js';

export const MANIFEST_NAME = 'resources.yaml';

/** The absolute path of the manifest that holds in `startDir`; undefined when there is none up to the root. */
export function findManifest(startDir: string): string | undefined {
  for (let dir = resolve(startDir); ; dir = dirname(dir)) {
    const file = join(dir, MANIFEST_NAME);
    if (isThere(file)) return file;
    if (dirname(dir) === dir) return undefined;
  }
}

function isThere(file: string): boolean {
  try {
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    sawFile(file, stats);
    return stats !== undefined;
  } catch {
    // What cannot even be looked at (a folder that is not for this user, a link to itself) is no manifest.
    spoilLooks();
    return false;
  }
}
