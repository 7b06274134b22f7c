// Errors as a person reads them: what happened, where, what to do.
import { formatDiagnostic } from '../manifest/diagnostics.js';
import type { ErrorReport } from '../model/event.js';
import { formatCommand } from './command-line.js';
import type { Page } from './paint.js';
import { oneLine } from './text.js';

/** An error that ends a command, or a node of a build. `node` is named in the first line. */
export function errorText(error: ErrorReport, page: Page, node?: string): string[] {
  const lines: string[] = [];
  const { diagnostics, command } = error;
  // A bad file is told by its complaints; the message above them only counts them.
  if ((error.code === 'manifest-invalid' || error.code === 'lock-invalid') && diagnostics.length > 0) {
    return [
      ...diagnostics.flatMap((diagnostic, i) => [
        ...(i === 0 ? [] : ['']),
        ...formatDiagnostic(diagnostic)
          .replace('error:', () => page.paint('red', 'error:'))
          .split('\n'),
      ]),
      ...(error.hint === null ? [] : [`hint: ${error.hint}`]),
    ];
  }
  const head = node === undefined ? page.paint('red', 'error:') : page.paint('red', `failed: ${node}:`);
  lines.push(
    `${head} ${indentRest(node === undefined ? error.message : withoutName(error.message, node), 2)}`,
  );
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
  for (const { message, location, hint } of diagnostics) {
    if (!location) continue;
    const where = `at ${location.file}:${location.line}:${location.column}`;
    lines.push(`  ${where}: ${message}${hint === undefined ? '' : `; ${hint}`}`);
  }
  if (error.log !== null) lines.push(`  log: ${page.path(error.log)}`);
  if (error.hint !== null) lines.push(`  hint: ${indentRest(error.hint, 8)}`);
  // What is nowhere in a file is an error beside the first one: a second unknown node, a second bad param.
  for (const { message, location, hint } of diagnostics) {
    if (location) continue;
    lines.push(
      `${page.paint('red', 'error:')} ${message}`,
      ...(hint === undefined ? [] : [`  hint: ${hint}`]),
    );
  }
  return lines;
}

/** A message that stands alone elsewhere may begin with the node's name: here the name has been said. */
export function withoutName(message: string, node: string): string {
  return message.startsWith(`${node}: `) ? message.slice(node.length + 2) : message;
}

/** Text of several lines, all but the first one indented by `cells` where they are not indented already. */
function indentRest(text: string, cells: number): string {
  return text.replace(/\n(?! )/g, `\n${' '.repeat(cells)}`);
}
