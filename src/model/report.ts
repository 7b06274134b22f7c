// What the engine reports back: results of commands as data, for the command line, for JSON and for the library.
import type { Plan } from './plan.js';

export interface UpdateReport {
  /** One row a source asked for, in lock order. */
  readonly sources: readonly {
    readonly source: string;
    readonly change: 'unchanged' | 'added' | 'changed' | 'removed';
    /** In short: `tag v0.2.0 -> v0.3.0`, `vmlinux-focal-amd64 sha256 1a2b… -> 3c4d…`. */
    readonly details: readonly string[];
  }[];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly checked: readonly {
    /** Absolute. */
    readonly path: string;
    readonly place: 'output' | 'store';
    /** Name of the node, where one is known for it. */
    readonly node: string | null;
    readonly state: 'ok' | 'mismatch' | 'missing';
    readonly expected: string;
    readonly actual: string | null;
    readonly size: number;
  }[];
  readonly bytes: number;
}

export interface CleanReport {
  readonly removed: readonly { readonly path: string; readonly size: number }[];
  /** Kept because they were changed by hand. */
  readonly kept: readonly string[];
  readonly freedBytes: number;
}

export interface SpaceEstimate {
  /** One row a file system that will be written to. */
  readonly fileSystems: readonly {
    readonly path: string;
    readonly neededBytes: number;
    readonly freeBytes: number;
  }[];
}

export interface PlannedBuild {
  readonly plan: Plan;
  readonly space: SpaceEstimate;
  /** Sources that could not be asked because the network was out of reach. */
  readonly unresolved: readonly { readonly node: string; readonly message: string }[];
}
