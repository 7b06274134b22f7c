// A workspace as programs hold it: a manifest that was read, and nothing that ages. What is known of it on disk is read anew for each
// question, so that one `Workspace` may be kept for long, and be asked several things at once.
import { resolve } from 'node:path';
import { loadGraph } from '../graph/load.js';
import type { Matrix } from '../graph/matrix.js';
import { findManifest } from '../manifest/find.js';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { references } from '../plan/registry.js';
import { type Workspace as Engine, openWorkspace } from '../plan/workspace.js';

/** A manifest that was read. It does not follow changes of the file: `open` it again for that. */
export interface Workspace {
  /** The manifest as `graph.manifest`, its nodes as `graph.nodes`. */
  readonly graph: Graph;
  readonly env: Env;
}

export interface OpenOptions {
  /** The manifest; by default `resources.yaml` in `cwd` or the nearest folder above it. */
  readonly file?: string;
  /** What relative paths start from, and what paths in messages are relative to; by default the process's folder. */
  readonly cwd?: string;
  /** Values of params. */
  readonly params?: Readonly<Record<string, string>>;
  /** Params that are to have several values: all combinations become one graph. */
  readonly matrix?: Matrix;
  /** By default the process's own environment. Programs that are run see nothing of it but PATH, HOME and what a recipe asks for. */
  readonly env?: Env;
}

/**
 * Reads a manifest. Nothing is written, and no connection is opened.
 *
 * Rejects with ResError `manifest-not-found`; `manifest-invalid`, with all that is wrong in its `diagnostics`; `unknown-param`,
 * `param-value`; `config-invalid` for a bad RES_MIRRORS.
 */
export async function open(options: OpenOptions = {}): Promise<Workspace> {
  const { params = {}, matrix = {}, env = process.env } = options;
  const cwd = resolve(options.cwd ?? '.');
  const file = options.file === undefined ? findManifest(cwd) : resolve(cwd, options.file);
  if (file === undefined)
    throw new ResError('manifest-not-found', `no resources.yaml in ${cwd} or above it`, {
      hint: '`file` names another manifest, `cwd` another folder.',
    });
  return { graph: loadGraph({ file, cwd, set: params, matrix, env, kinds: references }), env };
}

/** With all that is remembered about it at this moment. Throws ResError `lock-invalid`, `config-invalid`. */
export function engineOf({ graph, env }: Workspace): Engine {
  return openWorkspace({ graph, env });
}
