// What `res verify` says: what does not hold what the records say.
import type { VerifyReport } from '../model/report.js';
import { hintText } from './error.js';
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';

export function verifyText({ checked, bytes }: VerifyReport, page: Page): string[] {
  if (checked.length === 0) return ['0 files checked: res has made nothing of it here yet'];
  const bad = checked.filter(({ state }) => state !== 'ok');
  const total = `${count(checked.length, 'file')} checked, ${formatBytes(bytes)}`;
  return [
    ...bad.flatMap(({ path, place, node, state, expected, actual }) => [
      `${page.paint('red', state.padEnd(8))} ${page.path(path)}${node === null ? '' : ` (${node}, ${place})`}`,
      ...(state === 'mismatch'
        ? [`         expected ${expected}`, `         found    ${actual ?? 'nothing'}`]
        : []),
    ]),
    bad.length === 0 ? `${total}: all as recorded` : `${total}: ${bad.length} not as recorded`,
    ...(bad.length === 0
      ? []
      : hintText('`res build` makes what is missing again; `--overwrite` replaces changed outputs.', page)),
  ];
}
