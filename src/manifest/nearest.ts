// "Did you mean": the nearest known name to one that is not known.
import { closest, distance } from 'fastest-levenshtein';

/** The nearest of `known`, when it is near enough to be what was meant. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const candidates = [...known];
  if (candidates.length === 0 || name === '' || name.length > 200) return undefined;
  const best = closest(name, candidates);
  if (best !== name && isNear(name, best)) return best;
  // `disk` for `disk-image`: far by letters, near by sense.
  const begun = name.length >= 3 ? candidates.filter((candidate) => candidate.startsWith(name)) : [];
  return begun.length === 1 ? begun[0] : undefined;
}

function isNear(a: string, b: string): boolean {
  const far = distance(a, b);
  const length = Math.max(a.length, b.length);
  // Two letters that changed places count as two changes, and are the most common slip.
  const swapped = far === 2 && [...a].sort().join('') === [...b].sort().join('');
  return far < length && (swapped || far <= Math.max(1, Math.floor(length / 3)));
}

/** A hint: the nearest name, or else all of them, when they are few and `all` says what they are. */
export function suggest(name: string, known: Iterable<string>, all?: string): string | undefined {
  const names = [...known];
  const best = nearest(name, names);
  if (best !== undefined) return `did you mean \`${best}\`?`;
  if (all === undefined || names.length === 0 || names.length > 20) return undefined;
  return `${all}: ${names.map((each) => `\`${each}\``).join(', ')}`;
}

/** `a`, `b` or `c`. */
export function oneOf(names: readonly string[], conjunction: 'or' | 'and' = 'or'): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop() ?? '';
  return quoted.length === 0 ? last : `${quoted.join(', ')} ${conjunction} ${last}`;
}
