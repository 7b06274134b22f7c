// What `res gc` says: what went, by class, and what is left.
import type { GcClass, GcReport } from '../model/report.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';
import { table } from './table.js';
import { hang, prose } from './text.js';

export interface GcJson {
  readonly dry_run: boolean;
  readonly store: string;
  readonly removed: GcReport['removed'];
  readonly objects: readonly {
    readonly path: string;
    readonly digest: string;
    readonly node: string | null;
    readonly name: string | null;
    readonly bytes: number;
    readonly last_use: string;
    readonly referenced: boolean;
  }[];
  readonly spared: GcReport['spared'];
  readonly freed_bytes: number;
  readonly left: GcReport['left'];
  readonly max_size: number | null;
}

export function gcJson(report: GcReport): GcJson {
  const { dryRun, store, removed, objects, spared, freedBytes, left, maxSize } = report;
  return {
    dry_run: dryRun,
    store,
    removed,
    objects: objects.map(({ lastUse, ...object }) => ({
      ...object,
      last_use: new Date(lastUse).toISOString(),
    })),
    spared,
    freed_bytes: freedBytes,
    left,
    max_size: maxSize,
  };
}

/** In this order. */
const CLASSES: Readonly<Record<GcClass, string>> = {
  objects: 'objects in the store',
  partials: 'partial downloads',
  temporaries: 'temporary files',
  scratch: 'scratch directories of runs that failed',
  'chunk-sums': 'sums of downloads that are gone',
  results: 'results of long ago',
  workspaces: 'workspaces that are gone',
  logs: 'logs of nodes that are gone',
  'build-records': 'records of old builds',
};

/** @param o.verbose a line for each object */
export function gcText(report: GcReport, page: Page, o: { readonly verbose: boolean }): string[] {
  const { dryRun, removed, objects, spared, freedBytes, left, maxSize } = report;
  const has = `${count(left.objects, 'object')} left, ${formatBytes(left.bytes)}`;
  const freed = `${formatBytes(freedBytes)} ${dryRun ? 'would be freed' : 'freed'}; ${has}`;
  return [
    ...(o.verbose ? objects.flatMap((object) => prose(objectText(object, page, dryRun), page.width)) : []),
    ...(removed.length === 0 ? [] : tallyText(removed, page, dryRun)),
    ...spared.flatMap(({ path, why }) =>
      hang(`${page.paint('yellow', 'left')} `, `${page.path(path)}: ${REASONS[why]}`, page.width, 2),
    ),
    ...prose(removed.length === 0 ? `nothing to remove; ${has}` : freed, page.width),
    ...(maxSize === null || left.bytes <= maxSize
      ? []
      : hang(
          `${page.paint('yellow', 'warning:')} `,
          `that is more than ${formatBytes(maxSize)}: the rest is in use, or kept by \`keep: always\``,
          page.width,
          2,
        )),
  ];
}

const REASONS = { 'in-use': 'a build is using it', 'not-permitted': "it is another user's" } as const;

function objectText({ path, node, name, bytes }: GcReport['objects'][number], page: Page, dryRun: boolean) {
  const known = [...new Set([node, name])].filter((word) => word !== null).join(', ');
  return `${dryRun ? 'would remove' : 'removed'} ${page.path(path)} (${known === '' ? '' : `${known}, `}${formatBytes(bytes)})`;
}

function tallyText(removed: GcReport['removed'], page: Page, dryRun: boolean): string[] {
  const rows = Object.entries(CLASSES).flatMap(([name, words]) =>
    removed.flatMap(({ what, count, bytes }) =>
      what === name ? [[words, String(count), formatBytes(bytes)]] : [],
    ),
  );
  return table(
    [
      { title: dryRun ? 'WOULD GO' : 'REMOVED', cut: 'end' },
      { title: 'NUMBER', align: 'right' },
      { title: 'SIZE', align: 'right' },
    ],
    rows,
    page,
  );
}
