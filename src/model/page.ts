// What a page in a browser knows of a graph: the data that src/report writes into it and src/web reads there.

/** A node as pages show it. */
export interface PageNode {
  readonly name: string;
  readonly kind: string;
  readonly section: 'artifact' | 'target';
  /** A word of PageState; null where it is not known. */
  readonly state: PageState | null;
  /** Bytes; null while not known. */
  readonly size: number | null;
  /** Milliseconds that the last run took; null when it never ran. */
  readonly ms: number | null;
  readonly inputs: readonly { readonly role: string; readonly node: string }[];
  /** What else is known of it, in the order in which it is shown. */
  readonly facts: readonly PageFact[];
}

/** A label, and its values one a line. */
export type PageFact = readonly [label: string, ...values: string[]];

/** What a plan says of a node, and what becomes of it in a build. */
export type PageState =
  | 'fresh'
  | 'cached'
  | 'stale'
  | 'modified'
  | 'failed'
  | 'waiting'
  | 'running'
  | 'ran'
  | 'restored'
  | 'skipped'
  | 'unfinished';

/** What stands for several: the state that most needs to be seen, first. */
export const STATES_BY_WEIGHT: readonly PageState[] = [
  'failed',
  'modified',
  'running',
  'unfinished',
  'skipped',
  'stale',
  'waiting',
  'ran',
  'restored',
  'cached',
  'fresh',
];

export function weightiest(states: Iterable<PageState | null>): PageState | null {
  const present = new Set(states);
  return STATES_BY_WEIGHT.find((state) => present.has(state)) ?? null;
}

/** `3 stale, 80 fresh`: how many there are of each state; empty where none is known. */
export function stateCounts(states: readonly (PageState | null)[]): string {
  const counts = new Map<PageState, number>();
  for (const state of states) if (state !== null) counts.set(state, (counts.get(state) ?? 0) + 1);
  return STATES_BY_WEIGHT.flatMap((state) => {
    const n = counts.get(state);
    return n === undefined ? [] : [`${n} ${state}`];
  }).join(', ');
}
