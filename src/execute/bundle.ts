// One archive with all that another machine needs to have some nodes without a network: the manifest, the lock, files of the
// workspace, what is known of the nodes, and their content.
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { closure } from '../graph/select.js';
import type { Trace } from '../model/action.js';
import type { Item } from '../model/content.js';
import { digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Plan } from '../model/plan.js';
import { type Holding, Holdings, isStill } from '../plan/places.js';
import { planNodes } from '../plan/plan.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import { expandPath } from '../sources/path.js';
import { ioError, publish, tempBeside } from '../store/files.js';
import type { NodeRecord } from '../store/state.js';
import { aloneIn } from './alone.js';
import { type BundledFile, type BundleIndex, encodeIndex, FILES, INDEX, objectName } from './bundle-index.js';
import { publishable } from './export.js';
import type { LockWorkspaceOptions } from './lock-workspace.js';
import { presentNode } from './provenance.js';
import { tarBytes, tarEnd, tarTree } from './tar-writer.js';

export interface BundleReport {
  readonly objects: number;
  readonly files: number;
  /** Bytes of all that is in it, holes included. */
  readonly contentBytes: number;
  /** Nodes that another version of a program would have to make again there, and cannot, as what they are made of is not here. */
  readonly incomplete: readonly string[];
}

interface Packed {
  readonly index: BundleIndex;
  readonly files: readonly (BundledFile & { readonly from: string })[];
  /** In the order of the index. */
  readonly objects: readonly { readonly item: Item; readonly holding: Holding }[];
  readonly incomplete: readonly string[];
}

/**
 * Packs nodes into `file`: `.tar`, or `.tar.gz` or `.tgz` compressed. What stands there is replaced at the end. The same content
 * and records give the same bytes. Rejects with ResError `usage` for another ending and for a manifest that cannot be given away,
 * `file-not-found` for a node that is not built, `output-modified`, `io`, `no-space`; or with the signal's reason.
 * @param names of nodes, groups taken apart already
 * @param flags that say of params on a command line what the workspace's graph was loaded with
 */
export async function bundle(
  workspace: Workspace,
  names: readonly string[],
  file: string,
  o: Pick<LockWorkspaceOptions, 'onWait'> & {
    readonly signal: AbortSignal;
    readonly flags: readonly string[];
  },
): Promise<BundleReport> {
  const isCompressed = /\.(?:tar\.gz|tgz)$/.test(file);
  if (!isCompressed && !file.endsWith('.tar')) {
    throw new ResError('usage', `${file}: the ending says what a bundle is written as`, {
      hint: 'It is one of .tar, .tar.gz and .tgz. What is in disk images and archives is often compressed already.',
    });
  }
  const { signal } = o;
  return aloneIn(workspace, { describe: 'res bundle', onWait: o.onWait, signal }, async () => {
    const packed = await collect(workspace, names, o.flags);
    const temp = tempBeside(file);
    try {
      const bytes = Readable.from(archive(workspace, packed, signal), { objectMode: false });
      const out = createWriteStream(temp, { flags: 'wx' });
      if (isCompressed) await pipeline(bytes, createGzip(), out, { signal });
      else await pipeline(bytes, out, { signal });
      await publish(temp, file);
    } catch (error) {
      signal.throwIfAborted();
      throw ioError(error, 'cannot write', file);
    } finally {
      await rm(temp, { force: true });
    }
    const { index, incomplete } = packed;
    const contentBytes = [...index.files, ...index.objects].reduce((sum, { size }) => sum + size, 0);
    return { objects: index.objects.length, files: index.files.length, contentBytes, incomplete };
  });
}

async function* archive(
  workspace: Workspace,
  { index, files, objects }: Packed,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield* tarBytes(INDEX, encodeIndex(index));
  for (const { path, from } of files) yield* tarTree(`${FILES}/${path}`, from, signal);
  for (const { item, holding } of objects) {
    yield* tarTree(objectName(item), holding.path, signal);
    // Where others may write, somebody may have; what lies in the store is nobody's to write to.
    if (holding.place === 'store' || (await isStill(workspace, holding.path, item))) continue;
    throw new ResError('io', `${holding.path} was changed while it was read`, {
      hint: 'Pack again when no other program writes to it.',
    });
  }
  yield tarEnd();
}

