// Where a node's content comes from: what it was made of and by what, as far down as there is anything. Only of content that is
// here, as res made it: of nothing else is it known.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { GROUP } from '../graph/groups.js';
import { closure } from '../graph/select.js';
import { valuesOf } from '../graph/variants.js';
import { readManifestFiles } from '../manifest/files.js';
import type { Content } from '../model/content.js';
import { digestAlgorithm, digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';
import type { NodePlan } from '../model/plan.js';
import type { Provenance, ProvenanceSource, ProvenanceStep } from '../model/report.js';
import { pinnedEntry } from '../plan/assess.js';
import { type Holding, Holdings, outputPaths } from '../plan/places.js';
import { planNodes } from '../plan/plan.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import { expandPath } from '../sources/path.js';
import { redactRecipe, redactUrl } from '../sources/redact.js';
import { errorCode, ioError } from '../store/files.js';
import { summedFiles } from './plain-sums.js';

/** A node whose content is here. */
export interface PresentNode {
  readonly node: Node;
  readonly content: Content;
  /** Where each item of it is. */
  readonly holdings: readonly Holding[];
}

/**
 * Rejects with ResError `file-not-found` for a node that is not built, `output-modified` where somebody wrote to it, `usage` for
 * a group.
 * @param planned its plan, and where it is asked for
 */
export async function presentNode(workspace: Workspace, planned: NodePlan): Promise<PresentNode> {
  const { name } = planned;
  const node = workspace.graph.nodes.get(name);
  if (!node) throw new Error(`${name} is not in the graph`);
  if (node.kind === GROUP) {
    throw new ResError('usage', `${name} is a group: a name for several nodes`, {
      hint: `name one of them: ${node.references.map((reference) => reference.node).join(' ')}`,
    });
  }
  if (planned.state === 'modified') {
    throw new ResError('output-modified', `${name}: its output was changed by hand since res made it`, {
      hint: '`res build --overwrite` makes it anew; `res build --as-is` accepts it as it is now.',
    });
  }
  const { content } = planned;
  const held = content && (await new Holdings(workspace).findAll(node, content));
  // What another workspace has is believed only once it was copied and read, and a build does that.
  if (!content || !held || held.some(({ place }) => place === 'elsewhere')) {
    throw new ResError('file-not-found', `${name} is not built: there is nothing to tell of`, {
      hint: `Run \`res build ${name}\` first.`,
    });
  }
  return { node, content, holdings: held };
}

/** Rejects as `presentNode`, with ResError `io`, or with the signal's reason. */
export async function gatherProvenance(
  workspace: Workspace,
  name: string,
  signal?: AbortSignal,
): Promise<Provenance> {
  const { graph, state } = workspace;
  const plan = await planNodes(workspace, [name]);
  const planned = plan.nodes.get(name);
  if (!planned) throw new Error(`${name} is not in its own plan`);
  const { node, content, holdings } = await presentNode(workspace, planned);
  const places = holdings.map(({ path }) => path);
  const steps: ProvenanceStep[] = [];
  const sources: ProvenanceSource[] = [];
  for (const each of closure(graph, [name])) {
    const [declared, known] = [graph.nodes.get(each), plan.nodes.get(each)];
    if (!declared || !known) continue;
    steps.push(stepOf(workspace, declared, known));
    sources.push(...(await sourcesOf(workspace, declared, known)));
  }
  const key = planned.key ?? '';
  const trace = state.traces.get(key);
  const record = state.nodes.get(name);
  const finished = trace?.at ?? (record?.key === key ? record.at : undefined);
  const took = trace?.durationMs ?? record?.durationMs ?? 0;
  return {
    node: name,
    params: valuesOf(graph, node)[0] ?? {},
    manifest: await manifestFiles(workspace),
    outputs: namedOutputs(workspace, node, content, await summedFiles(workspace, content, places, signal)),
    sources,
    steps,
    startedAt: finished === undefined ? null : finished - took,
    finishedAt: finished ?? null,
  };
}

function stepOf({ state }: Workspace, node: Node, { key, action }: NodePlan): ProvenanceStep {
  return {
    node: node.name,
    kind: node.kind,
    recipe: action?.recipe ?? redactRecipe(node.recipe),
    inputs: node.references.map(({ role, node: input }) => ({ role, node: input })),
    tools: action?.tools ?? {},
    key,
    asIs: state.traces.get(key ?? '')?.asIs === true,
  };
}

async function sourcesOf(
  workspace: Workspace,
  node: Node,
  { content }: NodePlan,
): Promise<readonly ProvenanceSource[]> {
  const maker = makerOf(node);
  if (maker.is !== 'source') return [];
  const sums = (content ?? []).map(({ digest }) =>
    digestAlgorithm(digest) === 'sha256' ? digestHex(digest) : null,
  );
  const { dir } = workspace.graph.manifest;
  if (maker.source.place === 'workspace') {
    const files = await expandPath(maker.source.identity(node.recipe), dir);
    return files.map(({ name, path }, i) => ({
      node: node.name,
      name,
      path: relative(dir, path),
      url: null,
      sha256: sums[i] ?? null,
      gitCommit: null,
      size: content?.[i]?.size ?? null,
      source: null,
      release: null,
    }));
  }
  const entry = pinnedEntry(workspace, node, maker.source);
  const commit = entry?.commit ?? null;
  return (entry?.files ?? []).map(({ name, url, sha256, directory, size }, i) => ({
    node: node.name,
    name,
    path: null,
    url: redactUrl(url),
    sha256: sha256 ?? sums[i] ?? null,
    gitCommit: directory === undefined ? null : commit,
    size: size ?? content?.[i]?.size ?? null,
    source: redactUrl(maker.source.identity(node.recipe)),
    release: entry?.tag ?? commit,
  }));
}

/** By the path below output-dir where there is one. */
function namedOutputs(
  workspace: Workspace,
  node: Node,
  content: Content,
  files: Provenance['outputs'],
): Provenance['outputs'] {
  const { outputDir } = workspace.graph.manifest;
  const names = new Map(
    outputPaths(workspace, node, content).map(({ path, item }) => [item?.name, relative(outputDir, path)]),
  );
  return files.map((file) => {
    const [first = '', ...below] = file.name.split('/');
    const at = names.get(first);
    return at === undefined ? file : { ...file, name: [at, ...below].join('/') };
  });
}

/** The manifest, what it includes, and the lock where there is one: relative to the manifest's folder. */
export async function manifestFiles({ graph, lockFile }: Workspace): Promise<Provenance['manifest']> {
  const { file } = graph.manifest;
  const { all } = readManifestFiles(file, dirname(file));
  const found: { path: string; name: string; sha256: string; size: number }[] = [];
  for (const path of [...all.map(({ source }) => source.file), lockFile]) {
    try {
      const bytes = await readFile(path);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      found.push({ path, name: relative(dirname(file), path), sha256, size: bytes.length });
    } catch (error) {
      if (path !== lockFile || errorCode(error) !== 'ENOENT') throw ioError(error, 'cannot read', path);
    }
  }
  return found;
}
