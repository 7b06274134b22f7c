// Watches a run from inside its process, so that a test can say what the run did not do.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RIG, runFolder } from './places.js';

export interface Testimony {
  /** Argument vectors of processes started. */
  readonly processes: readonly (readonly string[])[];
  /** `host:port`, or the path of a socket. */
  readonly connections: readonly string[];
  /** Host names looked up. */
  readonly lookups: readonly string[];
  /** Worker threads started. */
  readonly workers: number;
  /** Bytes hashed, of keys and records too; and the largest single piece. */
  readonly hashedBytes: number;
  readonly largestHash: number;
  /** Calls. */
  readonly hashes: number;
}

export interface Witness {
  /** For the run: what was given, with the witness added. */
  readonly env: Readonly<Record<string, string>>;
  /** What all runs with `env` did so far. Throws when none of them was watched. */
  testimony(): Testimony;
  /** Forgets, and removes its file. */
  remove(): void;
}

/** A witness for runs with this environment. */
export function withWitness(env: Readonly<Record<string, string>> = {}): Witness {
  const dir = mkdtempSync(join(runFolder(), 'witness-'));
  const file = join(dir, 'witness.ndjson');
  const load = `--require=${JSON.stringify(join(RIG, 'witness.cjs'))}`;
  return {
    env: { ...env, NODE_OPTIONS: `${env.NODE_OPTIONS ?? ''} ${load}`.trim(), RES_WITNESS: file },
    testimony: () => parse(readFileSync(file, 'utf8')),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function parse(text: string): Testimony {
  const records = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
  const of = (key: string): readonly unknown[] =>
    records.flatMap((record) =>
      typeof record === 'object' && record !== null && key in record ? [Reflect.get(record, key)] : [],
    );
  const loaded = of('loaded');
  if (!loaded.includes('main')) throw new Error('the witness saw no run');
  const hashes = of('hash').map(Number);
  return {
    processes: of('process').map((argv) => (Array.isArray(argv) ? argv.map(String) : [])),
    connections: of('connection').map(String),
    lookups: of('lookup').map(String),
    workers: loaded.filter((where) => where === 'worker').length,
    hashedBytes: hashes.reduce((sum, bytes) => sum + bytes, 0),
    largestHash: Math.max(0, ...hashes),
    hashes: hashes.length,
  };
}
