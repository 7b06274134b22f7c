// What `res clean` says: what went, what was kept.
import type { CleanReport } from '../model/report.js';
import { hintText } from './error.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';

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
  return [
    ...removed.map(({ path, size }) => `removed ${page.path(path)} (${formatBytes(size)})`),
    ...kept.map(
      (path) => `${page.paint('yellow', 'kept')} ${page.path(path)}: changed by hand; --force removes it`,
    ),
    removed.length === 0
      ? 'nothing to remove'
      : `${count(removed.length, 'file')} removed, ${formatBytes(freedBytes)} freed`,
    ...(sharedStore === null
      ? []
      : [
          `${page.paint('yellow', 'kept')} the store ${page.path(sharedStore)}: others may use it`,
          ...hintText('`res gc` removes what no workspace refers to.', page),
        ]),
  ];
}
