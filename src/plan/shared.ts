// A store that other workspaces use too.
import type { Trace } from '../model/action.js';

export class SharedStore {
  readonly root: string;
  readonly workspace: string;
  readonly actions: { get(key: string): Trace | undefined } = { get: () => undefined };

  constructor(root: string, workspace: string) {
    this.root = root;
    this.workspace = workspace;
  }
}
