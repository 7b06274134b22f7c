// What `res verify` says: what does not hold what the records say.
import { count, formatBytes } from './format.js';
import type { Page } from './paint.js';

export interface VerifyJson {
  readonly ok: boolean;
  readonly checked: readonly {
    /** Absolute. */
    readonly path: string;
    readonly place: 'output' | 'store';
    readonly node: string | null;
    readonly state: 'ok' | 'mismatch' | 'missing';
    readonly expected: string;
    readonly actual: string | null;
    readonly size: number;
  }[];
  /** Read, in all. */
  readonly bytes: number;
}

export function verifyText({ checked, bytes }: VerifyJson, page: Page): string[] {
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
      : ['hint: `res build` makes what is missing again; `--overwrite` replaces changed outputs.']),
  ];
}
