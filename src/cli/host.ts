// What a command line runs in: the process, or a test in its place.
import type { Env } from '../model/env.js';

export interface Host {
  /** Absolute. */
  readonly cwd: string;
  readonly env: Env;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** From the first call on, an interrupt aborts the signal; before it, an interrupt ends the process at once. */
  interruptible(): AbortSignal;
  /** Names the very program: what is kept between runs holds for one build of it. Undefined: nothing is kept. */
  readonly build: string | undefined;
}
