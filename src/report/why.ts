// What `res why` says: the chain from the root cause down to the node, with old and new values.
import type { NodeState, Reason } from '../model/plan.js';
import { fold, moreText } from './fold.js';
import { type Page, stateColours } from './paint.js';
import { type ReasonJson, reasonJson, reasonText } from './reasons.js';
import { hang, oneLine, prose } from './text.js';

export interface ExplanationLike {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly Reason[];
  readonly failure?: string | undefined;
  readonly chain: readonly { readonly node: string; readonly reasons: readonly Reason[] }[];
}

export interface WhyJson {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly ReasonJson[];
  /** What its last run failed with; null unless the state is `failed`. */
  readonly error: string | null;
  /** From the root cause to the node itself. */
  readonly chain: readonly { readonly node: string; readonly reasons: readonly ReasonJson[] }[];
}

export function whyJson({ node, state, reasons, failure, chain }: ExplanationLike): WhyJson {
  return {
    node,
    state,
    reasons: reasons.map(reasonJson),
    error: failure ?? null,
    chain: chain.map((link) => ({ node: link.node, reasons: link.reasons.map(reasonJson) })),
  };
}

const MEANING: Readonly<Record<NodeState, string>> = {
  fresh: 'there is nothing to do for it',
  cached: 'its content is at hand; a build puts it back without work',
  stale: 'a build would make it anew',
  modified: 'its output was changed by someone else; a build stops unless --overwrite is given',
  failed: 'its last run failed; a build tries again',
};

export function whyText({ node, state, reasons, failure, chain }: ExplanationLike, page: Page): string[] {
  const isNew = reasons.some(({ code }) => code === 'never-built');
  const meaning = state === 'stale' && isNew ? 'a build would make it' : MEANING[state];
  const head = hang(
    `${page.paint('bold', node)} is ${page.paint(stateColours[state], state)}: `,
    meaning,
    page.width,
    2,
  );
  const links = chain.filter((link) => link.reasons.length > 0);
  if (failure !== undefined) head.push('', ...prose(`last run failed: ${failure}`, page.width));
  // What failed and was not made before has no other reason.
  if (links.length === 0 || (failure !== undefined && links.length === 1 && isNew)) return head;
  return [...head, '', ...links.flatMap((link, depth) => linkText(link, depth, links.length > 1, page))];
}

/** Of one node, on a terminal: the chain below is to be seen too. */
const MOST_REASONS = 10;

function linkText(
  { node, reasons }: ExplanationLike['chain'][number],
  depth: number,
  named: boolean,
  page: Page,
): string[] {
  const indent = depth === 0 ? '' : `${'   '.repeat(depth - 1)}└─ `;
  const inner = named ? `${'   '.repeat(depth)}   ` : '';
  const lines = named
    ? [`${indent}${page.paint('bold', node)}${depth === 0 ? ' (the root cause)' : ''}`]
    : [];
  const { shown, more } = fold(reasons, page, MOST_REASONS);
  return [
    ...lines,
    ...shown.flatMap((reason) =>
      reasonLines(reason).flatMap(([lead, text]) => hang(inner + lead, text, page.width, inner.length + 2)),
    ),
    ...moreText(more, 'reason', page).map((line) => inner + line),
  ];
}

/** Each with what stands before it. */
function reasonLines(reason: Reason): [lead: string, text: string][] {
  const { was, now, subject, code } = reason;
  if (was === undefined || now === undefined) return [['', oneLine(reasonText(reason))], ...placeOf(reason)];
  return [
    ['', oneLine(reasonText({ code, detail: subject ?? '' }))],
    ...values('was', was),
    ...values('now', now),
  ];
}

function placeOf({ subject, detail }: Reason): [string, string][] {
  return subject === undefined || subject === detail || !subject.startsWith('/')
    ? []
    : [['  ', oneLine(subject)]];
}

/** Digests of several files stand one a line, and are cut: JSON has them whole. */
function values(word: string, value: string): [string, string][] {
  const parts = value.split(' ');
  const digests = parts.every((part) => DIGEST.test(part));
  const lines = digests
    ? parts.map((part) => part.replace(DIGEST, '$1:$2…'))
    : [oneLine(value === '' ? 'nothing' : value)];
  return lines.map((line, i) => [`  ${i === 0 ? word : '   '}  `, line]);
}

/** Digits enough to compare by eye. */
const DIGEST = /^(sha256|tree):([0-9a-f]{12})[0-9a-f]+$/;
