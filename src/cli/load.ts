// The manifest that a command is about, as a graph, as an open workspace, and as the nodes that were asked for.
import { selectNodes } from '../graph/select.js';
import { findManifest } from '../manifest/find.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { references } from '../plan/registry.js';
import { openWorkspace, type Workspace } from '../plan/workspace.js';
import type { Context, ManifestContext } from './context.js';
import { loadKeptGraph } from './graph-cache.js';

/** Absolute. Throws ResError `manifest-not-found`. */
export function manifestFile({ file, dir }: ManifestContext): string {
  const found = file ?? findManifest(dir);
  if (found !== undefined) return found;
  throw new ResError('manifest-not-found', `no resources.yaml in ${dir} or above it`, {
    hint: '`res init` writes one; -f names another file, -C another folder.',
  });
}

/** Throws ResError `manifest-not-found`, `manifest-invalid`, `param-value`, `unknown-param`. */
export async function loadContextGraph(context: ManifestContext): Promise<Graph> {
  const { cwd, set, matrix = {}, env, build } = context;
  return loadKeptGraph({ file: manifestFile(context), cwd, set, matrix, env, kinds: references }, build);
}

/** Says on stderr what of the workspace's state is damaged: it is found out again, and the user may have a disk that fails. */
export async function openContextWorkspace(context: Context): Promise<Workspace> {
  const { env, err, flags } = context;
  const graph = await loadContextGraph(context);
  const { sandbox } = flags;
  const workspace = openWorkspace({
    graph,
    env: sandbox === undefined ? env : { ...env, RES_SANDBOX: sandbox },
  });
  // Where stderr may be a stream of events, words would break it.
  if (flags.progress !== 'json')
    for (const message of workspace.state.damage)
      err.prose(`${err.page.paint('yellow', 'warning:')} ${message}`);
  return workspace;
}

export { checkNode } from '../graph/select.js';

/** The nodes named, or the default ones; groups taken apart. Throws ResError `unknown-node`. */
export function select(graph: Graph, names: readonly string[]): readonly string[] {
  return selectNodes(graph, names);
}
