// What `res clean` says: what went, what was kept.
import type { CleanReport } from '../model/report.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';

export interface CleanJson {
  readonly removed: CleanReport['removed'];
  readonly kept: CleanReport['kept'];
  readonly freed_bytes: number;
}

export function cleanJson({ removed, kept, freedBytes }: CleanReport): CleanJson {
  return { removed, kept, freed_bytes: freedBytes };
}

export function cleanText({ removed, kept, freedBytes }: CleanReport, page: Page): string[] {
  return [
    ...removed.map(({ path, size }) => `removed ${page.path(path)} (${formatBytes(size)})`),
    ...kept.map(
      (path) => `${page.paint('yellow', 'kept')} ${page.path(path)}: changed by hand; --force removes it`,
    ),
    removed.length === 0
      ? 'nothing to remove'
      : `${count(removed.length, 'file')} removed, ${formatBytes(freedBytes)} freed`,
  ];
}
