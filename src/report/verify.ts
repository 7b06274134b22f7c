// What `res verify` says: what does not hold what the records say, and what was done about it.
import { isAbsolute } from 'node:path';
import type { RepairReport, VerifyReport } from '../model/report.js';
import { hintText } from './error.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';
import { hang, prose } from './text.js';

export interface VerifyJson extends Omit<VerifyReport, 'repair'> {
  readonly mended?: readonly {
    readonly path: string;
    readonly place: 'output' | 'store';
    readonly node: string | null;
    readonly by: 'ranges' | 'download' | 'build';
    readonly fetched_bytes: number;
    readonly saved_bytes: number;
  }[];
  readonly removed?: RepairReport['removed'];
  readonly kept?: RepairReport['kept'];
  readonly failed?: RepairReport['failed'];
  readonly fetched_bytes?: number;
  readonly saved_bytes?: number;
}

export function verifyJson({ repair, ...report }: VerifyReport): VerifyJson {
  if (!repair) return report;
  const { mended, removed, kept, failed, fetchedBytes, savedBytes } = repair;
  return {
    ...report,
    mended: mended.map(({ fetchedBytes, savedBytes, ...row }) => ({
      ...row,
      fetched_bytes: fetchedBytes,
      saved_bytes: savedBytes,
    })),
    removed,
    kept,
    failed,
    fetched_bytes: fetchedBytes,
    saved_bytes: savedBytes,
  };
}

export function verifyText(report: VerifyReport, page: Page): string[] {
  const { checked, bytes, repair } = report;
  if (checked.length === 0 && !repair?.removed.length)
    return prose('0 files checked: res has made nothing of it here yet', page.width);
  const bad = checked.filter(({ state }) => state !== 'ok');
  const total = `${count(checked.length, 'file')} checked, ${formatBytes(bytes)}`;
  const verdict = bad.length === 0 ? 'all as recorded' : `${bad.length} not as recorded`;
  return [
    ...(repair ? repairText(repair, page) : []),
    ...bad.flatMap((row) => badText(row, page)),
    ...prose(`${total}: ${verdict}${repair ? trafficText(repair) : ''}`, page.width),
    ...(repair || bad.length === 0 ? [] : hintText(hintFor(bad), page)),
  ];
}

type Row = VerifyReport['checked'][number];

function badText({ path, place, node, state, change, expected, actual }: Row, page: Page): string[] {
  const word = page.paint('red', (change ?? state).padEnd(8));
  const whose = node === null ? '' : ` (${node}, ${place})`;
  const sums =
    state === 'mismatch' ? [`         expected ${expected}`, `         found    ${actual ?? 'nothing'}`] : [];
  return [...hang(`${word} `, `${page.path(path)}${whose}`, page.width), ...sums];
}

function hintFor(bad: readonly Row[]): string {
  const hints = [
    ...(bad.some(({ change }) => change !== 'modified')
      ? ['`res verify --repair` mends what is damaged or missing.']
      : []),
    ...(bad.some(({ change }) => change === 'modified')
      ? ['`res build --overwrite` replaces what was changed by hand, `--as-is` accepts it.']
      : []),
  ];
  return hints.join(' ');
}

const DONE = { ranges: 'mended', download: 'fetched', build: 'rebuilt' } as const;

function repairText({ mended, removed, kept, failed }: RepairReport, page: Page): string[] {
  return [
    ...mended.flatMap(({ path, node, by, fetchedBytes, savedBytes }) => {
      const fetched = by === 'build' ? '' : `: ${formatBytes(fetchedBytes)}`;
      const bytes = by === 'ranges' ? `${fetched} fetched, ${formatBytes(savedBytes)} saved` : fetched;
      const what = `${page.path(path)}${node === null ? '' : ` (${node})`}${bytes}`;
      return hang(`${page.paint('green', DONE[by].padEnd(8))} `, what, page.width);
    }),
    ...removed.flatMap(({ path, size }) =>
      hang('removed  ', `${page.path(path)} (${formatBytes(size)})`, page.width),
    ),
    ...kept.flatMap(({ path, why }) =>
      hang(`${page.paint('yellow', 'kept    ')} `, `${page.path(path)}: ${why}`, page.width),
    ),
    ...failed.flatMap(({ what, message, hint }) => [
      ...hang(
        `${page.paint('red', 'failed  ')} `,
        `${isAbsolute(what) ? page.path(what) : what}: ${message}`,
        page.width,
      ),
      ...hintText(hint, page),
    ]),
  ];
}

function trafficText({ fetchedBytes, savedBytes }: RepairReport): string {
  if (fetchedBytes + savedBytes === 0) return '';
  return `; ${formatBytes(fetchedBytes)} fetched, ${formatBytes(savedBytes)} saved`;
}
