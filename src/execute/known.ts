// What is known so far of the nodes of a build: their contents, and what follows from those of their inputs.
import type { Content } from '../model/content.js';
import type { Node } from '../model/node.js';
import { type Assessment, assess } from '../plan/assess.js';
import type { Workspace } from '../plan/workspace.js';

type Planned = (node: string) => Assessment | undefined;

export class Known {
  readonly #workspace: Workspace;
  readonly #contents = new Map<string, Content>();
  readonly #actions = new Map<string, Pick<Assessment, 'action' | 'key'>>();
  readonly #planned: Planned;
  /** Nodes made of one that turned out to have something else than the plan knew. */
  readonly #affected = new Set<string>();

  /** @param planned what the plan found out of nodes, which need not be found out again */
  constructor(workspace: Workspace, planned: Planned) {
    this.#workspace = workspace;
    this.#planned = (name) => (this.#affected.has(name) ? undefined : planned(name));
  }

  /** What the plan knows that a node has; null where it does not. */
  planned(name: string): Content | null {
    return this.#planned(name)?.content ?? null;
  }

  node(name: string): Node {
    const node = this.#workspace.graph.nodes.get(name);
    if (!node) throw new Error(`${name} is not in the graph`);
    return node;
  }

  content(name: string): Content | undefined {
    const planned = this.#contents.has(name) ? null : this.planned(name);
    // Who uses a shared store says what he counts on before he looks for it.
    if (planned) this.learn(name, planned);
    return this.#contents.get(name);
  }

  /** Of the nodes that came up. */
  contents(): Iterable<readonly [string, Content]> {
    return this.#contents;
  }

  learn(name: string, content: Content): void {
    const before = this.#contents.get(name) ?? this.planned(name);
    // Made anew it gave something else, and so what follows from it is something else.
    if (before?.some(({ digest }, i) => digest !== content[i]?.digest)) {
      this.#actions.clear();
      this.#affect(name);
    }
    this.#workspace.shared?.lease(content.map(({ digest }) => digest));
    this.#contents.set(name, content);
  }

  #affect(changed: string): void {
    const { nodes, order } = this.#workspace.graph;
    for (const name of order)
      if (nodes.get(name)?.references.some(({ node }) => node === changed || this.#affected.has(node)))
        this.#affected.add(name);
  }

  /** What a node does with its inputs, once they are known. Rejects as `assess` of the plan does. */
  async action(node: Node): Promise<Pick<Assessment, 'action' | 'key'>> {
    const known = this.#actions.get(node.name);
    if (known) return known;
    const planned = this.#planned(node.name);
    // Of a node that was taken as it was, the plan knows no more than what it has.
    if (node.section === 'target' && planned?.action) return planned;
    const { action, key } = await this.assess(node);
    return { action, key };
  }

  /** Rejects as `assess` of the plan does. */
  async assess(node: Node): Promise<Assessment> {
    const assessment = await assess(this.#workspace, node, (input) => this.content(input) ?? null);
    const { action, key } = assessment;
    // That of an artifact says more once its content is known.
    if (key !== null && node.section === 'target') this.#actions.set(node.name, { action, key });
    return assessment;
  }
}
