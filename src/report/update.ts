// What `res update` says: what each source resolved to, against what the lock held.
import type { UpdateReport } from '../model/report.js';
import { count } from './format.js';
import type { Page } from './paint.js';
import { hang, prose } from './text.js';

const COLOURS = { changed: 'yellow', added: 'green', removed: 'red', unchanged: 'dim' } as const;

export function updateText({ sources }: UpdateReport, page: Page): string[] {
  const news = sources.filter(({ change }) => change !== 'unchanged');
  const unchanged = sources.length - news.length;
  return [
    ...news.flatMap(({ source, change, details }) => [
      ...hang(`${page.paint(COLOURS[change], change.padEnd(9))} `, source, page.width),
      ...details.flatMap((detail) => hang(' '.repeat(10), detail, page.width)),
    ]),
    ...prose(
      news.length === 0
        ? `${count(sources.length, 'source')} asked, nothing changed`
        : `${count(news.length, 'source')} of ${sources.length} changed in the lock${unchanged > 0 ? `, ${unchanged} unchanged` : ''}`,
      page.width,
    ),
  ];
}
