// Long lists on a terminal: what comes first is shown, the rest is counted.
import { count } from './format.js';
import type { Page } from './paint.js';

/** @param most of a list that is to be shorter than others where it is folded */
export function fold<T>(
  items: readonly T[],
  page: Page,
  most = page.most,
): { readonly shown: readonly T[]; readonly more: number } {
  const shown = page.most === Number.POSITIVE_INFINITY ? items : items.slice(0, most);
  return { shown, more: items.length - shown.length };
}

/** `158 more steps; -v lists all`, or nothing. @param what of one; several have an s at the end */
export function moreText(more: number, what: string, page: Page): string[] {
  return more === 0 ? [] : [page.paint('dim', `${count(more, `more ${what}`)}; -v lists all`)];
}

/** `a, b, c and 195 more` */
export function someOf(names: readonly string[], most: number): string {
  const more = names.length - most;
  return `${names.slice(0, most).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
