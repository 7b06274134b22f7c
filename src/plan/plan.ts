// Graph and traces to a plan: the state of every node, why, and the steps that a build would take. Nothing is asked of
// the outside and nothing is written but the stat cache.

import { closure } from '../graph/select.js';
import { type Content, contentSize } from '../model/content.js';
import type { Graph } from '../model/graph.js';
import { lockedItem } from '../model/lock.js';
import { isIntermediate, type Node, plainName } from '../model/node.js';
import type { BlockedOutput, NodePlan, NodeState, Plan, Reason, Step } from '../model/plan.js';
import type { NodeRecord } from '../store/state.js';
import { type Assessment, artifactContent, assess, pinnedEntry, traceOf } from './assess.js';
import { type Fusion, planFusion } from './fusion.js';
import { standsOn } from './leaning.js';
import {
  Holdings,
  hasMode,
  holds,
  holdsContent,
  leftovers,
  mayLeave,
  type Occupant,
  type OutputPath,
  occupantOf,
  outputPaths,
  type Placement,
  shouldBeExecutable,
} from './places.js';
import { differences } from './reasons.js';
import { LastRuns, lastTook } from './record.js';
import { makerOf, makingBy } from './registry.js';
import { contentInOrder, Settled } from './settled.js';
import { keepFindings, type Workspace } from './workspace.js';

export interface PlanOptions {
  /** Count every target as stale. */
  readonly force?: boolean;
  /** Of an intermediate that is in order, do not look whether its bytes are at hand. */
  readonly brief?: boolean;
  /**
   * Take a node as it was when all was in order, where its file and its inputs are as they were then. The plan of such a node has no
   * action.
   */
  readonly quick?: boolean;
}

/** A plan with what execute/ needs beside it. */
export interface DetailedPlan extends Plan {
  /** Of the nodes that were looked into. */
  readonly placements: ReadonlyMap<string, readonly Placement[]>;
  /** What was found out of a node, or is on record of one that is in order. */
  readonly assessed: (node: string) => Assessment | undefined;
  readonly fusion: Fusion;
  /** What the plan took as it was; all else was looked into. */
  readonly settled: Vouched | undefined;
}

/** What was in order before, with those nodes of which that still holds. */
interface Vouched {
  readonly settled: Settled;
  readonly vouches: (name: string) => boolean;
}

/**
 * @param requested names of nodes, groups taken apart already
 * @throws ResError for a missing `path` file, and for a pin that contradicts the lock
 */
export async function planNodes(
  workspace: Workspace,
  requested: readonly string[],
  options: PlanOptions = {},
): Promise<DetailedPlan> {
  return new Planner(workspace, requested, options).run();
}

/**
 * Names what a plan follows from beside the files that it looks at: while that is the same, another plan would be the same too.
 * Undefined where others may change more than that.
 */
export function planBasis({ state, lock, shared }: Workspace): string | undefined {
  const [traces, outputs] = [state.traces.position, state.outputs.position];
  if (shared || traces === undefined || outputs === undefined) return undefined;
  return JSON.stringify([traces, outputs, [...lock]]);
}

/** Where a node's bytes are: all where they should be, or somewhere. */
interface Found {
  readonly inPlace: boolean;
  /** True of what is in place, too. */
  readonly atHand: boolean;
}

class Planner {
  readonly #workspace: Workspace;
  readonly #graph: Graph;
  readonly #requested: readonly string[];
  readonly #closure: readonly string[];
  readonly #force: boolean;
  readonly #quick: boolean;
  readonly #brief: boolean;
  readonly #fusion: Fusion;
  readonly #holdings: Holdings;
  readonly #runs: LastRuns;
  readonly #assessed = new Map<string, Assessment>();
  /** Nodes that are in order as they were, and their keys. */
  readonly #vouched = new Map<string, string>();
  readonly #placements = new Map<string, readonly Placement[]>();
  readonly #steps = new Map<string, Step>();
  readonly #present = new Map<string, boolean>();
  readonly #placed = new Map<string, boolean>();
  /** Nodes whose bytes a build would have to get. */
  readonly #wanted = new Set<string>();
  /** Nodes that are made with their user. */
  readonly #streamed = new Set<string>();

