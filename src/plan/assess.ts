// What is known of one node from what is known of its inputs: its action, its key, its content. Nothing is run and
// nothing is asked; plan and build both stand on this.
import { hash } from 'node:crypto';
import { type Kind, makingOf } from '../kinds/kind.js';
import { type Action, type ActionInput, KEY_FORMAT, type Trace } from '../model/action.js';
import type { Content, Item } from '../model/content.js';
import { sha256Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { canonicalJson, type JsonObject } from '../model/json.js';
import { type LockEntry, lockedItem } from '../model/lock.js';
import { type Node, type Reference, selected } from '../model/node.js';
import { plainFile, workspaceFiles } from '../sources/path.js';
import { redactRecipe } from '../sources/redact.js';
import type { Pin, Source } from '../sources/source.js';
import { digestsBelow, placesOf } from './leaning.js';
import { makerOf } from './registry.js';
import type { Workspace } from './workspace.js';

export interface Assessment {
  /** Null while an input is not known. */
  readonly action: Action | null;
  readonly key: string | null;
  /** Null while not known: the action has no trace, or the source is not locked. */
  readonly content: Content | null;
}

/** Content of an input by the name of its node; null while not known. */
export type ContentOf = (node: string) => Content | null;

export function actionKey({ kind, recipe, tools, inputs }: Action): string {
  const given = inputs.map(({ role, digests, names }) =>
    names === undefined ? { role, digests } : { role, digests, names },
  );
  const text = canonicalJson({ format: KEY_FORMAT, kind, recipe, tools, inputs: given });
  return hash('sha256', text);
}

/** What came of an action: in this workspace, or in another one that uses the same store. */
export function traceOf({ state, shared }: Workspace, key: string): Trace | undefined {
  return state.traces.get(key) ?? shared?.actions.get(key);
}

/**
 * A promise only where something has to be waited for (a file to be read, a program to be asked): of many nodes there is
 * nothing. Throws or rejects with ResError for a `path` artifact whose file is missing, for a pin that contradicts the lock, and for an artifact
 * whose known content is not what its `verify` says.
 */
export function assess(
  workspace: Workspace,
  node: Node,
  contentOf: ContentOf,
): Assessment | Promise<Assessment> {
  const maker = makerOf(node);
  return maker.is === 'source'
    ? assessArtifact(workspace, node, maker.source, contentOf)
    : assessTarget(workspace, node, maker.kind, contentOf);
}

function assessArtifact(
  workspace: Workspace,
  node: Node,
  source: Source,
  contentOf: ContentOf,
): Assessment | Promise<Assessment> {
  const content = artifactContent(workspace, node, source);
  return content instanceof Promise
    ? content.then((found) => assessContent(workspace, node, found, contentOf))
    : assessContent(workspace, node, content, contentOf);
}

function assessContent(
  workspace: Workspace,
  node: Node,
  content: Content | null,
  contentOf: ContentOf,
): Assessment {
  if (content) checkVerified(node, content);
  const inputs = content ? [{ role: 'content', digests: content.map((item) => item.digest) }] : [];
  // Actions are remembered and shown: no secret of a URL may be in one.
  const action: Action = { kind: node.kind, recipe: redactRecipe(node.recipe), tools: {}, inputs };
  if (!node.verify || !('sums' in node.verify)) return { action, key: actionKey(action), content };
  const reference = node.references.find(({ role }) => role === 'sums');
  const listed = reference && contentOf(reference.node);
  const sums = listed && selected(reference, listed);
  if (!sums) return { action, key: actionKey(action), content: null };
  // Accepted only once it was held against just this list: the trace tells of that.
  const held = {
    ...action,
    inputs: [...inputs, { role: 'sums', digests: sums.map((item) => item.digest) }],
  };
  const key = actionKey(held);
  return { action: held, key, content: content && traceOf(workspace, key) ? content : null };
}

/**
 * The content that an artifact's source stands for, whether or not it was verified; null while not known. A promise only
 * where something has to be waited for.
 */
export function artifactContent(
  workspace: Workspace,
  node: Node,
  source: Source,
): Content | null | Promise<Content | null> {
  return source.place === 'workspace'
    ? workspaceContent(workspace, node, source)
    : remoteContent(workspace, node, source);
}

/** What is known without its bytes is held against `verify` without them. Throws ResError `checksum-mismatch`. */
function checkVerified({ name, verify, locate }: Node, content: Content): void {
  if (!verify || !('sha256' in verify)) return;
  const expected = sha256Digest(verify.sha256);
  const wrong = content.find(({ digest }) => digest !== expected);
  if (!wrong) return;
  throw new ResError(
    'checksum-mismatch',
    `${name}: ${wrong.name} does not have the checksum that \`verify\` asks for`,
    {
      hint: `It has ${wrong.digest}, but the manifest says ${expected}.`,
      diagnostics: [{ message: 'asked for here', location: locate(['verify']) }],
    },
  );
}

function workspaceContent(workspace: Workspace, node: Node, source: Source): Content | Promise<Content> {
  const file = plainFile(source.identity(node.recipe), workspace.graph.manifest.dir);
  const known = file && workspace.cache.knownBy(file.path, file.stats, 'sha256');
  if (file && known) return [{ name: file.name, type: 'file', digest: known.digest, size: known.size }];
  return readContent(workspace, node);
}

async function readContent(workspace: Workspace, node: Node): Promise<Content> {
  const { dir } = workspace.graph.manifest;
  const files = await workspaceFiles(node.recipe, dir).catch((error: unknown) => {
    if (!(error instanceof ResError)) throw error;
    throw new ResError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      diagnostics: [{ message: error.message, location: node.locate(node.implied ? [] : [node.kind]) }],
      cause: error,
    });
  });
  const items: Item[] = [];
  const { cache } = workspace;
  for (const { name, path, type } of files) {
    if (type === 'directory') checkFolder(workspace, node, path);
    const known =
      type === 'directory'
        ? await cache.digestOfDirectory(path)
        : (cache.knownSync(path, 'sha256') ?? (await cache.digestOf(path, 'sha256')));
    items.push({ name, type, digest: known.digest, size: known.size });
  }
  return items;
}

