// `res env`: shell lines that say where things are, for `eval "$(res env)"`.
import { ResError } from '../../model/error.js';
import { envFish, envReport, envSh } from '../../report/env.js';
import { hang } from '../../report/text.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';

export async function run(context: Context): Promise<number> {
  const { flags, out, err } = context;
  const [several] = flags.matrix;
  if (several) {
    const [param, [value = '']] = several;
    throw new ResError('usage', 'res env is about one combination of params: a variable has one value', {
      hint: `\`res env --${param} ${value}\` says where things are for one of them.`,
    });
  }
  const graph = await loadContextGraph(context);
  const { variables, clashes } = envReport(graph.manifest, graph.nodes.values());
  for (const [node, variable] of clashes) {
    const warning = err.page.paint('yellow', 'warning:');
    const text = `${node} is left out: another node has ${variable} already`;
    err.lines(hang(`${warning} `, text, err.page.width, 2));
  }
  if (flags.json) out.json(variables);
  else out.lines(flags.fish ? envFish(variables) : envSh(variables));
  return 0;
}
