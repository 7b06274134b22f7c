// Small programs on PATH in place of large ones, for what is made by compilers and installers.
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runFolder } from './places.js';

/** A script, by name; PATH with their folder in front. */
export function standIns(scripts: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(runFolder(), 'stand-ins-'));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(dir, name), `#!/bin/sh\nset -eu\n${script}`);
    chmodSync(join(dir, name), 0o755);
  }
  return `${dir}:${process.env.PATH ?? ''}`;
}
