// What is remembered of a node's last run.
import { join } from 'node:path';
import type { NodeRecord } from '../store/state.js';
import type { Workspace } from './workspace.js';

export function lastRun(workspace: Workspace, name: string): NodeRecord | undefined {
  return workspace.state.nodes.get(name);
}

/** What the programs of a node's last run printed. Absolute; the file need not exist. */
export function logFile({ paths }: Workspace, name: string): string {
  return join(paths.logs, `${name}.log`);
}
