// What is known so far of the nodes of a build: their contents, and what follows from those of their inputs.
import type { Content } from '../model/content.js';
import type { Node } from '../model/node.js';
import { type Assessment, assess } from '../plan/assess.js';
import type { Workspace } from '../plan/workspace.js';

export class Known {
  readonly #workspace: Workspace;
  readonly #contents = new Map<string, Content>();
  readonly #actions = new Map<string, Pick<Assessment, 'action' | 'key'>>();

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
    const before = this.#contents.get(name);
    // Made anew it gave something else, and so what follows from it is something else.
    if (before?.some(({ digest }, i) => digest !== content[i]?.digest)) this.#actions.clear();
    this.#workspace.shared?.lease(content.map(({ digest }) => digest));
    this.#contents.set(name, content);
  }

  /** What a node does with its inputs, once they are known. Rejects as `assess` of the plan does. */
  async action(node: Node): Promise<Pick<Assessment, 'action' | 'key'>> {
    const known = this.#actions.get(node.name);
    if (known) return known;
    const { action, key } = await this.assess(node);
    return { action, key };
  }

  /** Rejects as `assess` of the plan does. */
  async assess(node: Node): Promise<Assessment> {
    const assessment = await assess(this.#workspace, node, (input) => this.#contents.get(input) ?? null);
    const { action, key } = assessment;
    // That of an artifact says more once its content is known.
    if (key !== null && node.section === 'target') this.#actions.set(node.name, { action, key });
    return assessment;
  }
}
