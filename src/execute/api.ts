// What may be asked of a build.
import type { EventListener } from '../model/event.js';

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
  /** Take such outputs for what their nodes have, as they are now. */
  readonly asIs?: boolean;
  readonly signal?: AbortSignal;
  readonly listener?: EventListener;
}
