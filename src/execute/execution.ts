// A build under way: what must be known is found out, what must be there is brought or made, each node at most once.
// Two questions drive it, asked from the requested nodes down: what is the content of a node (`know`), and are its
// bytes where they should be (`obtain`). A node whose new content equals the old leaves everything above it alone.
import type { Content } from '../model/content.js';
import { isIntermediate, type Node, type Reference } from '../model/node.js';
import type { Assessment } from '../plan/assess.js';
import type { Fusion } from '../plan/fusion.js';
import { standsOn } from '../plan/leaning.js';
import { makerOf, makingBy } from '../plan/registry.js';
import { restore, type Site } from './accept.js';
import type { ArrivingSupply, ChainNode, Supply } from './action.js';
import { Arrival, Restarted } from './arrival.js';
import { type ArtifactOptions, Artifacts } from './artifact.js';
import { type FileSupply, letGoOf, pick, type Queues, runChain, streamedNodes } from './chain.js';
import { Known } from './known.js';
import { Ledger, type LedgerOptions, Unavailable } from './ledger.js';
import { Moves, type MovesOptions } from './moves.js';
import { Once, settleAll } from './once.js';
import { Pool } from './pools.js';
import { remoteFiles } from './resolve.js';
import { verifyShared } from './shared.js';
import { ifNotVanished } from './vanished.js';
import { workKey } from './work-key.js';

export interface ExecutionOptions extends LedgerOptions, MovesOptions, ArtifactOptions {
  /** Nodes that nobody asked for, whose outputs hold another variant and can be put right without work. */
  readonly outdated: readonly string[];
  /** Nodes that the plan has work for, inputs first. */
  readonly planned: readonly string[];
  readonly fusion: Fusion;
  /** What the plan found out of a node. */
  readonly assessed: (node: string) => Assessment | undefined;
  /** Whether the plan has nothing to do for a node. */
  readonly isFresh: (node: string) => boolean;
  readonly force: boolean;
  /** Bytes on disk that a node's output is expected to take, where that is known. */
  readonly expectedBytes: (node: string) => number | null;
}

/** Outputs on their way to their places at a time: an open file or two each. */
const PLACING = 64;

export class Execution {
  readonly #o: ExecutionOptions;
  readonly #known: Known;
  readonly #ledger: Ledger;
  readonly #moves: Moves;
  readonly #site: Site;
  readonly #artifacts: Artifacts;
  readonly #peeks = new Once<Content | null>();
  readonly #knows = new Once<Content>();
  readonly #makes = new Once<Content>();
  readonly #obtains = new Once<void>();
  readonly #listsOfSums = new Once<string | undefined>();
  readonly #placing = new Pool(PLACING);

