// `res graph`: the graph, coloured by state.
import { closure, namedNodes } from '../../graph/select.js';
import { ResError } from '../../model/error.js';
import type { Graph } from '../../model/graph.js';
import type { Plan } from '../../model/plan.js';
import { planAround } from '../../plan/around.js';
import { openWorkspace } from '../../plan/workspace.js';
import { graphDot } from '../../report/graph-dot.js';
import { drawing } from '../../report/graph-edges.js';
import { graphJson } from '../../report/graph-json.js';
import { graphMermaid } from '../../report/graph-mermaid.js';
import { graphText } from '../../report/graph-text.js';
import type { Context } from '../context.js';
import { loadContextGraph, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const graph = await loadContextGraph(context);
  // Groups are drawn, but planned by their members.
  const asked = names.length > 0 ? namedNodes(graph, names) : graph.manifest.defaults;
  const roots = asked.length > 0 ? asked : select(graph, []);
  const plan = await stateOf(context, graph, roots);
  const picture = drawing(
    graph,
    closure(graph, roots),
    roots,
    (name) => plan?.nodes.get(name)?.state ?? null,
  );
  const format = flags.json ? 'json' : (flags.format ?? 'text');
  if (format === 'json') out.json(graphJson(picture));
  else if (format === 'dot') out.lines(graphDot(picture));
  else if (format === 'mermaid') out.lines(graphMermaid(picture));
  else out.lines(graphText(picture, out.page));
  return 0;
}

/** The shape of a graph is of use without its states too: a lock that cannot be read does not keep it back. */
async function stateOf(
  { env, err }: Context,
  graph: Graph,
  roots: readonly string[],
): Promise<Plan | undefined> {
  try {
    return await planAround(openWorkspace({ graph, env }), roots);
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    err.line(`${err.page.paint('yellow', 'warning:')} drawn without states: ${error.message}`);
    return undefined;
  }
}
