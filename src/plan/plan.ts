// Graph and traces to a plan: the state of every node, why, and the steps that a build would take. Nothing is asked of
// the outside and nothing is written but the stat cache.

import { closure } from '../graph/select.js';
import { makingOf } from '../kinds/kind.js';
import { type Content, contentSize } from '../model/content.js';
import type { Graph } from '../model/graph.js';
import type { Node } from '../model/node.js';
import type { BlockedOutput, NodePlan, NodeState, Plan, Reason, Step } from '../model/plan.js';
import { type Assessment, artifactContent, assess, pinnedEntry, traceOf } from './assess.js';
import { type Fusion, planFusion } from './fusion.js';
import {
  Holdings,
  hasMode,
  holds,
  holdsContent,
  leftovers,
  occupantOf,
  outputPaths,
  type Placement,
  shouldBeExecutable,
} from './places.js';
import { differences } from './reasons.js';
import { makerOf } from './registry.js';
import { keepFindings, type Workspace } from './workspace.js';

export interface PlanOptions {
  /** Count every target as stale. */
  readonly force?: boolean;
}

/** A plan with what execute/ needs beside it. */
export interface DetailedPlan extends Plan {
  readonly placements: ReadonlyMap<string, readonly Placement[]>;
  readonly fusion: Fusion;
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
  const planner = new Planner(workspace, requested, options);
  return planner.run();
}

class Planner {
  readonly #workspace: Workspace;
  readonly #graph: Graph;
  readonly #requested: readonly string[];
  readonly #closure: readonly string[];
  readonly #force: boolean;
  readonly #fusion: Fusion;
  readonly #holdings: Holdings;
  readonly #assessed = new Map<string, Assessment>();
  readonly #placements = new Map<string, readonly Placement[]>();
  readonly #steps = new Map<string, Step>();
  readonly #present = new Map<string, boolean>();
  /** Nodes whose bytes a build would have to get. */
  readonly #wanted = new Set<string>();
  /** Nodes that are made with their user. */
  readonly #streamed = new Set<string>();

  constructor(workspace: Workspace, requested: readonly string[], options: PlanOptions) {
    this.#workspace = workspace;
    this.#graph = workspace.graph;
    this.#requested = requested;
    this.#closure = closure(workspace.graph, requested);
    this.#force = options.force ?? false;
    this.#fusion = planFusion(workspace.graph, this.#closure, new Set(requested));
    this.#holdings = new Holdings(workspace);
  }

