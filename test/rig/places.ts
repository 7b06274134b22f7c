// Where the program under test and the files of a test run lie, and what the set-up tells the test processes.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const RIG = dirname(fileURLToPath(import.meta.url));
export const REPO_ROOT = dirname(dirname(RIG));
/** The built command. */
export const MAIN = join(REPO_ROOT, 'dist', 'cli', 'main.js');
/** Environment variable: the folder of a test run, shared by all its workers and removed with it. */
export const RUN_FOLDER = 'RES_RIG_RUN_FOLDER';
/** Environment variable: what the build printed, when it failed. */
export const BUILD_FAILURE = 'RES_RIG_BUILD_FAILURE';

/** The manifest of this repository and what it includes: text by path. */
export function bundledManifest(): Readonly<Record<string, string>> {
  const included = readdirSync(join(REPO_ROOT, 'from-source')).map((name) => `from-source/${name}`);
  return Object.fromEntries(
    ['resources.yaml', ...included].map((name) => [name, readFileSync(join(REPO_ROOT, name), 'utf8')]),
  );
}

let own: string | undefined;

/** The folder of this test run; without one around it (a benchmark), a folder that goes with the process. */
export function runFolder(): string {
  const shared = process.env[RUN_FOLDER];
  if (shared !== undefined) return shared;
  if (own === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'res-rig-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    own = made;
  }
  return own;
}
