// The manifest as data: read, checked, interpolated. manifest/ makes it; everything above reads it.
import type { Location } from './diagnostic.js';
import type { NodeDeclaration } from './node.js';

export interface ParamDeclaration {
  readonly name: string;
  readonly default?: string;
  readonly enum?: readonly string[];
  readonly description?: string;
}

export interface Mirror {
  /** URL prefix that is replaced by each of `to`, tried in order before the URL itself. */
  readonly from: string;
  readonly to: readonly string[];
}

export interface Manifest {
  /** Absolute path of the file, and the folder that relative paths start from. */
  readonly file: string;
  readonly dir: string;
  /** What was read: the file, then what it includes, by absolute path, each with the sha256 of its bytes, hexadecimal. */
  readonly files: readonly (readonly [file: string, sha256: string])[];
  readonly name?: string;
  /** Absolute. */
  readonly outputDir: string;
  readonly params: readonly ParamDeclaration[];
  /** The values in force, each as text. */
  readonly paramValues: Readonly<Record<string, string>>;
  readonly nodes: readonly NodeDeclaration[];
  readonly defaults: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  /** Upper limits by kind of work, e.g. `{ network: 4, disk: 2 }`; only what the manifest sets. */
  readonly pools: Readonly<Record<string, number>>;
  readonly mirrors: readonly Mirror[];
  /** Where a top-level key (or a path below one) stands. */
  readonly locate: (path: readonly (string | number)[]) => Location;
}
