// How a command ends when it does not end well: an error of the user's, an interrupt, a bug.
import { ResError } from '../model/error.js';
import { errorText } from '../report/error.js';
import type { Output } from './output.js';
import { version } from './package.js';

/** Writes what went wrong. @returns the exit status */
export function reportError(error: unknown, to: Output): number {
  if (error instanceof ResError) {
    const { code, message, hint, diagnostics, command, exitStatus } = error;
    to.lines(
      errorText(
        { code, message, hint: hint ?? null, diagnostics, command: command ?? null, log: null },
        to.page,
      ),
    );
    return exitStatus;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  to.lines([
    `${to.page.paint('red', 'error:')} this is a bug of res, not of your manifest or your machine`,
    stack,
    '',
    `res ${version()}, Node.js ${process.version}, ${process.platform} ${process.arch}`,
    'Please report it with all of the above, the command line, and the manifest. Your files are as they were, or complete.',
  ]);
  return 1;
}
