// What keeps a workspace in order: lock, outputs, store. What does the work is loaded when there is some.
import type { CheckOptions } from '../execute/check.js';
import type { CleanOptions } from '../execute/clean.js';
import type { GcOptions } from '../execute/gc.js';
import type { RepairOptions } from '../execute/repair.js';
import type { UpdateOptions } from '../execute/update.js';
import { selectNodes } from '../graph/select.js';
import type { CheckReport, CleanReport, GcReport, UpdateReport, VerifyReport } from '../model/report.js';
import { readUserConfig } from '../store/user-config.js';
import { interruptible } from './interruptible.js';
import { engineOf, type Workspace } from './workspace.js';

export interface VerifyOptions extends RepairOptions {
  /** Mend what is damaged or missing, and build the nodes; the other options but `onProgress` are for that. */
  readonly repair?: boolean;
}

/** Resolves sources anew and rewrites the lock. Rejects with ResError; the lock is then as it was. */
export function update(
  workspace: Workspace,
  nodes: readonly string[] = [],
  { signal, ...options }: UpdateOptions = {},
): Promise<UpdateReport> {
  return interruptible([signal], async (signal) => {
    const { update } = await import('../execute/update.js');
    return update(engineOf(workspace), selectNodes(workspace.graph, nodes), { ...options, signal });
  });
}

/** Hashes outputs and store again and compares with the records. What differs is in the report. Rejects with ResError. */
export function verify(
  workspace: Workspace,
  nodes: readonly string[] = [],
  { signal, repair = false, ...options }: VerifyOptions = {},
): Promise<VerifyReport> {
  return interruptible([signal], async (signal) => {
    const engine = engineOf(workspace);
    const requested = selectNodes(workspace.graph, nodes);
    const work = repair
      ? (await import('../execute/repair.js')).repair
      : (await import('../execute/verify.js')).verify;
    return work(engine, requested, { ...options, signal });
  });
}

/** Builds nodes a second time, apart, and compares. Rejects with ResError. */
export function check(
  workspace: Workspace,
  nodes: readonly string[] = [],
  { signal, ...options }: CheckOptions = {},
): Promise<CheckReport> {
  return interruptible([signal], async (signal) => {
    const { check } = await import('../execute/check.js');
    return check(engineOf(workspace), selectNodes(workspace.graph, nodes), { ...options, signal });
  });
}

/** Removes outputs of just the nodes named; of all nodes and variants where none is. Rejects with ResError. */
export function clean(
  workspace: Workspace,
  nodes: readonly string[] = [],
  { signal, ...options }: CleanOptions = {},
): Promise<CleanReport> {
  return interruptible([signal], async (signal) => {
    const requested = nodes.length === 0 ? [] : selectNodes(workspace.graph, nodes);
    const { clean } = await import('../execute/clean.js');
    return clean(engineOf(workspace), requested, { ...options, signal });
  });
}

/** Makes the store smaller: as the user's configuration says where the options say nothing. Rejects with ResError. */
export function gc(workspace: Workspace, { signal, ...options }: GcOptions = {}): Promise<GcReport> {
  return interruptible([signal], async (signal) => {
    const { gc: limits = {} } = readUserConfig(workspace.env);
    const { gc } = await import('../execute/gc.js');
    return gc(engineOf(workspace), { ...limits, ...options, signal });
  });
}
