// How a command ends when it does not end well: an error of the user's, an interrupt, a bug.
import { errorReport } from '../execute/errors.js';
import { ResError } from '../model/error.js';
import { type ErrorJson, errorText } from '../report/error.js';
import { errorCode, ioError } from '../store/files.js';
import { version } from '../store/package.js';
import type { CommandSpec } from './commands.js';
import type { Host } from './host.js';
import { type ColorMode, createOutput, type Output } from './output.js';

/** What was asked for as JSON. */
export interface Wanted {
  readonly json: boolean;
  /** `--progress json` */
  readonly events: boolean;
}

/** Looks for the flags among the words: the line may be what could not be parsed. */
export function wanted(argv: readonly string[], spec: CommandSpec | undefined): Wanted {
  const rest = argv.indexOf('--');
  const words = rest < 0 ? argv : argv.slice(0, rest);
  const progress = words.map((word, i) =>
    word === '--progress' ? words[i + 1] : /^--progress=(.*)/.exec(word)?.[1],
  );
  const takes = spec?.flags ?? [];
  return {
    json: takes.includes('json') && words.includes('--json'),
    events: takes.includes('progress') && progress.findLast((how) => how !== undefined) === 'json',
  };
}

/**
 * Says what went wrong: in words on stderr, and where JSON was asked for, as an object in the place of the answer that
 * did not come, or behind the events. Where stderr is a stream of events, words would break it: then there are none.
 *
 * @returns the exit status
 */
export function endWith(
  thrown: unknown,
  o: { readonly answer: Wanted; readonly host: Host; readonly color: ColorMode },
): number {
  const error = ofTheMachine(thrown);
  const { json, events } = o.answer;
  const open = (stream: NodeJS.WriteStream) =>
    createOutput(stream, { color: o.color, env: o.host.env, cwd: o.host.cwd });
  const report: ErrorJson = { ok: false, error: errorReport(error) };
  if (events) open(json ? o.host.stdout : o.host.stderr).line(JSON.stringify(report));
  else if (json) open(o.host.stdout).json(report);
  return events && !json ? exitStatus(error) : reportError(error, open(o.host.stderr));
}

/** Where too few files may be open, anything may fail, also to read the program itself: no bug. */
function ofTheMachine(error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof ResError || (code !== 'EMFILE' && code !== 'ENFILE')) return error;
  const path = error instanceof Error && 'path' in error ? String(error.path) : 'a file';
  return ioError(error, 'cannot open', path);
}

/** Writes what went wrong, for a person. @returns the exit status */
export function reportError(error: unknown, to: Output): number {
  if (error instanceof ResError) {
    to.lines(errorText(errorReport(error), to.page));
  } else {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    to.lines([
      `${to.page.paint('red', 'error:')} this is a bug of res, not of your manifest or your machine`,
      stack,
      '',
      `res ${version()}, Node.js ${process.version}, ${process.platform} ${process.arch}`,
      'Please report it with all of the above, the command line, and the manifest. Your files are as they were, or complete.',
    ]);
  }
  return exitStatus(error);
}

function exitStatus(error: unknown): number {
  return error instanceof ResError ? error.exitStatus : 1;
}
