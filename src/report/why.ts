// What `res why` says: the chain from the root cause down to the node, with old and new values.
import type { NodeState, Reason } from '../model/plan.js';
import { type Page, stateColours } from './paint.js';
import { type ReasonJson, reasonJson, reasonText } from './reasons.js';
import { oneLine } from './text.js';

export interface ExplanationLike {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly Reason[];
  readonly chain: readonly { readonly node: string; readonly reasons: readonly Reason[] }[];
}

export interface WhyJson {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly ReasonJson[];
  /** From the root cause to the node itself. */
  readonly chain: readonly { readonly node: string; readonly reasons: readonly ReasonJson[] }[];
}

export function whyJson({ node, state, reasons, chain }: ExplanationLike): WhyJson {
  return {
    node,
    state,
    reasons: reasons.map(reasonJson),
    chain: chain.map((link) => ({ node: link.node, reasons: link.reasons.map(reasonJson) })),
  };
}

const MEANING: Readonly<Record<NodeState, string>> = {
  fresh: 'there is nothing to do for it',
  cached: 'its content is known and at hand; a build puts it back without work',
  stale: 'a build would make it anew',
  modified: 'its output was changed by someone else; a build stops unless --overwrite is given',
  failed: 'its last run failed; a build tries again',
};

export function whyText({ node, state, chain }: ExplanationLike, page: Page): string[] {
  const head = `${page.paint('bold', node)} is ${page.paint(stateColours[state], state)}: ${MEANING[state]}`;
  const links = chain.filter(({ reasons }) => reasons.length > 0);
  if (links.length === 0) return [head];
  return [head, '', ...links.flatMap((link, depth) => linkText(link, depth, links.length > 1, page))];
}

function linkText(
  { node, reasons }: ExplanationLike['chain'][number],
  depth: number,
  named: boolean,
  page: Page,
): string[] {
  const indent = depth === 0 ? '' : `${'   '.repeat(depth - 1)}└─ `;
  const below = '   '.repeat(depth);
  const lines = named
    ? [`${indent}${page.paint('bold', node)}${depth === 0 ? ' (the root cause)' : ''}`]
    : [];
  const inner = named ? `${below}   ` : '';
  return [...lines, ...reasons.flatMap((reason) => reasonLines(reason).map((line) => `${inner}${line}`))];
}

function reasonLines(reason: Reason): string[] {
  const { was, now, subject, code } = reason;
  if (was === undefined || now === undefined) return [oneLine(reasonText(reason)), ...placeOf(reason)];
  return [
    `${oneLine(reasonText({ code, detail: subject ?? '' }))}`,
    ...list(was).map((line, i) => `  ${i === 0 ? 'was' : '   '}  ${line}`),
    ...list(now).map((line, i) => `  ${i === 0 ? 'now' : '   '}  ${line}`),
  ];
}

function placeOf({ subject, detail }: Reason): string[] {
  return subject === undefined || subject === detail || !subject.startsWith('/')
    ? []
    : [`  ${oneLine(subject)}`];
}

/** Digests of several files stand one a line. */
function list(value: string): string[] {
  const parts = value.split(' ');
  const digests = parts.every((part) => /^(?:sha256|tree):[0-9a-f]+$/.test(part));
  return (digests ? parts : [value === '' ? 'nothing' : value]).map(oneLine);
}
