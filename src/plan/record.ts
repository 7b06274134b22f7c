// What is remembered of a node's last run.
import { join } from 'node:path';
import { plainName } from '../model/node.js';
import type { NodeRecord } from '../store/state.js';
import type { Workspace } from './workspace.js';

/** So long a way is gone from an intermediate to an output that tells which params it was made for. */
const MOST_USERS = 8;

/**
 * Of nodes their last runs, as far as a plan goes: with --matrix a node may have another name than without, and have been made under
 * that.
 */
export class LastRuns {
  readonly #workspace: Workspace;
  /** By plain name, the longer ones that there are records of. */
  #longer: ReadonlyMap<string, readonly string[]> | undefined;
  #users: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** @param key of its present action, where that is known */
  of(name: string, key: string | null): NodeRecord | undefined {
    return this.#find(name, key, 0);
  }

  #find(name: string, key: string | null, depth: number): NodeRecord | undefined {
    const { nodes } = this.#workspace.state;
    const own = nodes.get(name);
    if (own) return own;
    const plain = plainName(name);
    const others = plain === name ? (this.#longerNames().get(name) ?? []) : [plain];
    return others
      .map((other) => nodes.get(other))
      .find((record) => record && (record.key === key || this.#stands(name, record, depth)));
  }

  /** Whether a run gave what stands where the node has its output, or what its users were made of: then it was no run for other params. */
  #stands(name: string, { key }: NodeRecord, depth: number): boolean {
    const { graph, state } = this.#workspace;
    const output = graph.nodes.get(name)?.output;
    const [item] = state.traces.get(key)?.content ?? [];
    if (!item) return false;
    if (output !== undefined)
      return state.outputs.get(join(graph.manifest.outputDir, output))?.digest === item.digest;
    if (depth === MOST_USERS) return false;
    return (this.#usersOf().get(name) ?? []).some((user) =>
      this.#find(user, null, depth + 1)?.action?.inputs.some(({ digests }) => digests.includes(item.digest)),
    );
  }

  #usersOf(): ReadonlyMap<string, readonly string[]> {
    this.#users ??= users(this.#workspace.graph);
    return this.#users;
  }

  #longerNames(): ReadonlyMap<string, readonly string[]> {
    if (this.#longer) return this.#longer;
    const longer = new Map<string, string[]>();
    for (const name of this.#workspace.state.nodes.names()) {
      const plain = plainName(name);
      if (plain !== name) longer.set(plain, [...(longer.get(plain) ?? []), name]);
    }
    this.#longer = longer;
    return longer;
  }
}

function users({ nodes }: Workspace['graph']): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name, references } of nodes.values())
    for (const { node } of references) {
      const own = found.get(node);
      if (own) own.push(name);
      else found.set(node, [name]);
    }
  return found;
}

/** How long a node took when it was last made, ms; null when it never was: a run that failed is no measure. */
export function lastTook(record: NodeRecord | undefined): number | null {
  if (!record || (record.status === 'failed' && record.durationMs === 0)) return null;
  return record.durationMs;
}

/** What the programs of a node's last run printed. Absolute; the file need not exist. */
export function logFile({ paths }: Workspace, name: string): string {
  return join(paths.logs, `${name}.log`);
}

/** The same of the run that only looks whether it comes out the same. */
export function checkLogFile(workspace: Workspace, name: string): string {
  return logFile(workspace, `${name}.check`);
}

/** Names of the nodes that a file in the folder of logs may be of; none of a file that is no log. */
export function nodesOfLog(file: string): readonly string[] {
  const [, name, checked] = /^((.*?)(?:\.check)?)\.log$/s.exec(file) ?? [];
  return [name, checked].filter((one) => one !== undefined);
}
