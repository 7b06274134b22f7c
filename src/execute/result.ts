// The outcome of a build in the shape of its result line: every node of the closure in exactly one list.
import { closure } from '../graph/select.js';
import type { BuildResult } from '../model/event.js';
import type { Graph } from '../model/graph.js';

/** What happened to nodes; one that is in none was fresh. */
export interface Outcome {
  readonly ran: { has(node: string): boolean };
  readonly restored: { has(node: string): boolean };
  readonly failed: { has(node: string): boolean };
  readonly skipped: { has(node: string): boolean };
  readonly downloadedBytes: number;
}

/** @param started ms since 1970 */
export function buildResult(names: readonly string[], outcome: Outcome, started: number): BuildResult {
  const lists = { failed: [], skipped: [], ran: [], restored: [], fresh: [] } satisfies Record<
    string,
    string[]
  >;
  const of: Record<keyof typeof lists, string[]> = lists;
  for (const name of names) {
    const list =
      (['failed', 'skipped', 'ran', 'restored'] as const).find((at) => outcome[at].has(name)) ?? 'fresh';
    of[list].push(name);
  }
  return {
    ok: of.failed.length === 0 && of.skipped.length === 0,
    ...of,
    downloaded_bytes: outcome.downloadedBytes,
    duration_ms: Date.now() - started,
  };
}

const NOTHING: Outcome = {
  ran: new Set(),
  restored: new Set(),
  failed: new Set(),
  skipped: new Set(),
  downloadedBytes: 0,
};

/** The result of a build that found everything in its place. */
export function emptyResult(graph: Graph, requested: readonly string[], started: number): BuildResult {
  return buildResult(closure(graph, requested), NOTHING, started);
}
