// Complaints as text: `file:line:column: error: message`, the line, a caret under the place, a hint.
import type { Diagnostic, Location } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';

/** Columns of an excerpt, its indentation included; of a longer line, the part around the caret is shown. */
const MAX_COLUMNS = 103;

/** A complaint in its parts. Control characters are made visible, never sent to a terminal. */
export interface DiagnosticText {
  /** `file:line:column: `; empty where there is no place. */
  readonly where: string;
  readonly message: string;
  /** The line and its caret, or nothing. */
  readonly excerpt: readonly string[];
  readonly hint: string | undefined;
}

/** @param columns at most that many in a line of the excerpt; 103 at the most */
export function describeDiagnostic(
  { message, location, hint }: Diagnostic,
  columns = MAX_COLUMNS,
): DiagnosticText {
  return {
    where: location ? `${clean(location.file)}:${location.line}:${location.column}: ` : '',
    message: clean(message),
    excerpt:
      location && location.text !== '' ? excerpt(location, Math.min(columns, MAX_COLUMNS) - INDENT) : [],
    hint: hint === undefined ? undefined : clean(hint),
  };
}

/** Up to four lines, without a line break at the end. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { where, message, excerpt, hint } = describeDiagnostic(diagnostic);
  return [`${where}error: ${message}`, ...excerpt, ...(hint === undefined ? [] : [`  hint: ${hint}`])].join(
    '\n',
  );
}

/** One error for all that is wrong with a file. */
export function manifestError(
  code: 'manifest-invalid' | 'lock-invalid' | 'config-invalid',
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

const INDENT = 2;

/** @param room columns, without the indentation */
function excerpt({ text, column, length }: Location, room: number): string[] {
  let before = text.slice(0, column - 1);
  let marked = text.slice(column - 1, column - 1 + length);
  let after = text.slice(column - 1 + length);
  const half = Math.floor(room / 2);
  if (text.length > room) {
    if (before.length > half) before = `…${cut(before, 1 - half, before.length)}`;
    if (marked.length > half) {
      marked = `${cut(marked, 0, half - 1)}…`;
      after = '';
    }
    const left = Math.max(0, room - before.length - marked.length);
    if (after.length > left) after = `${cut(after, 0, Math.max(0, left - 1))}…`;
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
