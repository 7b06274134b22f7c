// What to say when `member` names no file, or several: of an archive as of a directory.
import { ResError } from '../model/error.js';
import { quote } from './archive.js';

/** Names that an error lists. */
export const LISTED = 20;

/** @param entries how many files there are, when `names` is not all of them */
export function memberNotFound(
  what: string,
  pattern: string,
  names: readonly string[],
  entries = names.length,
): ResError {
  const shown = names.slice(0, LISTED);
  const more = entries > shown.length ? [`… and ${entries - shown.length} more`] : [];
  const list =
    entries === 0
      ? 'It holds no files.'
      : `It holds:\n${[...shown, ...more].map((name) => `  ${name}`).join('\n')}`;
  return new ResError('member-not-found', `${what} has no file that matches ${quote(pattern)}`, {
    hint: list,
  });
}

export function ambiguousMember(what: string, pattern: string, names: readonly string[]): ResError {
  const shown = names.slice(0, LISTED);
  const more = names.length > LISTED ? ['…'] : [];
  return new ResError('member-not-found', `${what}: ${quote(pattern)} matches more than one file`, {
    hint: `Say which one:\n${[...shown, ...more].map((name) => `  ${name}`).join('\n')}`,
  });
}
