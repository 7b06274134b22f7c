// The package that this program is part of: its version and the files that come with it.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of package.json, resources.yaml and schemas/: above src/ and dist/ alike. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error('the program has no package.json above it');
  }
}

/** Put in when the program is compiled: an error is told with it, also where no file can be opened any more. */
declare const RES_VERSION: string | undefined;

export function version(): string {
  if (typeof RES_VERSION === 'string') return RES_VERSION;
  const parsed: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
  throw new Error('package.json has no version');
}
