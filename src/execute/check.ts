// `res check`: nodes are made a second time, in another place and later, and what comes of it is held against what there is. Neither
// outputs nor records are touched.
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makingOf } from '../kinds/kind.js';
import type { Content } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';
import type { CheckedNode, CheckReport, Difference } from '../model/report.js';
import { traceOf } from '../plan/assess.js';
import { Holdings } from '../plan/places.js';
import { type DetailedPlan, planNodes } from '../plan/plan.js';
import { checkLogFile } from '../plan/record.js';
import { makerOf } from '../plan/registry.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { ChainFailure, runAction } from './action.js';
import type { BuildOptions } from './api.js';
import { borrowInputs, chainAtHand } from './at-hand.js';
import { build } from './build.js';
import { differencesOf } from './difference.js';
import { errorReport } from './errors.js';
import { inTurn } from './in-turn.js';
import { lockWorkspace } from './lock-workspace.js';
import { removeTemporaries } from './outputs.js';
import { ownScratchPath } from './scratch.js';
import { throwIfInterrupted } from './verify.js';

export type CheckOptions = Pick<BuildOptions, 'jobs' | 'offline' | 'frozen' | 'signal' | 'listener'>;

/** Clocks that programs write into their output count in seconds. */
const LATER_MS = 1100;
const MAX_DIFFERENCES = 50;

/**
 * Builds the nodes, those that have an action of their own, and makes each of them again. Rejects with ResError `usage` when none has,
 * and as `build` does.
 * @param names of nodes, groups taken apart already
 */
export async function check(
  workspace: Workspace,
  names: readonly string[],
  options: CheckOptions = {},
): Promise<CheckReport> {
  const nodes = names.flatMap((name) => workspace.graph.nodes.get(name) ?? []).filter(hasAction);
  if (nodes.length === 0) {
    throw new ResError('usage', `nothing is done to make ${names.join(', ')}: there is nothing to check`, {
      hint: 'Name a node that is made by a program or by res: `run`, `convert`, `extract`, …',
    });
  }
  const requested = nodes.map(({ name }) => name);
  const built = await build(workspace, requested, options);
  if (!built.ok) return failedReport([...built.failed, ...built.skipped]);
  const borrowed = await borrowInputs(workspace, nodes, options);
  if (!borrowed.ok) return failedReport(requested);
  const unlock = await lockWorkspace(workspace, {
    describe: `res check ${requested.join(' ')}`,
    onWait: (holder) => options.listener?.({ type: 'waiting', for: holder }),
    signal: options.signal,
  });
  try {
    refreshWorkspace(workspace);
    const plan = await planNodes(workspace, requested);
    const checked: CheckedNode[] = [];
    for (const node of nodes) checked.push(await checkNode(workspace, node, plan, options));
    return { ok: checked.every(({ result }) => result === 'same'), nodes: checked };
  } finally {
    await inTurn([borrowed.giveBack, () => removeTemporaries(workspace), unlock]);
  }
}

function hasAction(node: Node): boolean {
  const maker = makerOf(node);
  if (maker.is !== 'kind') return false;
  const { by } = makingOf(maker.kind, node.recipe);
  return by !== 'naming' && by !== 'sharing';
}

function failedReport(names: readonly string[]): CheckReport {
  return { ok: false, nodes: names.map((node) => failedNode(node, 0)) };
}

function failedNode(node: string, durationMs: number): CheckedNode {
  return { node, result: 'failed', durationMs, outputs: [], differences: [], moreDifferences: 0 };
}

async function checkNode(
  workspace: Workspace,
  node: Node,
  plan: DetailedPlan,
  { signal = new AbortController().signal, listener }: CheckOptions,
): Promise<CheckedNode> {
  const { content, key } = plan.nodes.get(node.name) ?? {};
  const chain = await chainAtHand(workspace, node, plan);
  const holdings = content && (await new Holdings(workspace).findAll(node, content));
  if (!content || !holdings || !chain)
    throw new ResError('io', `${node.name}: what was just built is gone again`, {
      hint: 'Another program removes files of the workspace or of its store. Try again.',
    });
  await untilLater(workspace, key ?? '', signal);
  listener?.({ type: 'started', node: node.name, work: 'execute', detail: 'a second time', through: [] });
  const at = Date.now();
  const temps = content.map(() => join(workspace.paths.tmp, randomUUID()));
  try {
    const made = await runAction(chain, {
      workspace,
      temps,
      scratch: ownScratchPath(workspace, node.name),
      log: checkLogFile(workspace, node.name),
      signal,
      expectedBytes: null,
      onBytes: () => undefined,
      onPercent: () => undefined,
      onOutput: (name, text) => listener?.({ type: 'output', node: name, text }),
    });
    const again = made.at(-1)?.items.map(({ item }) => item) ?? [];
    const paths = holdings.map(({ path }) => path);
    return { ...(await compared(node, content, paths, again, temps)), durationMs: Date.now() - at };
  } catch (error) {
    throwIfInterrupted(signal);
    const failure = error instanceof ChainFailure ? error : undefined;
    const cause = failure ? failure.cause : error;
    if (!(cause instanceof ResError)) throw cause;
    listener?.({ type: 'failed', node: node.name, error: errorReport(cause, failure?.log ?? null) });
    return failedNode(node.name, Date.now() - at);
  } finally {
    for (const temp of temps) await rm(temp, { recursive: true, force: true });
  }
}

/** What depends on the time is to get another one than it had. */
async function untilLater(workspace: Workspace, key: string, signal: AbortSignal): Promise<void> {
  const wait = (traceOf(workspace, key)?.at ?? 0) + LATER_MS - Date.now();
  if (wait <= 0) return;
  await sleep(Math.min(wait, LATER_MS), undefined, { signal }).catch(() => throwIfInterrupted(signal));
}

async function compared(
  node: Node,
  content: Content,
  before: readonly string[],
  again: Content,
  after: readonly string[],
): Promise<Omit<CheckedNode, 'durationMs'>> {
  const differences: Difference[] = [];
  const outputs: CheckedNode['outputs'][number][] = [];
  for (const [i, item] of content.entries()) {
    const now = again[i];
    if (!now) throw new Error(`${node.name} made fewer outputs the second time`);
    const name = node.outputs ? item.name : basename(node.output ?? node.name);
    outputs.push({ name, before: item.digest, after: now.digest });
    const isProgram = item.executable === true || node.executable;
    const isSame = item.digest === now.digest && isProgram === (now.executable === true || node.executable);
    if (!isSame) differences.push(...(await differencesOf(name, before[i] ?? '', after[i] ?? '')));
  }
  return {
    node: node.name,
    result: differences.length === 0 ? 'same' : 'different',
    outputs,
    differences: differences.slice(0, MAX_DIFFERENCES),
    moreDifferences: Math.max(0, differences.length - MAX_DIFFERENCES),
  };
}