async function collect(
  workspace: Workspace,
  names: readonly string[],
  flags: readonly string[],
): Promise<Packed> {
  const { graph, state } = workspace;
  const needed = closure(graph, names);
  const plan = await planNodes(workspace, needed);
  const files = new Map<string, BundledFile & { readonly from: string }>();
  for (const { name, path, sha256, size } of await publishable(workspace))
    files.set(name, { path: name, sha256, size, from: path });
  for (const file of await workspaceFiles(workspace, needed, plan)) files.set(file.path, file);
  const { objects, incomplete } = await contents(workspace, names, plan);
  const traces: Record<string, Trace> = {};
  const records: Record<string, NodeRecord> = {};
  for (const name of needed) {
    const key = plan.nodes.get(name)?.key;
    const trace = key ? state.traces.get(key) : undefined;
    if (key && trace) traces[key] = trace;
    const record = state.nodes.get(name);
    if (record?.status === 'done' && record.key === key) records[name] = record;
  }
  const sorted = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const index: BundleIndex = {
    manifest: relative(graph.manifest.dir, graph.manifest.file),
    nodes: names,
    flags,
    files: sorted.map(({ path, sha256, size }) => ({ path, sha256, size })),
    objects: objects.map(({ item: { digest, type, size } }) => ({ digest, type, size })),
    traces: sortedByKey(traces),
    records: sortedByKey(records),
  };
  return { index, files: sorted, objects, incomplete };
}

async function workspaceFiles(
  workspace: Workspace,
  needed: readonly string[],
  plan: Plan,
): Promise<readonly (BundledFile & { readonly from: string })[]> {
  const { graph } = workspace;
  const { dir } = graph.manifest;
  const found: (BundledFile & { readonly from: string })[] = [];
  for (const name of needed) {
    const node = graph.nodes.get(name);
    const maker = node && makerOf(node);
    if (!node || maker?.is !== 'source' || maker.source.place !== 'workspace') continue;
    const content = plan.nodes.get(name)?.content ?? [];
    for (const [i, { path: from }] of (await expandPath(maker.source.identity(node.recipe), dir)).entries()) {
      const path = relative(dir, from);
      const item = content[i];
      if (!item) throw new Error(`${name} has no content`);
      if (path.startsWith('..')) {
        throw new ResError('usage', `${name} reads ${path}, which is not in the manifest's folder`, {
          hint: 'Put it there: on another machine there is only that folder.',
          diagnostics: [{ message: 'here', location: node.locate([node.kind]) }],
        });
      }
      found.push({ path, from, sha256: digestHex(item.digest), size: item.size });
    }
  }
  return found;
}

/**
 * What the nodes have. Of one that a program makes, what it is made of too: where that program has another version, it is made
 * again.
 */
async function contents(
  workspace: Workspace,
  names: readonly string[],
  plan: Plan,
): Promise<Pick<Packed, 'objects' | 'incomplete'>> {
  const { graph, shared } = workspace;
  const holdings = new Holdings(workspace);
  const objects = new Map<string, Packed['objects'][number]>();
  const seen = new Set<string>();
  const incomplete: string[] = [];

  const add = (items: readonly Item[], held: readonly Holding[]) => {
    for (const [i, item] of items.entries()) {
      const holding = held[i];
      // Files of the workspace are packed as what they are.
      if (holding && holding.place !== 'workspace') objects.set(objectName(item), { item, holding });
    }
  };
  /** Whether the node could be made there. */
  const addInput = async (name: string): Promise<boolean> => {
    const [node, planned] = [graph.nodes.get(name), plan.nodes.get(name)];
    if (!node || !planned) return false;
    const content = planned.content ?? [];
    const held = planned.content && (await holdings.findAll(node, planned.content));
    if (held?.every(({ place }) => place !== 'elsewhere')) {
      add(content, held);
      return usesProgram(name) ? addInputs(name) : true;
    }
    return makerOf(node).is === 'kind' && (await addInputs(name));
  };
  const addInputs = async (name: string): Promise<boolean> => {
    if (seen.has(name)) return true;
    seen.add(name);
    let all = true;
    for (const { node: input } of graph.nodes.get(name)?.references ?? [])
      if (!(await addInput(input))) all = false;
    return all;
  };
  const usesProgram = (name: string): boolean => {
    const node = graph.nodes.get(name);
    const maker = node && makerOf(node);
    return maker?.is === 'kind' && maker.kind.tools(node?.recipe ?? {}).length > 0;
  };

  for (const name of names) {
    const planned = plan.nodes.get(name);
    if (!planned) throw new Error(`${name} is not in its own plan`);
    shared?.lease((planned.content ?? []).map(({ digest }) => digest));
    const { content, holdings: held } = await presentNode(workspace, planned);
    add(content, held);
    if (usesProgram(name) && !(await addInputs(name))) incomplete.push(name);
  }
  shared?.lease([...objects.values()].map(({ item }) => item.digest));
  const sorted = [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  return { objects: sorted, incomplete };
}

function sortedByKey<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