  async run(): Promise<DetailedPlan> {
    const contentOf = (name: string) => this.#assessed.get(name)?.content ?? null;
    for (const name of this.#closure) {
      const node = this.#node(name);
      const assessment = await assess(this.#workspace, node, contentOf);
      this.#assessed.set(name, assessment);
      if (node.output !== undefined) this.#placements.set(name, await this.#look(node, assessment.content));
    }
    for (const name of this.#requested) await this.#want(name);
    for (const name of this.#closure) if (this.#outdated(name)) await this.#putRight(name);
    // Users first: what streams into one of them is made with it.
    for (const name of this.#closure.toReversed())
      if (this.#forced(name) && !this.#streamed.has(name)) await this.#produce(name);
    const nodes = new Map<string, NodePlan>();
    for (const name of this.#closure) nodes.set(name, await this.#describe(name, nodes));
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
      fusion: this.#fusion,
    };
  }

  #blocked(steps: readonly Step[]): readonly BlockedOutput[] {
    const touched = new Set([...steps.map(({ node }) => node), ...this.#requested]);
    return [...touched].flatMap((node) =>
      (this.#placements.get(node) ?? []).flatMap(({ path, occupant: { is } }): BlockedOutput[] =>
        is === 'changed' || is === 'foreign' ? [{ node, path, is }] : [],
      ),
    );
  }

  async #look(node: Node, content: Content | null): Promise<readonly Placement[]> {
    const placements: Placement[] = [];
    for (const output of outputPaths(this.#workspace, node, content)) {
      placements.push({ ...output, occupant: await occupantOf(this.#workspace, output.path, output.item) });
    }
    return placements;
  }

  #forced(name: string): boolean {
    const maker = makerOf(this.#node(name));
    if (!this.#force || maker.is !== 'kind') return false;
    const { by } = makingOf(maker.kind, this.#node(name).recipe);
    return by !== 'naming' && by !== 'sharing';
  }

  /** Whether the outputs hold just what they should. True for an intermediate only when its bytes are at hand. */
  async #inPlace(name: string): Promise<boolean> {
    const placements = this.#placements.get(name);
    if (!placements) return this.#atHand(name);
    const content = this.#assessed.get(name)?.content;
    const node = this.#node(name);
    return (
      content != null &&
      content.length === placements.length &&
      placements.every(({ item, occupant }) => holds(node, item, occupant)) &&
      (await leftovers(this.#workspace, node, content)).length === 0
    );
  }

  async #atHand(name: string): Promise<boolean> {
    let known = this.#present.get(name);
    if (known === undefined) {
      const content = this.#assessed.get(name)?.content;
      known = content != null && (await this.#holdings.findAll(this.#node(name), content)) !== undefined;
      this.#present.set(name, known);
    }
    return known;
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
    if (!this.#wanted.has(name) && (await this.#atHand(name))) await this.#want(name);
  }

  /** The node's bytes are needed: in their output's place, or else at hand. */
  async #want(name: string): Promise<void> {
    if (this.#wanted.has(name)) return;
    this.#wanted.add(name);
    const assessment = this.#assessed.get(name);
    if (assessment?.content && !this.#forced(name)) {
      if (await this.#inPlace(name)) return;
      if (await this.#atHand(name)) {
        this.#addStep(name, 'restore', []);
        return;
      }
    }
    await this.#produce(name);
  }

  async #produce(name: string): Promise<void> {
    this.#wanted.add(name);
    if (this.#steps.has(name)) return;
    const node = this.#node(name);
    const maker = makerOf(node);
    if (maker.is === 'source') {
      for (const { node: sums } of node.references) await this.#want(sums);
      const content = await artifactContent(this.#workspace, node, maker.source);
      // What is at hand and yet to be produced is only to be verified.
      const held = content && (await this.#holdings.findAll(node, content));
      this.#addStep(name, held ? 'execute' : 'download', []);
      return;
    }
    const making = makingOf(maker.kind, node.recipe).by;
    const through = making === 'naming' || making === 'sharing' ? [] : await this.#wantInputs(name);
    if (making === 'naming' || making === 'sharing') {
      for (const { node: input } of node.references) await this.#want(input);
    }
    if (making === 'naming') return;
    this.#addStep(name, making === 'sharing' ? 'restore' : 'execute', through);
  }

  /** Wants the inputs of an action; gives the intermediates that stream through it, first one first. */
  async #wantInputs(name: string): Promise<string[]> {
    const through: string[] = [];
    for (const { node: input } of this.#node(name).references) {
      if (this.#fusion.joins(input, name) && (this.#forced(input) || !(await this.#atHand(input)))) {
        through.push(...(await this.#wantInputs(input)), input);
        this.#wanted.add(input);
        this.#streamed.add(input);
      } else {
        await this.#want(input);
      }
    }
    return through;
  }

  #addStep(name: string, work: Step['work'], through: readonly string[]): void {
    const node = this.#node(name);
    const record = this.#workspace.state.nodes.get(name);
    this.#steps.set(name, {
      node: name,
      work,
      reasons: [],
      through,
      downloadBytes: work === 'download' ? this.#downloadBytes(node) : 0,
      writeBytes: this.#writeBytes(node, work),
      expectedMs: work === 'execute' ? (record?.durationMs ?? null) : null,
    });
  }

  #downloadBytes(node: Node): number | null {
    const maker = makerOf(node);
    const entry = maker.is === 'source' ? pinnedEntry(this.#workspace, node, maker.source) : undefined;
    if (!entry) return null;
    let bytes = 0;
    for (const { sha256, size } of entry.files) {
      if (size === undefined) return null;
      if (sha256 !== undefined && this.#workspace.store.has(`sha256:${sha256}`, 'file')) continue;
      bytes += size;
    }
    return bytes;
  }

  /** What is known without a look at any content: what its kind can tell from its inputs is asked for in execute/. */
  #writeBytes(node: Node, work: Step['work']): number | null {
    if (work === 'download') return this.#downloadBytes(node);
    // What an artifact has that is only to be verified is there.
    if (work === 'restore' || makerOf(node).is === 'source') return 0;
    const { content, key } = this.#assessed.get(node.name) ?? {};
    if (!content) return null;
    const onDisk = key == null ? undefined : traceOf(this.#workspace, key)?.diskBytes;
    return onDisk ?? contentSize(content);
  }

  async #describe(name: string, done: ReadonlyMap<string, NodePlan>): Promise<NodePlan> {
    const node = this.#node(name);
    const { action, key, content } = this.#assessed.get(name) ?? { action: null, key: null, content: null };
    const placements = this.#placements.get(name) ?? [];
    const present = (await this.#inPlace(name)) || (await this.#atHand(name));
    const { state, reasons } = await this.#judge(node, { action, key, content }, placements, done);
    const outputs = (content ?? []).map((item, i) => ({
      path: placements[i]?.path ?? null,
      digest: item.digest,
      size: item.size,
    }));
    const failure = state === 'failed' ? this.#failure(name) : undefined;
    const known = { name, kind: node.kind, state, reasons, key, action, content, present, outputs };
    return failure === undefined ? known : { ...known, failure };
  }

  async #judge(
    node: Node,
    { action, key, content }: Assessment,
    placements: readonly Placement[],
    done: ReadonlyMap<string, NodePlan>,
  ): Promise<{ state: NodeState; reasons: readonly Reason[] }> {
    const { name } = node;
    const blocked = placements.filter(
      ({ occupant }) => occupant.is === 'changed' || occupant.is === 'foreign',
    );
    if (blocked.length > 0) return { state: 'modified', reasons: blocked.map(modifiedReason) };
    const maker = makerOf(node);
    if (maker.is === 'kind' && makingOf(maker.kind, node.recipe).by === 'naming')
      return judgeGroup(node, done);
    if (this.#forced(name)) return { state: 'stale', reasons: [{ code: 'forced', detail: 'asked for' }] };
    const record = this.#workspace.state.nodes.get(name);
    const failed = record?.status === 'failed' && (key === null ? record.key === '' : record.key === key);
    if (!content) {
      const reasons = this.#whyUnknown(node, action, done);
      return { state: failed ? 'failed' : 'stale', reasons };
    }
    if (await this.#inPlace(name)) return { state: 'fresh', reasons: [] };
    if (placements.length === 0 && !this.#steps.has(name)) return { state: 'fresh', reasons: [] };
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
    if (await this.#atHand(name)) return { state: 'cached', reasons };
    return { state: failed ? 'failed' : 'stale', reasons };
  }

  /** What the last run of a node failed with, without the name of the node before it. */
  #failure(name: string): string | undefined {
    const error = this.#workspace.state.nodes.get(name)?.error;
    return error?.startsWith(`${name}: `) ? error.slice(name.length + 2) : error;
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
    const record = this.#workspace.state.nodes.get(node.name);
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
