// Names that someone may have meant.
import { distance } from 'fastest-levenshtein';

/** The names, nearest to `wanted` first; those equally near keep their order. */
export function byNearness(wanted: string, names: readonly string[]): readonly string[] {
  return names
    .map((name) => ({ name, far: distance(wanted, name) }))
    .sort((a, b) => a.far - b.far)
    .map(({ name }) => name);
}

/** Names for a message: up to `limit`, and how many more there are. */
export function listed(names: readonly string[], limit: number): string {
  const more = names.length - limit;
  return names.slice(0, limit).join(', ') + (more > 0 ? `, and ${more} more` : '');
}