/** A folder that a build itself writes to is another one each time. Throws ResError `manifest-invalid`. */
function checkFolder({ graph, paths }: Workspace, node: Node, path: string): void {
  const { outputDir } = graph.manifest;
  const within = [paths.root, outputDir].find((each) =>
    `${each}/`.startsWith(path === '/' ? path : `${path}/`),
  );
  if (within === undefined) return;
  const what = within === paths.root ? 'res keeps its records' : 'the outputs appear';
  throw new ResError('manifest-invalid', `${node.name} cannot be an input: in that folder ${what}`, {
    hint: 'Name the folders or files in it that are needed.',
    diagnostics: [{ message: `in that folder ${what}`, location: node.locate([]) }],
  });
}

/** The lock's entry for a source with the manifest's own pins laid over it. Throws ResError when they contradict. */
export function pinnedEntry(workspace: Workspace, node: Node, source: Source): LockEntry | undefined {
  const entry = workspace.lock.get(source.identity(node.recipe));
  if (!entry) return undefined;
  const pins: readonly Pin[] = source.pins(node.recipe) ?? [];
  return {
    ...entry,
    files: entry.files.map((file, i) => {
      const pin = pins[i];
      if (!pin) return file;
      if (
        (pin.sha256 !== undefined && file.sha256 !== undefined && pin.sha256.toLowerCase() !== file.sha256) ||
        (pin.size !== undefined && file.size !== undefined && pin.size !== file.size)
      ) {
        throw new ResError(
          'lock-mismatch',
          `${node.name}: the manifest pins other content for ${file.name} than the lock holds`,
          {
            hint: `If the pin is right, run \`res update ${node.name}\`; if the lock is right, correct the pin.`,
            diagnostics: [{ message: 'pinned here', location: node.locate([node.kind]) }],
          },
        );
      }
      return {
        ...file,
        ...(pin.sha256 === undefined ? {} : { sha256: pin.sha256.toLowerCase() }),
        ...(pin.size === undefined ? {} : { size: pin.size }),
      };
    }),
  };
}

function remoteContent(workspace: Workspace, node: Node, source: Source): Content | null {
  const entry = pinnedEntry(workspace, node, source);
  return entry ? entryContent(entry) : null;
}

/** The content that an entry fixes, or null while a digest or size is missing. */
export function entryContent(entry: LockEntry): Content | null {
  const items: Item[] = [];
  for (const file of entry.files) {
    const item = lockedItem(file);
    if (!item) return null;
    items.push(item);
  }
  return items;
}

