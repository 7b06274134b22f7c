// `res provenance NODE`: where what it has comes from, for other programs to check.
import { gatherProvenance } from '../../execute/provenance.js';
import { provenanceStatement } from '../../report/provenance.js';
import { version } from '../../store/package.js';
import type { Context } from '../context.js';
import { checkNode, openContextWorkspace } from '../load.js';

export async function run(context: Context, [name = '']: readonly string[]): Promise<number> {
  const workspace = await openContextWorkspace(context);
  const node = checkNode(workspace.graph, name);
  const provenance = await gatherProvenance(workspace, node, context.interruptible());
  context.out.json(provenanceStatement(provenance, version()));
  return 0;
}
