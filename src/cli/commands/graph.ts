// `res graph`: the graph, coloured by state.
import { join } from 'node:path';
import { drawnRoots } from '../../graph/select.js';
import { drawPart, type Part, partOf, pictureOf } from '../../library/picture.js';
import { ResError } from '../../model/error.js';
import { graphJson } from '../../report/graph-json.js';
import { graphText } from '../../report/graph-text.js';
import { cachePlace } from '../cache-folder.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';
import { showFile } from '../open-file.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const part = await lookUp(context, names);
  const format = flags.json ? 'json' : (flags.format ?? (flags.open ? 'html' : 'text'));
  const isImage = format === 'svg' || format === 'html';
  if (flags.open && !isImage)
    throw new ResError('usage', `--open shows pictures, and ${format} is none`, {
      hint: 'Leave --format out, or give svg or html.',
    });
  // Looked at once, and large.
  if (isImage) context.once();
  if (isImage || format === 'dot' || format === 'mermaid') {
    const picture = await pictureOf(part, format);
    const { folder } = cachePlace(part.graph.manifest.file);
    if (flags.open) await showFile(context, join(folder, `graph.${format}`), picture);
    else out.lines([picture.trimEnd()]);
  } else if (format === 'json') out.json(graphJson(drawPart(part)));
  else out.lines(graphText(drawPart(part), out.page));
  return 0;
}

/** The shape of a graph is of use without its states too: a lock that cannot be read does not keep it back. */
async function lookUp(context: Context, names: readonly string[]): Promise<Part> {
  const { env, err } = context;
  const graph = await loadContextGraph(context);
  const roots = drawnRoots(graph, names);
  try {
    return await partOf(graph, env, names);
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    err.prose(`${err.page.paint('yellow', 'warning:')} drawn without states: ${error.message}`);
    return { graph, roots, workspace: undefined, plan: undefined };
  }
}
