// What the engine offers to the command line and to the library: requests in, reports out.
import type { EventListener } from '../model/event.js';
import type { Plan } from '../model/plan.js';

export interface BuildOptions {
  /** Actions at a time; the number of processors by default. */
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  /** Run every action of the closure again, whatever is known. */
  readonly force?: boolean;
  /** No connection is opened; what would need one is an error. */
  readonly offline?: boolean;
  /** A missing or stale lock entry is an error. */
  readonly frozen?: boolean;
  /** Replace outputs that were changed by hand or that res did not make. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
  readonly listener?: EventListener;
}

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
