// Errors that a user can cause or meet: one family, each with a code to match on, a message and what to do about it.
// Anything else that is thrown is a bug of res.
import type { Diagnostic } from './diagnostic.js';

/** Every way to fail, by area. A test matches on these; a message may be reworded, a code may not. */
export type ErrorCode =
  // bad usage and bad manifests: exit status 2
  | 'usage'
  | 'manifest-not-found'
  | 'manifest-invalid'
  | 'unknown-node'
  | 'unknown-param'
  | 'param-value'
  | 'variant-unsupported'
  | 'config-invalid'
  | 'lock-invalid'
  // sources
  | 'lock-missing-entry'
  | 'lock-mismatch'
  | 'offline'
  | 'rate-limited'
  | 'release-not-found'
  | 'asset-not-found'
  | 'repo-not-found'
  | 'unauthorized'
  | 'http-status'
  | 'network'
  | 'file-not-found'
  | 'checksum-mismatch'
  | 'size-mismatch'
  // transforms
  | 'tool-missing'
  | 'command-failed'
  | 'command-killed'
  | 'command-timeout'
  | 'result-missing'
  | 'result-unfit'
  | 'sandbox-unavailable'
  | 'no-memory'
  | 'corrupt-input'
  | 'unsafe-archive'
  | 'unsafe-image'
  | 'member-not-found'
  | 'sums-entry-missing'
  | 'bad-format'
  // the workspace
  | 'output-modified'
  | 'output-foreign'
  | 'output-blocked'
  | 'output-busy'
  | 'no-space'
  | 'state-damaged'
  | 'io'
  | 'interrupted'
  | 'verify-failed';

const USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'usage',
  'manifest-not-found',
  'manifest-invalid',
  'unknown-node',
  'unknown-param',
  'param-value',
  'variant-unsupported',
  'config-invalid',
  'lock-invalid',
]);

export interface ErrorDetails {
  /** What to do about it, one or more sentences. */
  readonly hint?: string;
  readonly diagnostics?: readonly Diagnostic[];
  /** A failed program: its command line as run, exit status or signal, last lines of output, whole log. */
  readonly command?: FailedCommand;
  readonly cause?: unknown;
}

export interface FailedCommand {
  readonly argv: readonly string[];
  readonly exitCode?: number;
  readonly signal?: string;
  /** The last 20 lines that it printed. */
  readonly tail: readonly string[];
}

export class ResError extends Error {
  override readonly name = 'ResError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly command: FailedCommand | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.diagnostics = details.diagnostics ?? [];
    this.command = details.command;
  }

  /** 2 for bad usage or a bad manifest, 130 for an interrupt, 1 for everything else. */
  get exitStatus(): 1 | 2 | 130 {
    if (this.code === 'interrupted') return 130;
    return USAGE.has(this.code) ? 2 : 1;
  }
}
