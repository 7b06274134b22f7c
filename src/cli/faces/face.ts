// A face shows a stream of events to somebody. Which one: what the user asked for, else what stderr is.
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

export async function createFace(options: FaceOptions): Promise<Face> {
  switch (chooseFace(options)) {
    case 'json':
      return (await import('./json.js')).jsonFace(options.to);
    case 'fancy':
      return (await import('./live.js')).liveFace(options);
    case 'plain':
      return (await import('./plain.js')).plainFace(options);
  }
}

export function chooseFace({ progress, quiet, to, env }: FaceOptions): Exclude<Progress, 'auto'> {
  if (progress === 'json') return 'json';
  if (quiet) return 'plain';
  if (progress !== 'auto') return progress;
  const ci = env.CI !== undefined && env.CI !== '' && env.CI !== 'false' && env.CI !== '0';
  return to.isTerminal && !ci && env.TERM !== 'dumb' ? 'fancy' : 'plain';
}
