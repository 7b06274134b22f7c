// What a build leaves behind of itself: schemas/build-record.schema.json has the same shape.
import type { ErrorCode } from './error.js';
import type { Work } from './event.js';
import type { JsonObject } from './json.js';
import type { NodeSection } from './node.js';
import type { NodeState, ReasonCode } from './plan.js';

/** Raised when a field changes its meaning or goes; one that is new leaves it. */
export const RECORD_VERSION = 1;

export interface BuildRecord {
  readonly version: typeof RECORD_VERSION;
  /** Name of its file, without `.json`: `20261124-183114-123`. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly duration_ms: number;
  readonly outcome: 'done' | 'failed' | 'interrupted';
  /** What stopped the build as a whole; failures of nodes stand with these. */
  readonly error: RecordedError | null;
  readonly requested: readonly string[];
  readonly options: {
    readonly jobs: number;
    readonly keep_going: boolean;
    readonly force: boolean;
    readonly offline: boolean;
    readonly frozen: boolean;
    readonly overwrite: boolean;
    readonly as_is: boolean;
  };
  readonly manifest: {
    readonly name: string | null;
    /** Name of the file. */
    readonly file: string;
    /** As it was read for this build. */
    readonly sha256: string | null;
    /** What it includes, by path from its folder, each with the sha256 that it was read with; not in records of before. */
    readonly includes?: Readonly<Record<string, string>>;
    /** Of the lock as the build left it; null where there is none. */
    readonly lock_sha256: string | null;
    readonly params: Readonly<Record<string, string>>;
    /** What is checked out where the manifest lies, in git; null where that is not known. */
    readonly commit: string | null;
  };
  readonly environment: RecordedEnvironment;
  /** How much runs at a time. */
  readonly pools: Readonly<Record<RecordedPool | 'jobs', number>>;
  /** What became of these places; not in records of before, nor of a build that was stopped early. */
  readonly pool_use?: Readonly<Partial<Record<RecordedPool, RecordedUse>>>;
  /**
   * All that was asked for and what that is made of, inputs first; of a large graph only what was not fresh, and the direct inputs of
   * that. Empty when the build was stopped before it had a plan.
   */
  readonly nodes: readonly RecordedNode[];
  /** How many fresh nodes are not in it. */
  readonly left_out: number;
  readonly notices: readonly {
    readonly at_ms: number;
    readonly node: string | null;
    readonly message: string;
  }[];
  readonly bytes: RecordedBytes;
  readonly cache: {
    /** Nodes of which nothing had to be done. */
    readonly fresh: number;
    readonly restored: number;
    readonly ran: number;
    /** What the last runs took of those that did not run. */
    readonly saved_ms: number;
    /** What is known of a source and was not fetched. */
    readonly saved_download_bytes: number;
  };
  /** Null when there is no record of a build before. */
  readonly changes: RecordedChanges | null;
}

export type RecordedPool = 'network' | 'disk' | 'cpu';

export interface RecordedUse {
  /** Pieces of work: of what is fetched in several files each is one. */
  readonly pieces: number;
  /** For how long places were taken, all together. */
  readonly busy_ms: number;
  /** For how long pieces of work waited for a place, all together. */
  readonly waited_ms: number;
}

export interface RecordedError {
  readonly code: ErrorCode | 'bug';
  readonly message: string;
  readonly hint: string | null;
  /** Of a program that failed, the last lines that it printed. */
  readonly tail?: readonly string[];
}

export interface RecordedEnvironment {
  readonly res: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  /** Of the operating system's kernel. */
  readonly release: string;
  readonly cpus: number;
  readonly cpu: string;
  readonly memory_bytes: number;
  /** Where the outputs lie; null where that cannot be told. */
  readonly file_system: string | null;
  /** What each program that nodes were made with says it is. */
  readonly tools: Readonly<Record<string, string>>;
}

export interface RecordedBytes {
  /** Over the network. */
  readonly downloaded: number;
  /** From inputs in files. */
  readonly read: number;
  /** On disk, holes not counted. */
  readonly written: number;
}

export interface RecordedNode {
  readonly name: string;
  readonly section: NodeSection;
  readonly kind: string;
  readonly description: string | null;
  readonly recipe: JsonObject;
  readonly verify: JsonObject | null;
  readonly inputs: readonly { readonly role: string; readonly node: string }[];
  /** Relative to the manifest's folder where it lies in it. */
  readonly output: string | null;
  /** Instead, of a node with several: their paths by name. */
  readonly outputs?: Readonly<Record<string, string>>;
  /** Before the build, and why. */
  readonly state: NodeState;
  readonly reasons: readonly RecordedReason[];
  readonly outcome: RecordedOutcome;
  /** Of the action that made it. */
  readonly key: string | null;
  readonly tools: Readonly<Record<string, string>>;
  readonly content:
    | readonly { readonly name: string; readonly digest: string; readonly size: number }[]
    | null;
  readonly source: {
    readonly id: string;
    readonly tag: string | null;
    readonly commit: string | null;
    readonly urls: readonly string[];
  } | null;
  /** What was done for it, in the order of time. */
  readonly runs: readonly RecordedRun[];
  readonly bytes: RecordedBytes;
  /** What its last run took, in this build or before; null when it never ran. */
  readonly last_ms: number | null;
  readonly error: RecordedError | null;
}

/** `unfinished`: under way when the build ended. `waiting`: not come to. */
export type RecordedOutcome = 'fresh' | 'ran' | 'restored' | 'failed' | 'skipped' | 'unfinished' | 'waiting';

export interface RecordedReason {
  readonly code: ReasonCode;
  readonly detail: string;
}

export interface RecordedRun {
  readonly work: Work;
  readonly detail: string;
  /** Null for what waits in no line. */
  readonly pool: RecordedPool | null;
  /** ms since the build began. */
  readonly start_ms: number;
  readonly end_ms: number;
  /** For how long it had waited for a place before it began; 0 where that is left out. */
  readonly waited_ms?: number;
  /** How long at its end it held no place any more, and what it made was brought to its own place on disk; 0 where that is left out. */
  readonly placing_ms?: number;
  /** Nodes that were made in the same pass and never lay on disk. */
  readonly through: readonly string[];
}

/** What is not as in the build before. */
export interface RecordedChanges {
  /** Its id. */
  readonly since: string;
  readonly entries: readonly RecordedChange[];
}

export interface RecordedChange {
  readonly what: 'manifest' | 'param' | 'commit' | 'environment' | 'recipe' | 'content' | 'node';
  /** The file, the param, the node, or the field of the environment. */
  readonly name: string;
  /** Null for what was not there. */
  readonly was: string | null;
  readonly now: string | null;
}