  constructor(workspace: Workspace, requested: readonly string[], options: PlanOptions) {
    this.#workspace = workspace;
    this.#runs = new LastRuns(workspace);
    this.#graph = workspace.graph;
    this.#requested = requested;
    this.#closure = closure(workspace.graph, requested);
    this.#force = options.force ?? false;
    this.#quick = !this.#force && (options.quick ?? false);
    this.#brief = options.brief ?? false;
    this.#fusion = planFusion(workspace.graph, this.#closure, new Set(requested));
    this.#holdings = new Holdings(workspace);
  }

  async run(): Promise<DetailedPlan> {
    const contentOf = (name: string) => this.#content(name);
    const settled = this.#quick ? Settled.read(this.#workspace, this.#closure) : undefined;
    /** Nodes that have not what they had. */
    const changed = new Set<string>();
    for (const [i, name] of this.#closure.entries()) {
      const node = this.#node(name);
      if (settled?.holds(i, node) && !node.references.some((input) => changed.has(input.node))) {
        this.#vouched.set(name, settled.key(i));
        continue;
      }
      // Of most nodes there is nothing to wait for, and in a large graph waiting for nothing takes most of the time.
      const assessed = assess(this.#workspace, node, contentOf);
      const assessment = assessed instanceof Promise ? await assessed : assessed;
      this.#assessed.set(name, assessment);
      if (settled && (assessment.content === null || assessment.key !== settled.key(i))) changed.add(name);
      if (isIntermediate(node)) continue;
      const looked = this.#look(node, assessment.content);
      this.#placements.set(name, looked instanceof Promise ? await looked : looked);
    }
    await this.#wantAll(this.#requested);
    for (const name of this.#closure) if (this.#outdated(name)) await this.#putRight(name);
    // Users first: what streams into one of them is made with it.
    for (const name of this.#closure.toReversed())
      if (this.#forced(name) && !this.#streamed.has(name)) await this.#produce(name);
    const nodes = new Map<string, NodePlan>();
    for (const name of this.#closure) {
      const key = this.#vouched.get(name);
      if (key !== undefined && (this.#brief || this.#node(name).output !== undefined)) {
        nodes.set(name, new InOrder(this.#workspace, this.#node(name), key, contentOf));
        continue;
      }
      const placed = this.#inPlace(name);
      const inPlace = placed instanceof Promise ? await placed : placed;
      const found = { inPlace, atHand: inPlace || (await this.#atHand(name)) };
      nodes.set(name, this.#describe(name, found, nodes));
    }
    const steps = this.#closure.flatMap((name) => {
      const step = this.#steps.get(name);
      return step ? [{ ...step, reasons: nodes.get(name)?.reasons ?? [] }] : [];
    });
    await keepFindings(this.#workspace);
    return {
      requested: this.#requested,
      nodes,
      steps,
      blocked: this.#blocked(steps),
      placements: this.#placements,
      assessed: (name) => {
        this.#content(name);
        return this.#assessed.get(name);
      },
      fusion: this.#fusion,
      settled: settled && { settled, vouches: (name) => this.#vouched.has(name) },
    };
  }

  #content(name: string): Content | null {
    const assessed = this.#assessed.get(name);
    if (assessed) return assessed.content;
    const key = this.#vouched.get(name);
    if (key === undefined) return null;
    const content = contentInOrder(this.#workspace, this.#node(name), key);
    this.#assessed.set(name, { action: null, key, content });
    return content;
  }

  #isKnown(name: string): boolean {
    return this.#vouched.has(name) || this.#content(name) !== null;
  }

  #blocked(steps: readonly Step[]): readonly BlockedOutput[] {
    const touched = new Set([...steps.map(({ node }) => node), ...this.#requested]);
    return [...touched].flatMap((node) =>
      (this.#placements.get(node) ?? []).flatMap(({ path, occupant: { is } }): BlockedOutput[] =>
        is === 'changed' || is === 'foreign' ? [{ node, path, is }] : [],
      ),
    );
  }

  #look(node: Node, content: Content | null): readonly Placement[] | Promise<readonly Placement[]> {
    const [first, ...others] = outputPaths(this.#workspace, node, content);
    if (first === undefined) return [];
    if (others.length > 0) return this.#lookAtAll([first, ...others]);
    const occupant = occupantOf(this.#workspace, first.path, first.item);
    const placed = (found: Occupant) => [{ ...first, occupant: found }];
    return occupant instanceof Promise ? occupant.then(placed) : placed(occupant);
  }

  async #lookAtAll(outputs: readonly OutputPath[]): Promise<readonly Placement[]> {
    const placements: Placement[] = [];
    for (const output of outputs)
      placements.push({ ...output, occupant: await occupantOf(this.#workspace, output.path, output.item) });
    return placements;
  }

  #forced(name: string): boolean {
    if (!this.#force) return false;
    const by = makingBy(this.#node(name));
    return by !== undefined && by !== 'naming' && by !== 'sharing';
  }

  /** Whether the outputs hold just what they should. True for an intermediate only when its bytes are at hand. */
  #inPlace(name: string): boolean | Promise<boolean> {
    const known = this.#placed.get(name);
    if (known !== undefined) return known;
    const node = this.#node(name);
    if (node.output !== undefined && this.#vouched.has(name)) return true;
    const placements = this.#placements.get(name);
    if (!placements) return this.#atHand(name);
    const content = this.#content(name);
    const hold =
      content != null &&
      content.length === placements.length &&
      placements.every(({ item, occupant }) => holds(node, item, occupant));
    if (hold && mayLeave(this.#workspace, node, placements)) return this.#isTidy(node, content);
    this.#placed.set(name, hold);
    return hold;
  }

  async #isTidy(node: Node, content: Content): Promise<boolean> {
    const isTidy = (await leftovers(this.#workspace, node, content)).length === 0;
    this.#placed.set(node.name, isTidy);
    return isTidy;
  }

  #atHand(name: string): boolean | Promise<boolean> {
    const known = this.#present.get(name);
    if (known !== undefined) return known;
    const content = this.#content(name);
    // Files of the workspace are where they were found.
    if (content && !isOfWorkspace(this.#node(name))) return this.#find(name, content);
    this.#present.set(name, content != null);
    return content != null;
  }

  /** As `Holdings.findAll`, once for each node of a chain of those that share. */
  async #find(name: string, content: Content): Promise<boolean> {
    const passed: string[] = [];
    let found: boolean | undefined;
    for (let at = name; found === undefined; ) {
      const node = this.#node(at);
      const held = await this.#holdings.findOwn(node, content);
      const input = held ? undefined : sharedInput(node);
      const same = input !== undefined && isSame(this.#content(input), content);
      if (held) found = true;
      else if (input === undefined) found = false;
      // A person had another content accepted than the one that it shares.
      else if (!same) found = (await this.#holdings.findAll(node, content)) !== undefined;
      else {
        found = this.#present.get(input);
        if (found === undefined && isOfWorkspace(this.#node(input))) found = true;
      }
      passed.push(at);
      at = input ?? at;
    }
    for (const each of passed) this.#present.set(each, found);
    return found;
  }

  /**
   * Whether an output path holds what res made there for another variant or an older recipe, or nothing any more: a
   * build that was killed while it exchanged the two leaves it empty.
   */
  #outdated(name: string): boolean {
    return (this.#placements.get(name) ?? []).some(({ path, item, occupant }) => {
      if (item === null) return false;
      if (occupant.is === 'absent') return this.#workspace.state.outputs.get(path) !== undefined;
      return occupant.is === 'ours' && occupant.digest !== item.digest;
    });
  }

  /** Nobody needs the node's bytes, but a file of another variant beside the new ones would mislead: where it costs no work, it is exchanged. */
  async #putRight(name: string): Promise<void> {
    if (!this.#wanted.has(name) && (await this.#atHand(name))) await this.#wantAll([name]);
  }

  /**
   * The nodes' bytes are needed: in their output's place, or else at hand. One after the other, and not each by the one before:
   * chains are long.
   */
  async #wantAll(names: readonly string[]): Promise<void> {
    const waiting = names.toReversed();
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (this.#wanted.has(name)) continue;
      this.#wanted.add(name);
      if (this.#isKnown(name) && !this.#forced(name)) {
        const inPlace = this.#inPlace(name);
        const isThere = inPlace instanceof Promise ? await inPlace : inPlace;
        if (isThere || (await this.#atHand(name))) {
          if (!isThere) this.#addMove(name);
          waiting.push(...standsOn(this.#node(name)));
          continue;
        }
      }
      const needed = await this.#make(name);
      for (let i = needed.length - 1; i >= 0; i--) waiting.push(needed[i] ?? '');
    }
  }

  async #produce(name: string): Promise<void> {
    this.#wanted.add(name);
    await this.#wantAll(await this.#make(name));
  }

  /** Adds the step that makes a node, and gives what is needed for it. */
  async #make(name: string): Promise<readonly string[]> {
    if (this.#steps.has(name)) return [];
    const node = this.#node(name);
    const inputs = node.references.map((reference) => reference.node);
    const maker = makerOf(node);
    if (maker.is === 'source') {
      const found = artifactContent(this.#workspace, node, maker.source);
      const content = found instanceof Promise ? await found : found;
      // What is at hand and yet to be produced is only to be verified.
      const held = content && (await this.#holdings.findAll(node, content));
      this.#addStep(name, held ? 'execute' : 'download', []);
      return inputs;
    }
    const by = makingBy(node);
    if (by === 'naming') return inputs;
    if (by === 'sharing') {
      this.#addMove(name);
      return inputs;
    }
    const { through, needed } = await this.#gather(name);
    this.#addStep(name, 'execute', through);
    return needed;
  }

  /** What an action needs, and the intermediates that stream through it, first one first. */
  async #gather(name: string): Promise<{ through: readonly string[]; needed: readonly string[] }> {
    const through: string[] = [];
    const needed: string[] = [];
    /** The nodes that stream into each other, from the action down, and how many of their inputs are done. */
    const open = [{ name, inputs: this.#node(name).references, done: 0 }];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const input = top.inputs[top.done++]?.node;
      if (input === undefined) {
        open.pop();
        if (top.name !== name) through.push(top.name);
      } else if (
        this.#fusion.joins(input, top.name) &&
        (this.#forced(input) || !(await this.#atHand(input)))
      ) {
        this.#wanted.add(input);
        this.#streamed.add(input);
        open.push({ name: input, inputs: this.#node(input).references, done: 0 });
      } else {
        needed.push(input);
      }
    }
    return { through, needed };
  }

  /** What is known is brought to its place. To a node that shares what its input has, that is the work that it is there for. */
  #addMove(name: string): void {
    this.#addStep(name, makingBy(this.#node(name)) === 'sharing' ? 'execute' : 'restore', []);
  }

  #addStep(name: string, work: Step['work'], through: readonly string[]): void {
    const node = this.#node(name);
    const record = this.#lastRun(name);
    this.#steps.set(name, {
      node: name,
      work,
      reasons: [],
      through,
      downloadBytes: work === 'download' ? this.#downloadBytes(node) : 0,
      writeBytes: this.#writeBytes(node, work),
      expectedMs: work === 'execute' ? lastTook(record) : null,
    });
  }

  #downloadBytes(node: Node): number | null {
    const maker = makerOf(node);
    const entry = maker.is === 'source' ? pinnedEntry(this.#workspace, node, maker.source) : undefined;
    if (!entry) return null;
    let bytes = 0;
    for (const file of entry.files) {
      if (file.size === undefined) return null;
      const item = lockedItem(file);
      if (item && this.#workspace.store.has(item.digest, item.type)) continue;
      bytes += file.size;
    }
    return bytes;
  }

  /** What is known without a look at any content: what its kind can tell from its inputs is asked for in execute/. */
  #writeBytes(node: Node, work: Step['work']): number | null {
    if (work === 'download') return this.#downloadBytes(node);
    // What an artifact has that is only to be verified is there.
    if (work === 'restore' || makerOf(node).is === 'source' || makingBy(node) === 'sharing') return 0;
    const content = this.#content(node.name);
    const key = this.#assessed.get(node.name)?.key;
    if (!content) return null;
    const onDisk = key == null ? undefined : traceOf(this.#workspace, key)?.diskBytes;
    return onDisk ?? contentSize(content);
  }

  #describe(name: string, found: Found, done: ReadonlyMap<string, NodePlan>): NodePlan {
    const node = this.#node(name);
    const content = this.#content(name);
    const { action, key } = this.#assessed.get(name) ?? { action: null, key: null };
    const placements = this.#placements.get(name) ?? [];
    const { state, reasons } = this.#judge(node, { action, key, content }, placements, found, done);
    const outputs = (content ?? []).map((item, i) => ({
      path: placements[i]?.path ?? null,
      digest: item.digest,
      size: item.size,
    }));
    const failure = state === 'failed' ? this.#failure(name) : undefined;
    const known = {
      name,
      kind: node.kind,
      state,
      reasons,
      key,
      action,
      content,
      present: found.atHand,
      outputs,
    };
    return failure === undefined ? known : { ...known, failure };
  }

  #judge(
    node: Node,
    { action, key, content }: Assessment,
    placements: readonly Placement[],
    { inPlace, atHand }: Found,
    done: ReadonlyMap<string, NodePlan>,
  ): { state: NodeState; reasons: readonly Reason[] } {
    const { name } = node;
    const blocked = placements.filter(
      ({ occupant }) => occupant.is === 'changed' || occupant.is === 'foreign',
    );
    if (blocked.length > 0) return { state: 'modified', reasons: blocked.map(modifiedReason) };
    if (makingBy(node) === 'naming') return judgeGroup(node, done);
    if (this.#forced(name)) return { state: 'stale', reasons: [{ code: 'forced', detail: 'asked for' }] };
    // Said before the record is asked for: of most nodes it need not even be read.
    if (content && (inPlace || (placements.length === 0 && !this.#steps.has(name))))
      return judgeStanding(node, done);
    const record = this.#lastRun(name);
    const failed = record?.status === 'failed' && (key === null ? record.key === '' : record.key === key);
    if (!content) {
      const reasons = this.#whyUnknown(node, action, done);
      return { state: failed ? 'failed' : 'stale', reasons };
    }
    const changes = record?.action && action ? differences(node, record.action, action) : [];
    const made =
      record !== undefined && (record.status === 'done' || this.#workspace.state.traces.has(record.key));
    const reasons: readonly Reason[] =
      changes.length > 0
        ? changes
        : [
            modeReason(node, placements) ??
              this.#missingReason(placements, made, failed ? this.#failure(name) : undefined),
          ];
    if (atHand) return { state: 'cached', reasons };
    return { state: failed ? 'failed' : 'stale', reasons };
  }

  #lastRun(name: string): NodeRecord | undefined {
    return this.#runs.of(name, this.#assessed.get(name)?.key ?? null);
  }

  /** What the last run of a node failed with, without the name of the node before it. */
  #failure(name: string): string | undefined {
    const error = this.#lastRun(name)?.error;
    const named = [name, plainName(name)].find((each) => error?.startsWith(`${each}: `));
    return named === undefined ? error : error?.slice(named.length + 2);
  }

  #missingReason(placements: readonly Placement[], built: boolean, failure: string | undefined): Reason {
    if (!built) return neverBuilt(failure);
    const missing = placements.find(({ occupant }) => occupant.is === 'absent');
    return {
      code: 'output-missing',
      detail: missing ? 'its file is gone' : 'its bytes are gone',
      ...(missing ? { subject: missing.path } : {}),
    };
  }

  #whyUnknown(
    node: Node,
    action: Assessment['action'],
    done: ReadonlyMap<string, NodePlan>,
  ): readonly Reason[] {
    const record = this.#lastRun(node.name);
    const stale = node.references
      .filter(({ node: input }) => done.get(input)?.content === null)
      .map(({ node: input }): Reason => ({ code: 'input-stale', detail: input, subject: input }));
    const failure = record?.status === 'failed' ? this.#failure(node.name) : undefined;
    if (!record || (record.action === null && record.status === 'failed')) {
      return [neverBuilt(failure), ...stale];
    }
    if (stale.length > 0) return stale;
    const changes = record.action && action ? differences(node, record.action, action) : [];
    return changes.length > 0 ? changes : [neverBuilt(failure)];
  }

  #node(name: string): Node {
    const node = this.#graph.nodes.get(name);
    if (!node) throw new Error(`${name} is not in the graph`);
    return node;
  }
}

/** The plan of a node that is as it was when it was in order; what it has is read from the records only when that is asked for. */
class InOrder implements NodePlan {
  readonly state = 'fresh';
  readonly reasons = [];
  readonly action = null;
  readonly present = true;
  readonly key: string;
  readonly #workspace: Workspace;
  readonly #node: Node;
  readonly #contentOf: (node: string) => Content | null;

  constructor(workspace: Workspace, node: Node, key: string, contentOf: (node: string) => Content | null) {
    this.#workspace = workspace;
    this.#node = node;
    this.key = key;
    this.#contentOf = contentOf;
  }

  get name(): string {
    return this.#node.name;
  }

  get kind(): string {
    return this.#node.kind;
  }

  get content(): Content | null {
    return this.#contentOf(this.#node.name);
  }

  get outputs(): NodePlan['outputs'] {
    const { content } = this;
    const [path] = outputPaths(this.#workspace, this.#node, content);
    return (content ?? []).map(({ digest, size }) => ({ path: path?.path ?? null, digest, size }));
  }
}

function isOfWorkspace(node: Node): boolean {
  const maker = makerOf(node);
  return maker.is === 'source' && maker.source.place === 'workspace';
}

/** The node that a node has its content of; undefined for one that makes its own. */
function sharedInput(node: Node): string | undefined {
  return makingBy(node) === 'sharing' ? node.references[0]?.node : undefined;
}

function isSame(one: Content | null | undefined, other: Content): boolean {
  return one?.length === other.length && one.every(({ digest }, i) => digest === other[i]?.digest);
}

/** The reason of a node whose contents are all in place, and one only has to be made a program, or no longer one. */
function modeReason(node: Node, placements: readonly Placement[]): Reason | undefined {
  if (!placements.every(({ item, occupant }) => holdsContent(item, occupant))) return undefined;
  const wrong = placements.find(({ item, occupant }) => !hasMode(node, item, occupant));
  if (!wrong) return undefined;
  const now = shouldBeExecutable(node, wrong.item);
  const [was, is] = [String(!now), String(now)];
  return {
    code: 'recipe-changed',
    detail: `executable: ${was} -> ${is}`,
    subject: 'executable',
    was,
    now: is,
  };
}

/** @param failure what its last run failed with, if it did */
function neverBuilt(failure: string | undefined): Reason {
  const first = failure?.split('\n', 1)[0];
  return { code: 'never-built', detail: first === undefined ? '' : `last run failed: ${first}` };
}

/** What is in its place is of use only as long as what it stands on is in its own, and as it was. */
function judgeStanding(
  node: Node,
  done: ReadonlyMap<string, NodePlan>,
): { state: NodeState; reasons: readonly Reason[] } {
  const below = standsOn(node)
    .flatMap((name) => done.get(name) ?? [])
    .find(({ state }) => state !== 'fresh');
  if (below === undefined) return { state: 'fresh', reasons: [] };
  const { name, state } = below;
  return { state: 'stale', reasons: [{ code: 'input-stale', detail: `${name} is ${state}`, subject: name }] };
}

function modifiedReason({ path, occupant }: Placement): Reason {
  const detail = occupant.is === 'foreign' ? 'not made by res' : 'changed by hand';
  return { code: 'output-modified', detail, subject: path };
}

function judgeGroup(
  node: Node,
  done: ReadonlyMap<string, NodePlan>,
): { state: NodeState; reasons: readonly Reason[] } {
  const members = node.references.flatMap(({ node: name }) => done.get(name) ?? []);
  const reasons = members
    .filter(({ state }) => state !== 'fresh')
    .map(
      ({ name, state }): Reason => ({ code: 'input-stale', detail: `${name} is ${state}`, subject: name }),
    );
  const worst = (['failed', 'modified', 'stale', 'cached'] as const).find((state) =>
    members.some((m) => m.state === state),
  );
  return { state: worst ?? 'fresh', reasons };
}
