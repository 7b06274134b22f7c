// A complaint about a text that the user wrote: where it is, what was expected, what to do.

export interface Location {
  /** Path as the user would type it: relative to the folder res was started in where that is shorter. */
  readonly file: string;
  /** Both count from 1; the column counts UTF-16 code units. */
  readonly line: number;
  readonly column: number;
  /** The whole line, for the caret, without its line break. */
  readonly text: string;
  /** Code units that the caret underlines; at least 1. */
  readonly length: number;
}

export interface Diagnostic {
  readonly message: string;
  readonly location?: Location;
  /** What to do, or the nearest known name: "did you mean `merged`?" */
  readonly hint?: string;
}
