// What is known so far of the nodes of a build: their contents, and what follows from those of their inputs.
import type { Content } from '../model/content.js';
import type { Node } from '../model/node.js';
import { type Assessment, assess } from '../plan/assess.js';
import type { Workspace } from '../plan/workspace.js';

export class Known {
  readonly #workspace: Workspace;
  readonly #contents = new Map<string, Content>();

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  node(name: string): Node {
    const node = this.#workspace.graph.nodes.get(name);
    if (!node) throw new Error(`${name} is not in the graph`);
    return node;
  }

  content(name: string): Content | undefined {
    return this.#contents.get(name);
  }

  contents(): Iterable<readonly [string, Content]> {
    return this.#contents;
  }

  learn(name: string, content: Content): void {
    this.#workspace.shared?.lease(content.map(({ digest }) => digest));
    this.#contents.set(name, content);
  }

  /** Rejects as `assess` of the plan does. */
  assess(node: Node): Promise<Assessment> {
    return assess(this.#workspace, node, (input) => this.#contents.get(input) ?? null);
  }
}
