// What others get: a folder to publish, and an archive from which a machine without a network builds.
import { resolve } from 'node:path';
import type { BundleReport } from '../execute/bundle.js';
import type { Exported } from '../execute/export.js';
import type { UnbundleReport } from '../execute/unbundle.js';
import { selectNodes } from '../graph/select.js';
import type { Env } from '../model/env.js';
import { type Interruptible, interruptible } from './interruptible.js';
import { engineOf, type Workspace } from './workspace.js';

export interface CrateOptions extends Interruptible {
  /** Under which licence: a URL, or words. */
  readonly license?: string;
  /** Called for each res that is waited for. */
  readonly onWait?: (holder: string) => void;
}

export interface BundleOptions extends Interruptible {
  /** Flags that give params the values that the workspace was opened with; noted for those who unpack it. */
  readonly flags?: readonly string[];
  /** Called for each res that is waited for. */
  readonly onWait?: (holder: string) => void;
}

export interface UnbundleOptions extends Interruptible {
  /** By default the process's own environment. */
  readonly env?: Env;
  /** Called for each res that is waited for. */
  readonly onWait?: (holder: string) => void;
}

/**
 * Manifest, lock, provenance and outputs of built nodes as a Research Object Crate in `dir`, which must not be there or be empty.
 * Rejects with ResError.
 */
export function exportCrate(
  workspace: Workspace,
  nodes: readonly string[],
  dir: string,
  { signal, ...options }: CrateOptions = {},
): Promise<Exported> {
  return interruptible([signal], async (signal) => {
    const { exportAsCrate } = await import('./crate.js');
    const names = selectNodes(workspace.graph, nodes);
    return exportAsCrate(engineOf(workspace), names, resolve(dir), { ...options, signal });
  });
}

/** Packs what built nodes need elsewhere into `file`: `.tar`, `.tar.gz` or `.tgz`. Rejects with ResError. */
export function bundle(
  workspace: Workspace,
  nodes: readonly string[],
  file: string,
  { signal, flags = [], ...options }: BundleOptions = {},
): Promise<BundleReport> {
  return interruptible([signal], async (signal) => {
    const { bundle } = await import('../execute/bundle.js');
    const names = selectNodes(workspace.graph, nodes);
    return bundle(engineOf(workspace), names, resolve(file), { ...options, flags, signal });
  });
}

/** Unpacks a bundle into `dir`, where `open` and an offline `build` then find everything. Rejects with ResError. */
export function unbundle(
  file: string,
  dir: string,
  { signal, env = process.env, ...options }: UnbundleOptions = {},
): Promise<UnbundleReport> {
  return interruptible([signal], async (signal) => {
    const { unbundle } = await import('../execute/unbundle.js');
    return unbundle(resolve(file), resolve(dir), { ...options, env, signal });
  });
}
