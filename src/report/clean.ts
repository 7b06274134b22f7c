// What `res clean` says: what went, what was kept.
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';

/** Paths are absolute, sizes bytes. */
export interface Cleaned {
  readonly removed: readonly { readonly path: string; readonly size: number }[];
  readonly kept: readonly string[];
  readonly freedBytes: number;
}

export interface CleanJson {
  readonly removed: Cleaned['removed'];
  readonly kept: Cleaned['kept'];
  readonly freed_bytes: number;
}

export function cleanJson({ removed, kept, freedBytes }: Cleaned): CleanJson {
  return { removed, kept, freed_bytes: freedBytes };
}

export function cleanText({ removed, kept, freedBytes }: Cleaned, page: Page): string[] {
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
