// What is remembered of a node's last run.
import type { NodeRecord } from '../store/state.js';
import type { Workspace } from './workspace.js';

export function lastRun(workspace: Workspace, name: string): NodeRecord | undefined {
  return workspace.state.nodes.get(name);
}
