// Errors as a person reads them: what happened, where, what to do. On a terminal, sentences are wrapped by words; what is
// to be copied (a command line, what a program printed) stays as it is.
import { describeDiagnostic } from '../manifest/diagnostics.js';
import type { Diagnostic } from '../model/diagnostic.js';
import type { ErrorReport } from '../model/event.js';
import { formatCommand } from './command-line.js';
import type { Page } from './paint.js';
import { hang, oneLine } from './text.js';

/** The last thing on stdout of a command with --json that ends without its answer. */
export interface ErrorJson {
  readonly ok: false;
  readonly error: ErrorReport;
}

const FILE_CODES: ReadonlySet<string> = new Set(['manifest-invalid', 'lock-invalid', 'config-invalid']);

/** An error that ends a command, or a node of a build. `node` is named in the first line. */
export function errorText(error: ErrorReport, page: Page, node?: string): string[] {
  const { diagnostics, command, hint } = error;
  // A bad file is told by its complaints; the message above them only counts them.
  if (FILE_CODES.has(error.code) && diagnostics.length > 0) {
    return [
      ...diagnostics.flatMap((diagnostic, i) => [
        ...(i === 0 ? [] : ['']),
        ...diagnosticText(diagnostic, page),
      ]),
      ...hintText(hint, page),
    ];
  }
  const head = node === undefined ? page.paint('red', 'error:') : page.paint('red', `failed: ${node}:`);
  const message = node === undefined ? error.message : withoutName(error.message, node);
  const lines = hang(`${head} `, message, page.width, 2);
  if (command) {
    const ended =
      command.signal !== undefined
        ? `killed by ${command.signal}`
        : command.exitCode !== undefined
          ? `exit status ${command.exitCode}`
          : 'did not start';
    lines.push(`  command: ${formatCommand(command.argv)}`, `  ended: ${ended}`);
    // A log begins with the command line, which was said.
    const said = command.tail[0] === `$ ${formatCommand(command.argv)}`;
    const tail = said ? command.tail.slice(1) : command.tail;
    if (tail.length > 0)
      lines.push('  last lines of its output:', ...tail.map((line) => `  | ${oneLine(line)}`));
  }
  for (const diagnostic of diagnostics) {
    if (!diagnostic.location) continue;
    const { file, line, column } = diagnostic.location;
    const also = diagnostic.hint === undefined ? '' : `; ${diagnostic.hint}`;
    lines.push(...hang('  at ', `${file}:${line}:${column}: ${diagnostic.message}${also}`, page.width));
  }
  if (error.log !== null) lines.push(...hang('  log: ', page.path(error.log), page.width));
  lines.push(...hintText(hint, page));
  // What is nowhere in a file is an error beside the first one: a second unknown node, a second bad param.
  for (const diagnostic of diagnostics)
    if (!diagnostic.location) lines.push(...diagnosticText(diagnostic, page));
  return lines;
}

/** `file:line:column: error: message`, the line with a caret under the place, and what to do. */
function diagnosticText(diagnostic: Diagnostic, page: Page): string[] {
  const { where, message, excerpt, hint } = describeDiagnostic(diagnostic, page.width);
  const head = `${where}${page.paint('red', 'error:')} `;
  return [...hang(head, message, page.width, 2), ...excerpt, ...hintText(hint, page)];
}

/** The same of an error, of a complaint about a file, and of a warning. */
export function hintText(hint: string | null | undefined, page: Page): string[] {
  return hint === null || hint === undefined ? [] : hang('  hint: ', hint, page.width);
}

/** A message that stands alone elsewhere may begin with the node's name: here the name has been said. */
export function withoutName(message: string, node: string): string {
  return message.startsWith(`${node}: `) ? message.slice(node.length + 2) : message;
}
