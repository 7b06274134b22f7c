// Pictures of a graph: for `picture`, and for `res graph`.
import { basename, dirname } from 'node:path';
import { closure, drawnRoots } from '../graph/select.js';
import type { Graph } from '../model/graph.js';
import type { Plan } from '../model/plan.js';
import { planAround } from '../plan/around.js';
import { LastRuns, lastTook } from '../plan/record.js';
import { openWorkspace, type Workspace } from '../plan/workspace.js';
import { graphDot } from '../report/graph-dot.js';
import { type Drawing, drawing } from '../report/graph-edges.js';
import { graphJson } from '../report/graph-json.js';
import { graphMermaid } from '../report/graph-mermaid.js';

/** `html`: a page that needs no other file. `json`: as schemas/graph.schema.json says. */
export type PictureFormat = 'svg' | 'html' | 'dot' | 'mermaid' | 'json';

/** A part of a graph, and what is known of it; without a plan it is drawn without states. */
export interface Part {
  readonly graph: Graph;
  /** What was asked for. */
  readonly roots: readonly string[];
  readonly workspace: Workspace | undefined;
  readonly plan: Plan | undefined;
}

/** Groups are drawn, but planned by their members. Rejects with ResError `unknown-node`, `lock-invalid`. */
export async function partOf(graph: Graph, env: Workspace['env'], names: readonly string[]): Promise<Part> {
  const roots = drawnRoots(graph, names);
  const workspace = openWorkspace({ graph, env });
  return { graph, roots, workspace, plan: await planAround(workspace, roots) };
}

export function drawPart({ graph, roots, plan }: Part): Drawing {
  return drawing(graph, closure(graph, roots), roots, (name) => plan?.nodes.get(name)?.state ?? null);
}

/** Text that ends with a line break. */
export async function pictureOf(part: Part, format: PictureFormat): Promise<string> {
  switch (format) {
    case 'json':
      return `${JSON.stringify(graphJson(drawPart(part)))}\n`;
    case 'dot':
      return `${graphDot(drawPart(part)).join('\n')}\n`;
    case 'mermaid':
      return `${graphMermaid(drawPart(part)).join('\n')}\n`;
    default:
      return graphImage(part, format);
  }
}

async function graphImage({ graph, roots, workspace, plan }: Part, format: 'svg' | 'html'): Promise<string> {
  // Looked at once, and large.
  const [{ graphNodes }, { graphPage, graphSummary }, { graphSvg }] = await Promise.all([
    import('../report/graph-nodes.js'),
    import('../report/graph-page.js'),
    import('../report/graph-svg.js'),
  ]);
  const runs = workspace && new LastRuns(workspace);
  const nodes = graphNodes(graph, closure(graph, roots), {
    planOf: (name) => plan?.nodes.get(name),
    msOf: (name) => lastTook(runs?.of(name, plan?.nodes.get(name)?.key ?? null)),
  });
  const { name, file, paramValues: params } = graph.manifest;
  const title = `Graph of ${name ?? basename(dirname(file))}`;
  return format === 'html'
    ? graphPage({ title, params, nodes })
    : graphSvg(nodes, title, graphSummary(nodes));
}