function assessTarget(
  workspace: Workspace,
  node: Node,
  kind: Kind,
  contentOf: ContentOf,
): Assessment | Promise<Assessment> {
  const inputs: ActionInput[] = [];
  for (const reference of node.references) {
    const content = contentOf(reference.node);
    if (!content) return { action: null, key: null, content: null };
    const items = selected(reference, content);
    const below = digestsBelow(workspace.graph, reference.node, contentOf);
    const digests = [...items.map((item) => item.digest), ...below];
    const { role } = reference;
    if (kind.readsNames && isMany(workspace.graph, reference))
      inputs.push({ role, digests, names: items.map(({ name }) => name) });
    else inputs.push({ role, digests });
  }
  const recipe = keyedRecipe(
    workspace.graph,
    node,
    kind,
    kind.imageFormat && imageFormatOf(workspace, node.references[0]?.node),
  );
  const tools = kind.tools(node.recipe);
  const act = (identities: Action['tools']) =>
    assessAction(workspace, node, kind, contentOf, {
      kind: node.kind,
      recipe,
      tools: identities,
      inputs,
    });
  return tools.length === 0 ? act(NO_TOOLS) : toolIdentities(workspace, node, tools).then(act);
}

const NO_TOOLS = {};

function assessAction(
  workspace: Workspace,
  node: Node,
  kind: Kind,
  contentOf: ContentOf,
  action: Action,
): Assessment {
  const making = makingOf(kind, node.recipe);
  const key = actionKey(action);
  if (making.by !== 'naming' && making.by !== 'sharing')
    return { action, key, content: traceOf(workspace, key)?.content ?? null };
  // Only what is to be verified has a trace (it is accepted once it was), and what a person changed and had accepted.
  const trace = node.verify || node.output !== undefined ? traceOf(workspace, key) : undefined;
  if (node.verify && !trace) return { action, key, content: null };
  return { action, key, content: trace?.asIs ? trace.content : sharedContent(node, contentOf) };
}

/** What a node has of its inputs without doing anything to it. */
export function sharedContent(node: Node, contentOf: ContentOf): Content {
  return node.references
    .filter(({ role }) => role !== 'sums')
    .flatMap((r) => selected(r, contentOf(r.node) ?? []));
}

/** Whether a reference stands for a list of files, however many there are in it at the moment. */
export function isMany({ nodes }: Pick<Graph, 'nodes'>, { node: name, item }: Reference): boolean {
  const node = nodes.get(name);
  if (!node || item !== undefined) return false;
  const maker = makerOf(node);
  if (maker.is === 'source') return maker.source.many?.(node.recipe) ?? false;
  if (makingOf(maker.kind, node.recipe).by !== 'sharing') return (node.outputs?.length ?? 1) > 1;
  const [input] = node.references;
  return input !== undefined && isMany({ nodes }, input);
}

/** A pinned sum decides whether the bytes are accepted, so it is keyed with what decides them. */
function keyedRecipe(graph: Graph, node: Node, kind: Kind, inputFormat: string | undefined): JsonObject {
  return {
    ...kind.keyed(node.recipe),
    ...kind.leans?.(placesOf(graph, node)),
    ...(kind.imageFormat && inputFormat !== undefined ? { 'input-format': inputFormat } : {}),
    ...(node.verify && 'sha256' in node.verify ? { verify: node.verify.sha256 } : {}),
  };
}

/** By graph and node; undefined where nothing says which format it is. */
const imageFormats = new WeakMap<Graph, Map<string, string | undefined>>();

/** The image format that the producer of a node decided, looked up through kinds that hand it on. */
export function imageFormatOf({ graph }: Workspace, name: string | undefined): string | undefined {
  // Remembered, as chains are long: each of their nodes would ask all before it.
  const known = imageFormats.get(graph) ?? new Map<string, string | undefined>();
  imageFormats.set(graph, known);
  const passed: { readonly name: string; readonly kind: Kind; readonly recipe: JsonObject }[] = [];
  let at = name;
  while (at !== undefined && !known.has(at)) {
    const node = graph.nodes.get(at);
    const maker = node ? makerOf(node) : undefined;
    if (!node || maker?.is !== 'kind' || !maker.kind.imageFormat) break;
    passed.push({ name: at, kind: maker.kind, recipe: node.recipe });
    at = node.references[0]?.node;
  }
  let format = at === undefined ? undefined : known.get(at);
  for (const { name, kind, recipe } of passed.toReversed()) {
    format = kind.imageFormat?.(recipe, format);
    known.set(name, format);
  }
  return format;
}

/**
 * A program that is not there counts as the one that the node was last made with: that it was removed is no reason
 * to build anew, and when something must run, the missing program is an error of its own.
 */
async function toolIdentities(
  workspace: Workspace,
  node: Node,
  tools: readonly string[],
): Promise<Record<string, string>> {
  const identities: Record<string, string> = {};
  for (const tool of tools) {
    identities[tool] =
      (await workspace.tools.identity(tool)) ??
      workspace.state.nodes.get(node.name)?.action?.tools[tool] ??
      'not found';
  }
  return identities;
}
