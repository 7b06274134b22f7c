// What the engine reports back: results of commands as data, for the command line, for JSON and for the library.
import type { Digest } from './digest.js';
import type { JsonObject } from './json.js';
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
    /** Of a mismatch: somebody wrote to it (`modified`), or nobody did and it is not what it was (`damaged`). */
    readonly change?: 'damaged' | 'modified';
    readonly expected: string;
    readonly actual: string | null;
    readonly size: number;
  }[];
  readonly bytes: number;
  /** What was done about it, where that was asked for; `checked` tells how things are after it. */
  readonly repair?: RepairReport;
}

export interface RepairReport {
  readonly mended: readonly {
    readonly path: string;
    readonly place: 'output' | 'store';
    readonly node: string | null;
    /** `ranges`: what was damaged was fetched; `download`: all of it was; `build`: restored or made again. */
    readonly by: 'ranges' | 'download' | 'build';
    readonly fetchedBytes: number;
    /** Bytes of it that had not to be fetched. */
    readonly savedBytes: number;
  }[];
  /** Damaged objects of the store that no source has: made again when a build needs them. */
  readonly removed: readonly { readonly path: string; readonly size: number }[];
  /** Outputs that were left as they are, and why. */
  readonly kept: readonly { readonly path: string; readonly node: string; readonly why: string }[];
  /** What could not be done. */
  readonly failed: readonly {
    readonly what: string;
    readonly message: string;
    readonly hint: string | null;
  }[];
  /** Bytes over the network, those of the build at the end too. */
  readonly fetchedBytes: number;
  readonly savedBytes: number;
}

export interface CleanReport {
  readonly removed: readonly { readonly path: string; readonly size: number }[];
  /** Kept because they were changed by hand. */
  readonly kept: readonly string[];
  readonly freedBytes: number;
  /** The store that was to be emptied and was not, since others may use it. */
  readonly sharedStore: string | null;
}

/** What `gc` removes; all but `objects` are small files about contents, and what is left of work that was not finished. */
export type GcClass =
  | 'objects'
  | 'partials'
  | 'temporaries'
  | 'scratch'
  | 'chunk-sums'
  | 'results'
  | 'workspaces'
  | 'logs'
  | 'build-records';

/** Sizes are bytes on disk: holes do not count. */
export interface GcReport {
  /** What it says was not done: that is what would be. */
  readonly dryRun: boolean;
  /** Absolute. */
  readonly store: string;
  /** Objects that were removed, in that order. */
  readonly objects: readonly {
    readonly path: string;
    readonly digest: string;
    /** Of the node that has it, where one is known. */
    readonly node: string | null;
    /** Of the file or folder, where it is known. */
    readonly name: string | null;
    readonly bytes: number;
    /** ms since 1970, UTC. */
    readonly lastUse: number;
    /** Whether a workspace referred to it: it went because of the size of the store. */
    readonly referenced: boolean;
  }[];
  /** All that was removed. */
  readonly removed: readonly { readonly what: GcClass; readonly count: number; readonly bytes: number }[];
  /** Objects that were to go and stayed: a running build counts on them, or they are not this user's to remove. */
  readonly spared: readonly { readonly path: string; readonly why: 'in-use' | 'not-permitted' }[];
  readonly freedBytes: number;
  /** What the store holds then. */
  readonly left: { readonly objects: number; readonly bytes: number };
  /** What the store was to take at most. */
  readonly maxSize: number | null;
}

export interface SpaceEstimate {
  /** One row a file system that will be written to. */
  readonly fileSystems: readonly {
    readonly path: string;
    /** At the peak, bytes, as far as that can be told beforehand. */
    readonly neededBytes: number;
    /** The part of it that is sure; the rest is estimated. */
    readonly certainBytes: number;
    /** False when a step writes there of which nothing can be told. */
    readonly allKnown: boolean;
    readonly freeBytes: number;
  }[];
}

export interface PlannedBuild {
  readonly plan: Plan;
  readonly space: SpaceEstimate;
  /** Sources that could not be asked because the network was out of reach. */
  readonly unresolved: readonly { readonly node: string; readonly message: string }[];
}

/** Where content comes from. No secret of a URL is in it. */
export interface Provenance {
  readonly node: string;
  /** The values in force of all params. */
  readonly params: Readonly<Record<string, string>>;
  /** The manifest, what it includes, and the lock. */
  readonly manifest: readonly ProvenanceFile[];
  /** Files of the node; named by their path below output-dir where they have one, else by the item's name. */
  readonly outputs: readonly ProvenanceFile[];
  /** All files from outside that the node is made of. */
  readonly sources: readonly ProvenanceSource[];
  /** How it is made, inputs first; the last one is the node itself. */
  readonly steps: readonly ProvenanceStep[];
  /** ms since 1970, UTC; null where it is not known. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

export interface ProvenanceFile {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface ProvenanceSource {
  readonly node: string;
  readonly name: string;
  /** Of a file of the workspace, relative to the manifest's folder. */
  readonly path: string | null;
  readonly url: string | null;
  readonly sha256: string | null;
  /** Of a source tree, which has no sum of its own. */
  readonly gitCommit: string | null;
  readonly size: number | null;
  /** As the lock calls it. */
  readonly source: string | null;
  /** A tag or commit. */
  readonly release: string | null;
}

export interface ProvenanceStep {
  readonly node: string;
  readonly kind: string;
  readonly recipe: JsonObject;
  readonly inputs: readonly { readonly role: string; readonly node: string }[];
  readonly tools: Readonly<Record<string, string>>;
  readonly key: string | null;
  /** Its content was changed by a person, and accepted as it was. */
  readonly asIs: boolean;
}

/** What came of making nodes a second time, elsewhere and later. */
export interface CheckReport {
  readonly ok: boolean;
  readonly nodes: readonly CheckedNode[];
}

export interface CheckedNode {
  readonly node: string;
  /** `failed`: it could not be made, or not a second time. */
  readonly result: 'same' | 'different' | 'failed';
  /** Of the second run, ms. */
  readonly durationMs: number;
  readonly outputs: readonly {
    readonly name: string;
    readonly before: Digest;
    readonly after: Digest;
  }[];
  readonly differences: readonly Difference[];
  /** More than are listed. */
  readonly moreDifferences: number;
}

/** One file, folder or link that is not as it was. */
export interface Difference {
  readonly output: string;
  /** Path in the output, with `/`; empty: the output itself. */
  readonly file: string;
  readonly how: 'content' | 'missing' | 'new' | 'type' | 'mode' | 'link';
  /** Bytes of a file; null of what is none, or is not there. */
  readonly sizeBefore: number | null;
  readonly sizeAfter: number | null;
  /** Of the first byte that differs, where both are files. */
  readonly offset: number | null;
}
