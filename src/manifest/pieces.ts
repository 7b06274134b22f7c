// A long text cut before entries of the maps at its top, so that a piece of it can be read without the others. The text need not
// be what it looks like here: that is for the reader of the pieces to see.

export interface Piece {
  /** Code units of the text; lines stay whole. */
  readonly start: number;
  readonly end: number;
  /** The last key at the top before the piece, when the piece begins with an entry under it that is not the first. */
  readonly under: string | undefined;
}

const KEY = '([A-Za-z0-9_][\\w.-]*):(?=[ \\n])';

/**
 * A text with tabs or carriage returns is left in one piece: whether such white space is wrong can depend on what comes after it.
 * @param size code units that a piece has at least, but for the last
 */
export function cut(text: string, size: number): readonly Piece[] {
  if (/[\t\r]/.test(text)) return [{ start: 0, end: text.length, under: undefined }];
  // Most likely the same for all entries.
  const indent = new RegExp(`\\n( +)${KEY}`).exec(text)?.[1] ?? '';
  const line = new RegExp(`(^|\\n)(${indent})?${KEY}`, 'g');
  const pieces: Piece[] = [];
  let start = 0;
  let under: string | undefined;
  let top: string | undefined;
  let entered: string | undefined;
  for (let match = line.exec(text); match; match = line.exec(text)) {
    const [, newline = '', indented, key] = match;
    const at = match.index + newline.length;
    if (at - start >= size && (indented ? entered : top) !== undefined) {
      pieces.push({ start, end: at, under });
      start = at;
      under = indented ? entered : undefined;
    }
    if (!indented) top = key;
    entered = indented ? top : undefined;
  }
  pieces.push({ start, end: text.length, under });
  return pieces;
}
