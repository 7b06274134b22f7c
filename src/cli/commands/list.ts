// `res list`: the nodes, all of them where none is named, and the support table of their variants.
import { namedNodes } from '../../graph/select.js';
import { listJson, listText } from '../../report/list.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const graph = await loadContextGraph(context);
  const listed = names.length === 0 ? graph.manifest.nodes.map(({ name }) => name) : namedNodes(graph, names);
  if (flags.json) out.json(listJson(graph, listed));
  else out.lines(listText(graph, listed, out.page));
  return 0;
}
