// Reasons in words.
import type { Reason, ReasonCode } from '../model/plan.js';

const WORDS: Readonly<Record<ReasonCode, string>> = {
  'never-built': 'never built',
  'recipe-changed': 'recipe changed',
  'input-changed': 'input changed',
  'tool-changed': 'tool changed',
  'output-missing': 'output missing',
  'output-modified': 'output',
  forced: 'forced',
  'input-stale': 'input stale',
};

/** `recipe changed: to: raw -> qcow2` */
export function reasonText({ code, detail }: Reason): string {
  if (detail === '') return WORDS[code];
  // `output changed by hand`, `output not made by res`
  return code === 'output-modified' ? `${WORDS[code]} ${detail}` : `${WORDS[code]}: ${detail}`;
}

/**
 * In one line, for a table: the first reason, and how many more there are. That the inputs of what was never built are
 * stale too goes without saying; digests tell a reader nothing there.
 */
export function reasonsText(reasons: readonly Reason[]): string {
  const isNew = reasons.some(({ code }) => code === 'never-built');
  const [first, ...more] = reasons.filter(({ code }) => !isNew || code !== 'input-stale');
  if (!first) return '';
  const { code, detail, subject } = first;
  const text = reasonText({ code, detail: DIGEST.test(detail) && subject !== undefined ? subject : detail });
  return more.length === 0 ? text : `${text} (+${more.length})`;
}

const DIGEST = /\b(?:sha256|tree):[0-9a-f]/;

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
