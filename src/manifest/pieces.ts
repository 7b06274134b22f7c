// A long text cut before entries of the maps at its top, so that a piece of it can be read without the others. What it cuts need
// not be YAML: who reads the pieces sees whether they are what they look like.

export interface Piece {
  /** Code units of the whole text. Lines are never cut. */
  readonly start: number;
  readonly end: number;
  /** The key at the top, somewhere before the piece, that the first lines of the piece stand under. */
  readonly under: string | undefined;
}

/** @param size of each piece but the last, at least, in code units */
export function cut(text: string, size: number): readonly Piece[] {
  const indent = /\n( +)[A-Za-z0-9_][\w.-]*:[ \r\n]/.exec(text)?.[1] ?? '';
  const entry = new RegExp(`(^|\\n)(?:${indent})?([A-Za-z0-9_][\\w.-]*):(?=[ \\r\\n])`, 'g');
  const pieces: Piece[] = [];
  let start = 0;
  let under: string | undefined;
  let section: string | undefined;
  for (let match = entry.exec(text); match; match = entry.exec(text)) {
    const [, newline = '', key] = match;
    const line = match.index + newline.length;
    const inSection = text[line] === ' ';
    if (line - start >= size && !(inSection && section === undefined)) {
      pieces.push({ start, end: line, under });
      start = line;
      under = inSection ? section : undefined;
    }
    if (!inSection) section = key;
  }
  pieces.push({ start, end: text.length, under });
  return pieces;
}