  constructor(options: ExecutionOptions) {
    const { workspace, listener, signal } = options;
    this.#o = options;
    this.#known = new Known(workspace, options.assessed);
    this.#ledger = new Ledger(options, this.#known);
    this.#moves = new Moves(options, this.#known);
    this.#site = {
      workspace,
      known: this.#known,
      ledger: this.#ledger,
      moves: this.#moves,
      listener,
      signal,
      expectedBytes: options.expectedBytes,
    };
    this.#artifacts = new Artifacts(this.#site, options);
  }

  /** Brings every requested node up to date, and says what became of all. Only bugs reject. */
  async run(): Promise<Ledger> {
    const { requested, outdated, force, closure, planned, signal } = this.#o;
    const obtained = new Set([...requested, ...outdated]);
    const targets = force ? closure : [...obtained];
    const outcomes = await Promise.allSettled(
      targets.map(async (name) => {
        if (this.#o.isFresh(name) && !isIntermediate(this.#known.node(name))) this.#ledger.obtained.add(name);
        else if (obtained.has(name)) await this.#obtain(name);
        else if (!this.#streamsAway(name)) await this.#know(name);
      }),
    );
    await this.#makes.settled();
    await this.#ledger.settled();
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected' && !(outcome.reason instanceof Unavailable)) throw outcome.reason;
    }
    if (!signal.aborted) this.#ledger.skipUnreached(planned);
    await this.#moves.dropIntermediates((name) => this.#ledger.isAwaited(name));
    return this.#ledger;
  }

  /** Whether anything was done for a node. */
  hasTouched(name: string): boolean {
    return this.#ledger.ran.has(name) || this.#ledger.restored.has(name);
  }

  /** What a node has now, as far as that is known. */
  async outcomeOf(name: string): Promise<Pick<Assessment, 'key' | 'content'>> {
    const { key } = await this.#known.action(this.#known.node(name));
    return { key, content: this.#known.content(name) ?? null };
  }

  /** The bytes of a node: in the place of its output, or at hand for an intermediate. */
  #obtain(name: string): Promise<void> {
    return this.#obtains.do(name, async () => {
      const node = this.#known.node(name);
      await this.#ledger.guard(node, () => this.#bring(node));
      this.#ledger.obtained.add(name);
    });
  }

  async #bring(node: Node): Promise<void> {
    const by = makingBy(node);
    if (by === 'naming') {
      await settleAll(node.references.map((reference) => this.#obtain(reference.node)));
      return;
    }
    await settleAll(standsOn(node).map((name) => this.#obtain(name)));
    const content = await this.#know(node.name);
    if (this.#makes.has(node.name) || (await this.#moves.inPlace(node, content))) return;
    const isAtHand = await this.#moves.isAtHand(node, content);
    if (isAtHand && (await this.#restored(node, content))) return;
    if (by !== 'sharing') {
      await this.#make(node.name);
      return;
    }
    const input = this.#known.node(inputOf(node).node);
    await this.#obtain(input.name);
    const shared = await this.#contentOfInput(node);
    if (await this.#restored(node, shared)) return;
    await this.#make(input.name);
    if (!(await this.#restored(node, shared))) throw new Error(`${input.name} was made but is not at hand`);
  }

  /** Puts what is at hand in its place, if it has one; false when it is not at hand after all. */
  async #restored(node: Node, content: Content): Promise<boolean> {
    if (isIntermediate(node)) return true;
    const work = makingBy(node) === 'sharing' ? 'execute' : 'restore';
    const done = await ifNotVanished(this.#o.workspace, async () => {
      await restore(this.#site, node, content, work);
      return true;
    });
    return done ?? false;
  }

  /** What a node shares with its input. What a person had accepted instead, and has removed since, is given up. */
  async #contentOfInput(node: Node): Promise<Content> {
    const { traces } = this.#o.workspace.state;
    const { key } = await this.#known.action(node);
    if (key !== null && traces.get(key)?.asIs) traces.delete(key);
    const content = (await this.#known.assess(node)).content;
    if (!content) throw new Error(`${node.name} has nothing of its input`);
    this.#known.learn(node.name, content);
    return content;
  }

  /** The content of a node, found by its trace or else by making it. */
  #know(name: string): Promise<Content> {
    return this.#knows.do(name, async () => (await this.#peek(name)) ?? this.#make(name));
  }

  /** The content of a node if it can be known without making the node itself, or what streams into it. */
  #peek(name: string): Promise<Content | null> {
    return this.#peeks.do(name, () => {
      const node = this.#known.node(name);
      return this.#ledger.guard(node, async () => {
        const planned = this.#known.planned(name);
        if (!planned && (!(await this.#knowsInputs(node)) || this.#isForced(node))) return null;
        const content = planned ?? (await this.#known.assess(node)).content;
        if (content) this.#known.learn(name, content);
        return content;
      });
    });
  }

  /** Whether the contents of all inputs are known, those left out that would have to be made to stream into the node. */
  async #knowsInputs(node: Node): Promise<boolean> {
    const contents = await settleAll(
      node.references.map(({ node: input }) =>
        this.#o.fusion.joins(input, node.name) || this.#mayFlow(input, node)
          ? this.#peek(input)
          : this.#know(input),
      ),
    );
    return contents.every((content) => content !== null);
  }

  /** Makes or fetches a node, or checks what it is to share, whether or not that was done before. */
  #make(name: string): Promise<Content> {
    return this.#makes.do(name, () => {
      const node = this.#known.node(name);
      return this.#ledger.guard(node, async () => {
        const maker = makerOf(node);
        if (maker.is === 'source') return this.#artifacts.produce(node, await this.#sumsPath(node));
        const by = makingBy(node);
        if (by === 'naming') throw new Error(`${name} has no action of its own`);
        return by === 'sharing' ? this.#share(node) : this.#transform(node, maker.kind.pool);
      });
    });
  }

  async #share(node: Node): Promise<Content> {
    const sums = await this.#sumsPath(node);
    const input = inputOf(node);
    const supply = pick(input, await this.#filesOf(input.node));
    return this.#ledger.pooled('disk', node, () => verifyShared(this.#site, node, supply, sums));
  }

  async #transform(node: Node, pool: 'cpu' | 'disk'): Promise<Content> {
    const chain = await this.#chain(node);
    const { shared } = this.#o.workspace;
    if (!shared) return this.#run(chain, pool);
    return shared.alone(await workKey(this.#known, chain), this.#waiting(node), async () => {
      const made = this.#o.force ? undefined : await this.#madeElsewhere(chain);
      if (!made) return this.#run(chain, pool);
      letGoOf(this.#site, chain);
      return made;
    });
  }

  /** What another build, of this workspace's store, has made while this one came here. */
  async #madeElsewhere(chain: ChainNode): Promise<Content | undefined> {
    this.#o.workspace.shared?.refresh();
    const { node } = chain;
    for (const made of [...streamedNodes(chain), node]) {
      const { content } = await this.#known.assess(made);
      if (content) this.#known.learn(made.name, content);
    }
    const content = this.#known.content(node.name);
    if (!content || !(await this.#moves.isAtHand(node, content))) return undefined;
    return (await this.#restored(node, content)) ? content : undefined;
  }

  #waiting({ name }: Node) {
    const { requested, listener, signal } = this.#o;
    return {
      describe: `res build ${[...requested].join(' ')}`,
      onWait: (holder: string) =>
        listener({ type: 'notice', node: name, message: `waiting for ${holder}, which is making it` }),
      signal,
    };
  }

  async #run(chain: ChainNode, pool: 'cpu' | 'disk'): Promise<Content> {
    const { node } = chain;
    const sums = new Map<string, Promise<string | undefined>>();
    for (const made of [...streamedNodes(chain), node]) {
      const path = this.#sums(made);
      sums.set(made.name, path);
      // Before a place in the pool is taken: to make them may need it. What is fetched comes meanwhile.
      if (!this.#isFetched(made.verify)) await path;
    }
    const queues: Queues = {
      making: async (work) => {
        // That a download began anew is no failure, which would close the queues.
        const made = await this.#ledger.pooled(pool, node, () => work().catch(restarted));
        if (made instanceof Restarted) throw made;
        return made;
      },
      placing: (work) => this.#placing.run(this.#o.priority(node.name), work),
    };
    try {
      return await runChain(this.#site, chain, sums, queues);
    } catch (error) {
      if (!(error instanceof Restarted)) throw error;
      // By now it is there, or about to be: it is read when it is whole.
      return runChain(this.#site, await this.#chain(node), sums, queues);
    }
  }

  /** Makes the inputs' bytes ready and says where each comes from. */
  async #chain(node: Node): Promise<ChainNode> {
    // First in the queue: it is small, and what comes after it may be large.
    this.#sums(node);
    const inputs = node.references
      .filter(({ role }) => role !== 'sums')
      .map(async (reference) => {
        const supply = await this.#supply(node, reference.node);
        return { role: reference.role, node: reference.node, supply: pick(reference, supply) };
      });
    return { node, inputs: await settleAll(inputs) };
  }

  async #supply(consumer: Node, name: string): Promise<Supply> {
    const flows = this.#o.fusion.flows(name, consumer.name);
    if (!flows && !this.#o.fusion.joins(name, consumer.name)) return this.#filesOf(name);
    const input = this.#known.node(name);
    const content = this.#known.content(name);
    const holdings = content && !this.#isForced(input) ? await this.#moves.hold(input, content) : undefined;
    if (content && holdings) return { from: 'files', holdings, items: content };
    if (flows) return this.#makes.has(name) ? this.#filesOf(name) : this.#arriving(input);
    return { from: 'stream', chain: await this.#ledger.guard(input, () => this.#chain(input)) };
  }

  /**
   * Whether a download of unknown content is to be read while it comes. Not by a node that was made before: the content may
   * turn out to be what it was made of, and nothing need be done.
   */
  #mayFlow(input: string, consumer: Node): boolean {
    return this.#o.fusion.flows(input, consumer.name) && !this.#o.workspace.state.nodes.has(consumer.name);
  }

  /** A download, begun now, to be read while it comes. */
  #arriving(node: Node): ArrivingSupply {
    const files = remoteFiles(this.#o.workspace, node);
    const arrivals = files.map(() => new Arrival());
    const made = this.#makes.do(node.name, () =>
      this.#ledger.guard(node, async () =>
        this.#artifacts.produce(node, await this.#sumsPath(node), arrivals),
      ),
    );
    const whole = made.then(() => this.#filesOf(node.name));
    whole.then(
      ({ holdings, items }) => {
        for (const [i, arrival] of arrivals.entries())
          arrival.whole(holdings[i]?.path ?? '', items[i]?.size ?? 0);
      },
      (error: unknown) => {
        for (const arrival of arrivals) arrival.fail(error);
      },
    );
    return { from: 'arrival', files, arrivals, whole };
  }

  /** The bytes of a node in files, which stay where they are. */
  async #filesOf(name: string): Promise<FileSupply> {
    await this.#obtain(name);
    const node = this.#known.node(name);
    const items = await this.#know(name);
    const held = await this.#moves.hold(node, items);
    if (held) return { from: 'files', holdings: held, items };
    // Somebody took it between the two: it is made as if it had not been there.
    await this.#make(name);
    const holdings = await this.#moves.hold(node, items);
    if (!holdings) throw new Error(`${name} was obtained but is not at hand`);
    return { from: 'files', holdings, items };
  }

  /** `#sumsPath` on behalf of a node that is made: once, and its failure is the node's. */
  #sums(node: Node): Promise<string | undefined> {
    return this.#listsOfSums.do(node.name, () => this.#ledger.guard(node, () => this.#sumsPath(node)));
  }

  /** Whether a list of sums takes no place among what is made, nor does anything that it is held against itself. */
  #isFetched(verify: Node['verify']): boolean {
    if (!verify || !('sums' in verify)) return true;
    const node = this.#known.node(verify.sums);
    return node.section === 'artifact' && this.#isFetched(node.verify);
  }

  /** The list of sums that a node is held against, if there is one. */
  async #sumsPath({ references }: Node): Promise<string | undefined> {
    const list = references.find(({ role }) => role === 'sums');
    return list && pick(list, await this.#filesOf(list.node)).holdings[0]?.path;
  }

  /** Whether what is known of a node from before does not count. */
  #isForced(node: Node): boolean {
    if (!this.#o.force || this.#known.content(node.name)) return false;
    const by = makingBy(node);
    return by !== undefined && by !== 'naming' && by !== 'sharing';
  }

  /** Whether the node streams into its one user and is made with it. */
  #streamsAway(name: string): boolean {
    return this.#o.closure.some((consumer) => this.#o.fusion.joins(name, consumer));
  }
}

function restarted(error: unknown): Restarted {
  if (error instanceof Restarted) return error;
  throw error;
}

/** The one input of a node that shares its content. */
function inputOf(node: Node): Reference {
  const [input] = node.references;
  if (!input) throw new Error(`${node.name} has no input`);
  return input;
}
