// Reasons in words.
import type { Reason, ReasonCode } from '../model/plan.js';

const WORDS: Readonly<Record<ReasonCode, string>> = {
  'never-built': 'never built',
  'recipe-changed': 'recipe changed',
  'input-changed': 'input changed',
  'tool-changed': 'tool changed',
  'output-missing': 'output missing',
  'output-modified': 'output modified',
  forced: 'forced',
  'input-stale': 'input stale',
};

/** `recipe changed: to: raw -> qcow2` */
export function reasonText({ code, detail }: Reason): string {
  return detail === '' ? WORDS[code] : `${WORDS[code]}: ${detail}`;
}

/** All in one line, for a table: that the inputs of what was never built are stale too goes without saying. */
export function reasonsText(reasons: readonly Reason[]): string {
  const isNew = reasons.some(({ code }) => code === 'never-built');
  return reasons
    .filter(({ code }) => !isNew || code !== 'input-stale')
    .map(reasonText)
    .join('; ');
}

/** A reason in JSON reports that ask for everything. */
export interface ReasonJson {
  readonly code: ReasonCode;
  readonly detail: string;
  readonly subject?: string;
  readonly was?: string;
  readonly now?: string;
}

export function reasonJson({ code, detail, subject, was, now }: Reason): ReasonJson {
  return {
    code,
    detail,
    ...(subject === undefined ? {} : { subject }),
    ...(was === undefined ? {} : { was }),
    ...(now === undefined ? {} : { now }),
  };
}
