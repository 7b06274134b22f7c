// A folder to publish: what was built, what it was built by, and where it comes from. Everything in it is a copy.
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ResError } from '../model/error.js';
import type { Provenance, ProvenanceFile } from '../model/report.js';
import { planNodes } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { holdsSecret } from '../sources/redact.js';
import { cloneOrCopy, errorCode, ioError, publish, tempBeside } from '../store/files.js';
import { aloneIn } from './alone.js';
import type { LockWorkspaceOptions } from './lock-workspace.js';
import { copyHolding } from './outputs.js';
import { gatherProvenance, manifestFiles, presentNode } from './provenance.js';

/** Something in the folder that is described. */
export interface ExportedFile {
  /** In the folder, with `/`. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
  /** Hex; undefined for a directory. */
  readonly sha256: string | undefined;
}

export interface Exported {
  readonly manifest: readonly ExportedFile[];
  readonly nodes: readonly {
    readonly provenance: Provenance;
    readonly description: string | undefined;
    /** In the folder: the statement about it. */
    readonly statement: string;
    readonly outputs: readonly ExportedFile[];
  }[];
}

/** What is written beside the copies. */
export interface Described {
  /** Of each node, as JSON. */
  statement(provenance: Provenance): unknown;
  /** Name of the file that describes the folder, and what is in it. */
  readonly name: string;
  describe(exported: Exported): unknown;
}

/**
 * Fills `dir`, which must not be there or be empty; it appears when all is in it. Rejects with ResError `usage` for a folder that
 * has something in it, for a manifest that cannot be published; as `presentNode`; with `io`, `no-space`, or the signal's reason.
 * @param names of nodes, groups taken apart already
 */
export async function exportNodes(
  workspace: Workspace,
  names: readonly string[],
  dir: string,
  o: Described & Pick<LockWorkspaceOptions, 'onWait'> & { readonly signal: AbortSignal },
): Promise<Exported> {
  await checkEmpty(dir);
  const files = await publishable(workspace);
  return aloneIn(workspace, { describe: 'res export', onWait: o.onWait, signal: o.signal }, async () => {
    const temp = tempBeside(dir);
    try {
      await mkdir(temp, { recursive: true });
      const exported = {
        manifest: await copyFiles(files, temp),
        nodes: await copyNodes(workspace, names, temp, o),
      };
      await writeJson(join(temp, o.name), o.describe(exported));
      await publish(temp, dir);
      return exported;
    } catch (error) {
      o.signal.throwIfAborted();
      throw ioError(error, 'cannot write', dir);
    } finally {
      await rm(temp, { recursive: true, force: true });
    }
  });
}

async function checkEmpty(dir: string): Promise<void> {
  try {
    if ((await readdir(dir)).length === 0) return;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    if (errorCode(error) !== 'ENOTDIR') throw ioError(error, 'cannot read', dir);
  }
  throw new ResError('usage', `${dir} is there already, and is left as it is`, {
    hint: 'Name a folder that is not there, or an empty one.',
  });
}

/** The files of the manifest, where nothing in them is a secret and all of them go into one folder. */
export async function publishable(workspace: Workspace): Promise<readonly ProvenanceFile[]> {
  const { manifest, nodes } = workspace.graph;
  for (const { name, section, recipe, locate } of nodes.values()) {
    if (section !== 'artifact' || !holdsSecret(recipe)) continue;
    throw new ResError('usage', `the URL of ${name} has a password or a signature in it`, {
      hint: 'Everyone who gets the manifest would have it: take it out, or read it from the environment.',
      diagnostics: [{ message: 'here', location: locate([]) }],
    });
  }
  if (manifest.mirrors.some(({ from, to }) => holdsSecret([from, ...to]))) {
    throw new ResError('usage', 'the URL of a mirror has a password or a signature in it', {
      hint: 'Everyone who gets the manifest would have it: name the mirror in RES_MIRRORS.',
    });
  }
  const files = await manifestFiles(workspace);
  const outside = files.find(({ name }) => name.startsWith('..'));
  if (!outside) return files;
  throw new ResError('usage', `the manifest includes ${outside.name}, which is not in its folder`, {
    hint: 'Move it there: what is given to others has one folder.',
  });
}

async function copyFiles(files: readonly ProvenanceFile[], dir: string): Promise<readonly ExportedFile[]> {
  const copied: ExportedFile[] = [];
  for (const { name, path, sha256, size } of files) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await cloneOrCopy(path, join(dir, name));
    copied.push({ path: name, type: 'file', size, sha256 });
  }
  return copied;
}

async function copyNodes(
  workspace: Workspace,
  names: readonly string[],
  dir: string,
  { statement, signal }: Pick<Described, 'statement'> & { readonly signal: AbortSignal },
): Promise<Exported['nodes']> {
  const plan = await planNodes(workspace, names);
  const nodes: Exported['nodes'][number][] = [];
  for (const name of names) {
    const planned = plan.nodes.get(name);
    if (!planned) throw new Error(`${name} is not in its own plan`);
    workspace.shared?.lease((planned.content ?? []).map(({ digest }) => digest));
    const provenance = await gatherProvenance(workspace, name, signal);
    const { node, content, holdings } = await presentNode(workspace, planned);
    const outputs: ExportedFile[] = [];
    for (const [i, item] of content.entries()) {
      const holding = holdings[i];
      if (!holding) throw new Error(`${name} has no place`);
      const many = content.length > 1;
      const below =
        node.output === undefined
          ? `${name}/${item.name}`
          : many
            ? `${node.output}/${item.name}`
            : node.output;
      const to = join(dir, OUTPUTS, below);
      await mkdir(dirname(to), { recursive: true });
      await copyHolding(workspace, holding, item, to, { signal });
      if (item.type === 'file' && (node.executable || item.executable === true)) await chmod(to, 0o755);
      const sums = provenance.outputs.filter(({ path }) => path === holding.path);
      const sha256 = item.type === 'file' ? sums[0]?.sha256 : undefined;
      outputs.push({ path: `${OUTPUTS}/${below}`, type: item.type, size: item.size, sha256 });
    }
    const path = `${PROVENANCE}/${name}.json`;
    await writeJson(join(dir, path), statement(provenance));
    nodes.push({ provenance, description: node.description, statement: path, outputs });
  }
  return nodes;
}

const OUTPUTS = 'outputs';
const PROVENANCE = 'provenance';

async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`, { flag: 'wx' });
}
