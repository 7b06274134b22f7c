// What `res status` says: a row a node.
import type { Digest } from '../model/digest.js';
import type { NodePlan, NodeState, Plan, ReasonCode } from '../model/plan.js';
import { fold, moreText } from './fold.js';
import { formatBytes } from './format.js';
import { type Page, stateColours } from './paint.js';
import { reasonsText } from './reasons.js';
import { type Cell, table } from './table.js';

export interface StatusJson {
  readonly nodes: readonly StatusNodeJson[];
  readonly summary: Readonly<Record<NodeState, number>>;
}

export interface StatusNodeJson {
  readonly name: string;
  readonly kind: string;
  readonly state: NodeState;
  readonly reasons: readonly { readonly code: ReasonCode; readonly detail: string }[];
  readonly key: string | null;
  /** Whether the bytes are at hand. */
  readonly present: boolean;
  readonly outputs: readonly OutputJson[];
}

export interface OutputJson {
  /** Absolute; null while the content has no place of its own. */
  readonly path: string | null;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export function statusJson(plan: Plan): StatusJson {
  const nodes = [...plan.nodes.values()];
  return {
    nodes: nodes.map(({ name, kind, state, reasons, key, present, outputs }) => ({
      name,
      kind,
      state,
      reasons: reasons.map(({ code, detail }) => ({ code, detail })),
      key,
      present,
      outputs,
    })),
    summary: countStates(nodes),
  };
}

/** A row a node. Of a list that is long for a terminal, the counts and what is not fresh, what is worst first. */
export function statusText(plan: Plan, page: Page): string[] {
  const nodes = [...plan.nodes.values()];
  if (nodes.length === 0) return ['the manifest has no nodes'];
  const counts = Object.entries(countStates(nodes)).filter(([, n]) => n > 0);
  const summary = counts.map(([state, n]) => `${n} ${state}`).join(', ');
  if (nodes.length <= page.most) return [...nodesTable(nodes, page), '', summary];
  const worstFirst = WORST_FIRST.flatMap((state) => nodes.filter((node) => node.state === state));
  const { shown } = fold(worstFirst, page);
  return [
    summary,
    ...(shown.length === 0 ? [] : ['', ...nodesTable(shown, page), '']),
    ...moreText(nodes.length - shown.length, 'node', page),
  ];
}

const WORST_FIRST: readonly NodeState[] = ['failed', 'modified', 'stale', 'cached'];

function nodesTable(nodes: readonly NodePlan[], page: Page): string[] {
  return table(
    [
      { title: 'NODE', cut: 'middle' },
      { title: 'KIND', spare: true },
      { title: 'STATE' },
      { title: 'SIZE', align: 'right', spare: true },
      { title: 'WHERE, WHY', cut: 'end' },
    ],
    nodes.map((node) => [
      node.name,
      node.kind,
      { text: node.state, colour: stateColours[node.state] },
      sizeOf(node),
      whereOrWhy(node, page),
    ]),
    page,
  );
}

/** Whether all that was asked for is fresh. */
export function isFresh(plan: Plan): boolean {
  return plan.requested.every((name) => plan.nodes.get(name)?.state === 'fresh');
}

function countStates(nodes: readonly NodePlan[]): Record<NodeState, number> {
  const counts: Record<NodeState, number> = { fresh: 0, cached: 0, stale: 0, modified: 0, failed: 0 };
  for (const { state } of nodes) counts[state]++;
  return counts;
}

function sizeOf({ outputs }: NodePlan): string {
  return outputs.length === 0 ? '' : formatBytes(outputs.reduce((sum, { size }) => sum + size, 0));
}

function whereOrWhy(node: NodePlan, page: Page): Cell {
  if (node.failure !== undefined) return `last run failed: ${node.failure.split('\n', 1)[0]}`;
  const [first] = node.reasons;
  if (first?.code === 'output-modified') {
    const more = node.reasons.length > 1 ? ` (+${node.reasons.length - 1})` : '';
    return { text: `${first.detail}: ${page.path(first.subject ?? '')}${more}`, cut: 'middle' };
  }
  if (first) return reasonsText(node.reasons);
  const [path, ...others] = node.outputs.flatMap((output) =>
    output.path === null ? [] : [page.path(output.path)],
  );
  if (path === undefined) return node.state === 'fresh' && !node.present ? 'not needed now' : '';
  return others.length === 0 ? { text: path, cut: 'middle' } : `${path} and ${others.length} more`;
}
