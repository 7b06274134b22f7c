// Where the manifest is: in the folder that one stands in, or the nearest one above that has it.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const MANIFEST_NAME = 'resources.yaml';

/** The absolute path of the manifest that holds in `startDir`; undefined when there is none up to the root. */
export function findManifest(startDir: string): string | undefined {
  for (let dir = resolve(startDir); ; dir = dirname(dir)) {
    const file = join(dir, MANIFEST_NAME);
    if (existsSync(file)) return file;
    if (dirname(dir) === dir) return undefined;
  }
}
