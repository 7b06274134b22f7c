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

/** What the live page is told, one message an event of its stream. */
export type LiveMessage =
  /** All there is to know at the moment: the first message of a connection. */
  | { readonly type: 'snapshot'; readonly live: LiveState }
  | { readonly type: 'begun'; readonly text: string }
  | { readonly type: 'count'; readonly done: number; readonly total: number }
  | { readonly type: 'states'; readonly states: Readonly<Record<string, PageState>> }
  /** A node that runs, or has come further. */
  | { readonly type: 'run'; readonly run: LiveRun }
  | { readonly type: 'run-ended'; readonly node: string }
  | { readonly type: 'line'; readonly line: LiveLine }
  /** `hasReport`: whether there is a build that left a record. */
  | { readonly type: 'ended'; readonly text: string; readonly hasReport: boolean }
  /** The manifest is another one by now: the page shows what no longer is. */
  | { readonly type: 'reload' };

export interface LiveState {
  readonly building: boolean;
  /** What is or was built, and how that went. */
  readonly text: string;
  readonly done: number;
  readonly total: number;
  readonly states: Readonly<Record<string, PageState>>;
  readonly runs: readonly LiveRun[];
  /** The last ones. */
  readonly lines: readonly LiveLine[];
  readonly hasReport: boolean;
}

export interface LiveRun {
  readonly node: string;
  readonly detail: string;
  /** From 0 to 1; null while not known. */
  readonly share: number | null;
  readonly text: string;
}

export interface LiveLine {
  readonly node: string | null;
  readonly kind: 'info' | 'output' | 'warning' | 'error';
  readonly text: string;
}

/** Lines of the log that are kept. */
export const LIVE_LINES = 500;

/** What the page asks the server for. */
export interface LiveBuildRequest {
  /** Empty: what `res ui` was asked for. */
  readonly nodes: readonly string[];
  readonly force: boolean;
}

/** The graph drawn anew, with what is known of its nodes after a build. */
export interface LiveGraph {
  readonly nodes: readonly PageNode[];
  /** The part of the page that shows it, as markup. */
  readonly markup: string;
}

/** Of the live page. */
export interface LivePageData {
  readonly token: string;
  readonly nodes: readonly PageNode[];
}
