// Everything that can happen in a build, as one union. Faces (live, plain, JSON) only listen; the engine prints nothing.
// Field names are those of `--progress json`: one event is one line there.
import type { Diagnostic } from './diagnostic.js';
import type { Digest } from './digest.js';
import type { ErrorCode, FailedCommand } from './error.js';

/** `download`: bytes from outside. `execute`: a transform. `restore`: known bytes put back in place. */
export type Work = 'download' | 'execute' | 'restore';

export type BuildEvent =
  | { readonly type: 'waiting'; readonly for: string }
  /** Sources are being asked what a release or URL holds. */
  | { readonly type: 'resolving'; readonly source: string }
  | {
      readonly type: 'planned';
      readonly run: number;
      readonly restore: number;
      readonly fresh: number;
      readonly download_bytes: number | null;
    }
  | {
      readonly type: 'started';
      readonly node: string;
      readonly work: Work;
      readonly detail: string;
      readonly through: readonly string[];
      /** For how long it had waited for a place to run; left out where there was nothing to wait for. */
      readonly waited_ms?: number;
    }
  /** `total` is null while unknown. Units are bytes unless `unit` says percent. Sent at most every 100 ms a node. */
  | {
      readonly type: 'progress';
      readonly node: string;
      readonly done: number;
      readonly total: number | null;
      readonly unit: 'bytes' | 'percent';
    }
  /** A retry, a mirror taken, a resumed download: worth a line, no failure. */
  | { readonly type: 'notice'; readonly node: string; readonly message: string }
  /** A line that a program printed. */
  | { readonly type: 'output'; readonly node: string; readonly text: string }
  | {
      readonly type: 'finished';
      readonly node: string;
      readonly work: Work;
      readonly duration_ms: number;
      /**
       * How long of that it held no place of its pool any more, and what it made was brought to its own place on disk; left out where that
       * took no time.
       */
      readonly placing_ms?: number;
      readonly size: number;
      readonly digests: readonly Digest[];
      /** Relative to the folder of outputs; null for an intermediate, and of a node with several. */
      readonly output: string | null;
      /** Those of a node with several, by name. */
      readonly outputs?: Readonly<Record<string, string>>;
    }
  | { readonly type: 'skipped'; readonly node: string; readonly because: string }
  | { readonly type: 'failed'; readonly node: string; readonly error: ErrorReport }
  | { readonly type: 'warning'; readonly message: string; readonly hint: string | null }
  | ({ readonly type: 'summary' } & BuildResult)
  /** Of `watch`: files have other content, and are the reason for the build that comes next. */
  | { readonly type: 'changed'; readonly files: readonly Change[] }
  /** Of `watch`: the number of files that are there and under watch; nothing is done until one changes. */
  | { readonly type: 'watching'; readonly files: number };

export interface Change {
  /** Absolute. */
  readonly path: string;
  readonly change: 'changed' | 'new' | 'gone';
}

export type EventListener = (event: BuildEvent) => void;

/** The result line of `build --json`. A node is in exactly one list; `ran` holds what did work. */
export interface BuildResult {
  readonly ok: boolean;
  readonly ran: readonly string[];
  readonly restored: readonly string[];
  readonly fresh: readonly string[];
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
  readonly downloaded_bytes: number;
  readonly duration_ms: number;
}

/** An error as data, for events, logs and JSON. */
export interface ErrorReport {
  readonly code: ErrorCode | 'bug';
  readonly message: string;
  readonly hint: string | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly command: FailedCommand | null;
  /** Path of the node's whole log, when there is one. */
  readonly log: string | null;
}
