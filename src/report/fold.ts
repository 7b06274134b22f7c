// Long lists on a terminal: what comes first is shown, the rest is counted.
import { count } from './format.js';
import type { Page } from './paint.js';

/** @param most by default as many as the page has of a list */
export function fold<T>(
  items: readonly T[],
  page: Page,
  most = page.most,
): { readonly shown: readonly T[]; readonly more: number } {
  const shown = items.slice(0, Math.min(most, page.most));
  return { shown, more: items.length - shown.length };
}

/** `158 more steps; -v lists all`, or nothing. @param what of one; several have an s at the end */
export function moreText(more: number, what: string, page: Page): string[] {
  return more === 0 ? [] : [page.paint('dim', `${count(more, `more ${what}`)}; -v lists all`)];
}
