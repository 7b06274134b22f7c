// Watches from inside of a run what it asks of the file system, so that a test can say what an answer rests on, and what it
// did not read.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RIG, runFolder } from './places.js';

export interface Lookout {
  /** For the run. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute paths that were looked at or opened, each once, and of those the opened ones. */
  paths(): ReadonlySet<string>;
  opened(): ReadonlySet<string>;
  /** Read by the program itself; of its modules too. */
  bytes(): number;
  /** Forgets what was seen so far. */
  remove(): void;
}

export function withLookout(): Lookout {
  const dir = mkdtempSync(join(runFolder(), 'lookout-'));
  const file = join(dir, 'seen.ndjson');
  const records = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): { path?: string; opened?: boolean; bytes?: number } => JSON.parse(line));
  return {
    env: { NODE_OPTIONS: `--require=${JSON.stringify(join(RIG, 'lookout.cjs'))}`, RES_LOOKOUT: file },
    paths: () => new Set(records().flatMap(({ path }) => path ?? [])),
    opened: () => new Set(records().flatMap(({ path, opened }) => (opened ? (path ?? []) : []))),
    bytes: () => records().reduce((sum, { bytes = 0 }) => sum + bytes, 0),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
