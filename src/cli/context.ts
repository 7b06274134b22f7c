// What a command is given: its flags, the outputs, and the manifest that it is about.
import type { Matrix } from '../graph/matrix.js';
import type { Env } from '../model/env.js';
import type { Flags } from './flags.js';
import type { Output } from './output.js';

/** What the manifest is found and read by. */
export interface ManifestContext {
  readonly env: Env;
  /** Absolute: the folder that -C leads to. */
  readonly dir: string;
  /** Absolute: where the user is; paths are shown relative to it. */
  readonly cwd: string;
  /** Absolute; given by -f. */
  readonly file: string | undefined;
  /** Param values given on the command line, the last one of each. */
  readonly set: Readonly<Record<string, string>>;
  /** Of --matrix. */
  readonly matrix?: Matrix;
  /** Host.build */
  readonly build: string | undefined;
}

export interface Context extends ManifestContext {
  readonly flags: Flags;
  readonly out: Output;
  readonly err: Output;
  /** Host.interruptible */
  interruptible(): AbortSignal;
  /** Says that what is answered tells of this very run, and is no answer for a later one. */
  once(): void;
}
