// The program that is measured, and small things that several of those it is compared to need.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installed } from './measure.js';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** `res` as it is installed: the compiled program. */
export const RES: readonly [string, string] = [process.execPath, join(ROOT, 'dist', 'cli', 'main.js')];

/** The gunzip that people take who want it fast: pigz where it is installed. */
export function gunzip(): string {
  return installed('pigz') ? 'pigz -dc' : 'gzip -dc';
}

/** Lines of a shell that stops at the first failure, also within a pipe. */
export function shell(lines: readonly string[]): readonly [string, ...string[]] {
  return ['bash', '-c', ['set -eo pipefail', ...lines].join('\n')];
}
