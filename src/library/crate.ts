// Nodes as a folder to publish, described as a Research Object Crate: for `exportCrate` and for `res export`.
import { basename } from 'node:path';
import { type Exported, exportNodes } from '../execute/export.js';
import type { LockWorkspaceOptions } from '../execute/lock-workspace.js';
import type { Workspace } from '../plan/workspace.js';
import { provenanceStatement } from '../report/provenance.js';
import { CRATE_FILE, roCrate } from '../report/ro-crate.js';
import { version } from '../store/package.js';

export interface CrateOptions extends Pick<LockWorkspaceOptions, 'onWait'> {
  /** A URL, or words. */
  readonly license?: string | undefined;
  readonly signal: AbortSignal;
}

/** As `exportNodes`. */
export function exportAsCrate(
  workspace: Workspace,
  names: readonly string[],
  dir: string,
  { license, signal, onWait }: CrateOptions,
): Promise<Exported> {
  const { manifest } = workspace.graph;
  const about = {
    name: manifest.name ?? basename(manifest.dir),
    license,
    published: Date.now(),
    version: version(),
  };
  return exportNodes(workspace, names, dir, {
    name: CRATE_FILE,
    statement: (provenance) => provenanceStatement(provenance, about.version),
    describe: (content) => roCrate(content, about),
    signal,
    onWait,
  });
}
