// What is remembered of a node's last run.
import { join } from 'node:path';
import { plainName } from '../model/node.js';
import type { NodeRecord } from '../store/state.js';
import type { Workspace } from './workspace.js';

/**
 * Of nodes their last runs, as far as a plan goes: with --matrix a node may have another name than without, and have been made under
 * that.
 */
export class LastRuns {
  readonly #workspace: Workspace;
  /** By plain name, the longer ones that there are records of. */
  #longer: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** @param key of its present action, where that is known */
  of(name: string, key: string | null): NodeRecord | undefined {
    const { nodes } = this.#workspace.state;
    const own = nodes.get(name);
    if (own) return own;
    const plain = plainName(name);
    const others = plain === name ? (this.#longerNames().get(name) ?? []) : [plain];
    return others
      .map((other) => nodes.get(other))
      .find((record) => record && (record.key === key || this.#stands(name, record)));
  }

  /** Whether a run gave what stands where the node has its output: then it was no run for other params. */
  #stands(name: string, { key }: NodeRecord): boolean {
    const { graph, state } = this.#workspace;
    const output = graph.nodes.get(name)?.output;
    const [item] = state.traces.get(key)?.content ?? [];
    if (output === undefined || !item) return false;
    return state.outputs.get(join(graph.manifest.outputDir, output))?.digest === item.digest;
  }

  #longerNames(): ReadonlyMap<string, readonly string[]> {
    if (this.#longer) return this.#longer;
    const longer = new Map<string, string[]>();
    for (const [name] of this.#workspace.state.nodes.texts()) {
      const plain = plainName(name);
      if (plain !== name) longer.set(plain, [...(longer.get(plain) ?? []), name]);
    }
    this.#longer = longer;
    return longer;
  }
}

/** What the programs of a node's last run printed. Absolute; the file need not exist. */
export function logFile({ paths }: Workspace, name: string): string {
  return join(paths.logs, `${name}.log`);
}
