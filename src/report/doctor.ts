// What `res doctor` says: what was looked at, how it is, what to do about it.
import type { Page } from './paint.js';
import { hang } from './text.js';

export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; null where nothing need be done. */
  readonly hint: string | null;
}

export interface DoctorJson {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export function doctorJson(checks: readonly Check[]): DoctorJson {
  return { ok: checks.every(({ state }) => state !== 'fail'), checks };
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

export function doctorText(checks: readonly Check[], page: Page): string[] {
  const names = Math.max(...checks.map(({ name }) => name.length));
  const indent = names + 8;
  return checks.flatMap(({ name, state, detail, hint }) => [
    ...hang(
      `${page.paint(COLOURS[state], state.padEnd(4))}  ${name.padEnd(names)}  `,
      detail,
      page.width,
      indent,
    ),
    ...(hint === null ? [] : hang(' '.repeat(indent), hint, page.width)),
  ]);
}
