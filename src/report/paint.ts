// Colours by meaning. A colour only ever repeats what a word says already.
import type { NodeState } from '../model/plan.js';

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;

export type Colour = keyof typeof CODES;

/** Puts a colour on a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

export const plainPaint: Paint = (_colour, text) => text;

export function createPaint(enabled: boolean): Paint {
  if (!enabled) return plainPaint;
  return (colour, text) => {
    const [on, off] = CODES[colour];
    return text === '' ? '' : `\x1b[${on}m${text}\x1b[${off}m`;
  };
}

export const stateColours: Readonly<Record<NodeState, Colour>> = {
  fresh: 'green',
  cached: 'cyan',
  stale: 'yellow',
  modified: 'magenta',
  failed: 'red',
};

/** What a report is written for. */
export interface Page {
  readonly paint: Paint;
  /** Cells in a line; Infinity where lines are not cut (a pipe, a file). */
  readonly width: number;
  /** Rows of a list that are shown before the rest is only counted; Infinity where lists are whole (a pipe, a file, -v). */
  readonly most: number;
  /** A path as the user would type it. */
  path(absolute: string): string;
}
