// `res graph`: the graph, coloured by state.
import { basename, dirname, join } from 'node:path';
import { closure, namedNodes } from '../../graph/select.js';
import { ResError } from '../../model/error.js';
import type { Graph } from '../../model/graph.js';
import type { Plan } from '../../model/plan.js';
import { planAround } from '../../plan/around.js';
import { lastRun } from '../../plan/record.js';
import { openWorkspace, type Workspace } from '../../plan/workspace.js';
import { graphDot } from '../../report/graph-dot.js';
import { drawing } from '../../report/graph-edges.js';
import { graphJson } from '../../report/graph-json.js';
import { graphMermaid } from '../../report/graph-mermaid.js';
import { graphText } from '../../report/graph-text.js';
import { cachePlace } from '../cache-folder.js';
import type { Context } from '../context.js';
import { loadContextGraph, select } from '../load.js';
import { showFile } from '../open-file.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const graph = await loadContextGraph(context);
  // Groups are drawn, but planned by their members.
  const asked = names.length > 0 ? namedNodes(graph, names) : graph.manifest.defaults;
  const roots = asked.length > 0 ? asked : select(graph, []);
  const known = await lookUp(context, graph, roots);
  const drawn = closure(graph, roots);
  const format = flags.json ? 'json' : (flags.format ?? (flags.open ? 'html' : 'text'));
  if (flags.open && format !== 'svg' && format !== 'html')
    throw new ResError('usage', `--open shows pictures, and ${format} is none`, {
      hint: 'Leave --format out, or give svg or html.',
    });
  if (format === 'svg' || format === 'html') {
    await pictureOf(context, graph, drawn, known, format);
    return 0;
  }
  const picture = drawing(graph, drawn, roots, (name) => known.plan?.nodes.get(name)?.state ?? null);
  if (format === 'json') out.json(graphJson(picture));
  else if (format === 'dot') out.lines(graphDot(picture));
  else if (format === 'mermaid') out.lines(graphMermaid(picture));
  else out.lines(graphText(picture, out.page));
  return 0;
}

/** A picture as a file: to stdout, or shown. */
async function pictureOf(
  context: Context,
  graph: Graph,
  names: readonly string[],
  { plan, workspace }: Known,
  format: 'svg' | 'html',
): Promise<void> {
  // Looked at once, and large.
  context.once();
  const [{ graphNodes }, { graphPage, graphSummary }, { graphSvg }] = await Promise.all([
    import('../../report/graph-nodes.js'),
    import('../../report/graph-page.js'),
    import('../../report/graph-svg.js'),
  ]);
  const nodes = graphNodes(graph, names, {
    planOf: (name) => plan?.nodes.get(name),
    msOf: (name) => (workspace && lastRun(workspace, name)?.durationMs) ?? null,
  });
  const { name, file, paramValues: params } = graph.manifest;
  const title = `Graph of ${name ?? basename(dirname(file))}`;
  const text =
    format === 'html'
      ? await graphPage({ title, params, nodes })
      : await graphSvg(nodes, title, graphSummary(nodes));
  if (context.flags.open) await showFile(context, join(cachePlace(file).folder, `graph.${format}`), text);
  else context.out.lines([text.trimEnd()]);
}

interface Known {
  readonly workspace: Workspace | undefined;
  readonly plan: Plan | undefined;
}

/** The shape of a graph is of use without its states too: a lock that cannot be read does not keep it back. */
async function lookUp({ env, err }: Context, graph: Graph, roots: readonly string[]): Promise<Known> {
  try {
    const workspace = openWorkspace({ graph, env });
    return { workspace, plan: await planAround(workspace, roots) };
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    err.prose(`${err.page.paint('yellow', 'warning:')} drawn without states: ${error.message}`);
    return { workspace: undefined, plan: undefined };
  }
}
