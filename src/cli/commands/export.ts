// `res export DIR`: a folder to publish.
import { basename, resolve } from 'node:path';
import { exportNodes } from '../../execute/export.js';
import { count, formatBytes } from '../../report/format.js';
import { provenanceStatement } from '../../report/provenance.js';
import { CRATE_FILE, roCrate } from '../../report/ro-crate.js';
import { version } from '../../store/package.js';
import type { Context } from '../context.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, [folder = '', ...names]: readonly string[]): Promise<number> {
  const { flags, out, err } = context;
  const workspace = await openContextWorkspace(context);
  const dir = resolve(context.cwd, folder);
  const about = {
    name: workspace.graph.manifest.name ?? basename(workspace.graph.manifest.dir),
    license: flags.license,
    published: Date.now(),
    version: version(),
  };
  const exported = await exportNodes(workspace, select(workspace.graph, names), dir, {
    name: CRATE_FILE,
    statement: (provenance) => provenanceStatement(provenance, about.version),
    describe: (content) => roCrate(content, about),
    signal: context.interruptible(),
    onWait: (holder) => {
      if (!flags.quiet) err.line(`waiting for ${holder}`);
    },
  });
  const outputs = exported.nodes.flatMap((node) => node.outputs);
  const size = formatBytes(outputs.reduce((sum, output) => sum + output.size, 0));
  if (!flags.quiet)
    out.line(
      `${out.page.path(dir)}: ${count(outputs.length, 'output')}, ${size}, with manifest and provenance`,
    );
  if (!flags.quiet && flags.license === undefined)
    err.line('no licence is stated: --license URL states one for those who may use it');
  return 0;
}
