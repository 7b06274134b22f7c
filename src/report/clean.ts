// What `res clean` says: what went, what was kept.
import type { CleanReport } from '../model/report.js';
import { hintText } from './error.js';
import { fold, moreText } from './fold.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';
import { cutMiddle, hang } from './text.js';

export interface CleanJson {
  readonly removed: CleanReport['removed'];
  readonly kept: CleanReport['kept'];
  readonly freed_bytes: number;
  readonly shared_store: string | null;
}

export function cleanJson({ removed, kept, freedBytes, sharedStore }: CleanReport): CleanJson {
  return { removed, kept, freed_bytes: freedBytes, shared_store: sharedStore };
}

export function cleanText({ removed, kept, freedBytes, sharedStore }: CleanReport, page: Page): string[] {
  const byPath = [...removed].sort((a, b) => (a.path < b.path ? -1 : 1));
  const { shown, more } = fold(byPath, page);
  return [
    ...shown.map(({ path, size }) => removedText(page.path(path), ` (${formatBytes(size)})`, page)),
    ...moreText(more, 'file', page),
    ...kept.flatMap((path) =>
      hang(
        `${page.paint('yellow', 'kept')} `,
        `${page.path(path)}: changed by hand; --force removes it`,
        page.width,
        2,
      ),
    ),
    removed.length === 0
      ? 'nothing to remove'
      : `${count(removed.length, 'file')} removed, ${formatBytes(freedBytes)} freed`,
    ...(sharedStore === null
      ? []
      : [
          ...hang(
            `${page.paint('yellow', 'kept')} `,
            `the store ${page.path(sharedStore)}: others may use it`,
            page.width,
            2,
          ),
          ...hintText('`res gc` removes what no workspace refers to.', page),
        ]),
  ];
}

/** Nobody has a use for the path of what is gone: it is cut where it is long. */
function removedText(path: string, size: string, page: Page): string {
  const word = 'removed ';
  return word + cutMiddle(path, page.width - word.length - size.length) + size;
}
