// "Did you mean": the nearest known name to one that is not known.
import { closest, distance } from 'fastest-levenshtein';

/** The nearest of `known`, when it is near enough to be what was meant. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const candidates = [...known];
  if (candidates.length === 0 || name === '' || name.length > 200) return undefined;
  const best = closest(name, candidates);
  const allowed = Math.max(1, Math.floor(Math.max(name.length, best.length) / 3));
  if (best !== name && distance(name, best) <= allowed) return best;
  // `disk` for `disk-image`: far by letters, near by sense.
  const begun = name.length >= 3 ? candidates.filter((candidate) => candidate.startsWith(name)) : [];
  return begun.length === 1 ? begun[0] : undefined;
}

/** A hint: the nearest name, or else all of them, when they are few. */
export function suggest(name: string, known: Iterable<string>, all?: string): string | undefined {
  const best = nearest(name, known);
  if (best !== undefined) return `did you mean \`${best}\`?`;
  const names = [...known];
  if (all === undefined || names.length === 0 || names.length > 20) return undefined;
  return `${all}: ${names.map((known) => `\`${known}\``).join(', ')}`;
}

/** `a`, `b` or `c`. */
export function oneOf(names: readonly string[], conjunction: 'or' | 'and' = 'or'): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop() ?? '';
  return quoted.length === 0 ? last : `${quoted.join(', ')} ${conjunction} ${last}`;
}
