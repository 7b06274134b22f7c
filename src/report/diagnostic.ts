// Errors as a person reads them: what happened, where, what to do.
import type { Diagnostic } from '../model/diagnostic.js';
import type { ErrorReport } from '../model/event.js';
import { formatCommand } from './command-line.js';
import type { Page } from './paint.js';
import { oneLine, width } from './text.js';

/** A complaint with its place, its line and a caret under what is wrong. */
export function diagnosticText({ message, location, hint }: Diagnostic, page: Page): string[] {
  const lines: string[] = [];
  const error = page.paint('red', 'error:');
  if (location) {
    const { file, line, column, text, length } = location;
    lines.push(`${file}:${line}:${column}: ${error} ${message}`);
    const number = String(line);
    const before = text.slice(0, column - 1).replace(/[^\t]/g, (char) => ' '.repeat(width(char)));
    const marked = text.slice(column - 1, column - 1 + length);
    const caret = page.paint('red', `^${'~'.repeat(Math.max(0, width(marked) - 1))}`);
    lines.push(` ${number} | ${oneLine(text)}`);
    lines.push(` ${' '.repeat(number.length)} | ${before}${caret}`);
  } else {
    lines.push(`${error} ${message}`);
  }
  if (hint !== undefined) lines.push(`  hint: ${hint}`);
  return lines;
}

/** An error that ends a command, or a node of a build. `node` is named in the first line. */
export function errorText(error: ErrorReport, page: Page, node?: string): string[] {
  const lines: string[] = [];
  const { diagnostics, command } = error;
  // A bad manifest is told by its complaints; the message above them only counts them.
  if (error.code === 'manifest-invalid' && diagnostics.length > 0) {
    return [
      ...diagnostics.flatMap((diagnostic, i) => [...(i === 0 ? [] : ['']), ...diagnosticText(diagnostic, page)]),
      ...(error.hint === null ? [] : [`hint: ${error.hint}`]),
    ];
  }
  const head = node === undefined ? page.paint('red', 'error:') : page.paint('red', `failed: ${node}:`);
  lines.push(`${head} ${error.message}`);
  if (command) {
    const ended =
      command.signal !== undefined
        ? `killed by ${command.signal}`
        : command.exitCode !== undefined
          ? `exit status ${command.exitCode}`
          : 'did not start';
    lines.push(`  command: ${formatCommand(command.argv)}`, `  ended: ${ended}`);
    if (command.tail.length > 0) {
      lines.push('  last lines of its output:', ...command.tail.map((line) => `  | ${oneLine(line)}`));
    }
  }
  for (const { message, location } of diagnostics) {
    if (location) lines.push(`  at ${location.file}:${location.line}:${location.column}: ${message}`);
    else lines.push(`  ${message}`);
  }
  if (error.log !== null) lines.push(`  log: ${page.path(error.log)}`);
  if (error.hint !== null) lines.push(`  hint: ${error.hint}`);
  return lines;
}
