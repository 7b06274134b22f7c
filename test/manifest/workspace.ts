// A folder with a manifest for one test, and what loading it says.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { loadGraph } from '../../src/graph/load.js';
import type { Matrix } from '../../src/graph/matrix.js';
import { run } from '../../src/kinds/run.js';
import { formatDiagnostic } from '../../src/manifest/diagnostics.js';
import type { Env } from '../../src/model/env.js';
import { ResError } from '../../src/model/error.js';
import type { Graph } from '../../src/model/graph.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../../src/model/json.js';
import { type KindReferences, parseReference } from '../../src/model/node.js';

type Files = Readonly<Record<string, string | Uint8Array>>;

/** A temporary folder with these files, removed after the test. */
export function folder(files: Files): string {
  const dir = mkdtempSync(join(tmpdir(), 'res-manifest-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

export interface Given {
  readonly set?: Record<string, string>;
  readonly env?: Env;
  readonly kinds?: ReadonlyMap<string, KindReferences>;
  readonly matrix?: Matrix;
}

export function load(files: string | Files, given: Given = {}): Graph {
  const dir = folder(typeof files === 'string' ? { 'resources.yaml': files } : files);
  return loadIn(dir, given);
}

export function loadIn(dir: string, { set = {}, env = {}, kinds = KINDS, matrix = {} }: Given = {}): Graph {
  return loadGraph({ file: join(dir, 'resources.yaml'), cwd: dir, set, env, kinds, matrix });
}

/** The error that loading gives. */
export function errorOf(action: () => unknown): ResError {
  try {
    action();
  } catch (error) {
    if (error instanceof ResError) return error;
    throw error;
  }
  throw new Error('there was no error');
}

/** All that is wrong with a manifest, as the user sees it. */
export function complaintsOf(files: string | Files, given: Given = {}): string {
  const error = errorOf(() => load(files, given));
  if (error.code !== 'manifest-invalid') throw error;
  return error.diagnostics.map(formatDiagnostic).join('\n\n');
}

/** References as the real kinds find them, without what else a kind is. */
export const KINDS: ReadonlyMap<string, KindReferences> = new Map<string, KindReferences>([
  ...['url', 'parts', 'github', 'path'].map((name) => [name, { references: () => [] }] as const),
  ...['merge', 'decompress', 'extract', 'convert', 'copy', 'group'].map(
    (name) => [name, listed(name)] as const,
  ),
  ['run', run],
]);

function listed(key: string): KindReferences {
  return {
    references: (recipe: JsonObject) => {
      const value: Json | undefined = recipe[key];
      if (isJsonArray(value))
        return value.map((node, i) => ({ role: 'in', ...parseReference(String(node)), path: [key, i] }));
      return isJsonObject(value) || value === undefined
        ? []
        : [{ role: 'in', ...parseReference(String(value)), path: [key] }];
    },
  };
}
