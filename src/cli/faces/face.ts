// A face shows a stream of events to somebody: a person at a terminal, a log, a program.
import type { EventListener } from '../../model/event.js';
import type { Output } from '../output.js';

export interface Face {
  readonly listener: EventListener;
  /** Takes down what is on the screen; called once, however the command ends. */
  end(): Promise<void>;
}

export type Progress = 'auto' | 'fancy' | 'plain' | 'json';

export interface FaceOptions {
  /** Where progress goes; answers are no business of a face. */
  readonly to: Output;
  readonly progress: Progress;
  readonly quiet: boolean;
  /** Show what programs print. */
  readonly verbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From a node's `output`, relative to the output folder, to a path as the user would type it. */
  readonly place: (output: string) => string;
}
