// Complaints as text: `file:line:column: error: message`, the line, a caret under the place, a hint.
import type { Diagnostic, Location } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';

/** Columns of a line that are shown; of a longer one, the part around the caret. */
const MAX_COLUMNS = 100;

/** Up to four lines, without a line break at the end. Control characters are made visible, never sent to a terminal. */
export function formatDiagnostic({ message, location, hint }: Diagnostic): string {
  const lines = [
    location
      ? `${clean(location.file)}:${location.line}:${location.column}: error: ${clean(message)}`
      : `error: ${clean(message)}`,
  ];
  if (location && location.text !== '') lines.push(...excerpt(location));
  if (hint !== undefined) lines.push(`hint: ${clean(hint)}`);
  return lines.join('\n');
}

/** One error for all that is wrong with a file. */
export function manifestError(
  code: 'manifest-invalid' | 'lock-invalid',
  shown: string,
  diagnostics: readonly Diagnostic[],
  hint?: string,
): ResError {
  const count = diagnostics.length === 1 ? '1 error' : `${diagnostics.length} errors`;
  return new ResError(
    code,
    `${shown} has ${count}`,
    hint === undefined ? { diagnostics } : { diagnostics, hint },
  );
}

/** In the order of the files given, then of their lines; each complaint once. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const rank = new Map(files.map((file, i) => [file, i]));
  const fileRank = (d: Diagnostic) => rank.get(d.location?.file ?? '') ?? files.length;
  const seen = new Set<string>();
  return diagnostics
    .filter((d) => {
      const identity = `${d.location?.file}:${d.location?.line}:${d.location?.column}:${d.message}`;
      return seen.size < seen.add(identity).size;
    })
    .sort(
      (a, b) =>
        fileRank(a) - fileRank(b) ||
        (a.location?.line ?? 0) - (b.location?.line ?? 0) ||
        (a.location?.column ?? 0) - (b.location?.column ?? 0),
    );
}

function excerpt({ text, column, length }: Location): string[] {
  let before = text.slice(0, column - 1);
  let marked = text.slice(column - 1, column - 1 + length);
  let after = text.slice(column - 1 + length);
  if (text.length > MAX_COLUMNS) {
    if (before.length > MAX_COLUMNS / 2) before = `…${cut(before, -MAX_COLUMNS / 2 + 1, before.length)}`;
    if (marked.length > MAX_COLUMNS / 2) {
      marked = `${cut(marked, 0, MAX_COLUMNS / 2 - 1)}…`;
      after = '';
    }
    const room = Math.max(0, MAX_COLUMNS - before.length - marked.length);
    if (after.length > room) after = `${cut(after, 0, room)}…`;
  }
  // A tab stays a tab, so that it takes the same room in both lines.
  const indent = [...before].map((char) => (char === '\t' ? '\t' : ' '.repeat(columns(char)))).join('');
  const width = Math.max(
    1,
    [...marked].reduce((sum, char) => sum + columns(char), 0),
  );
  return [`  ${clean(before + marked + after)}`, `  ${indent}^${'~'.repeat(width - 1)}`];
}

/** Like slice, but never half of a surrogate pair. */
function cut(text: string, start: number, end: number): string {
  return text.slice(start, end).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, '');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Control characters and those that turn the direction of text would let a file write on the terminal. */
function clean(text: string): string {
  return text.replace(CONTROL, '\u00b7');
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/** Columns that a character takes in a terminal. */
function columns(char: string): number {
  if (ZERO_WIDTH.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}
