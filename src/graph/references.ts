// References: what each node's recipe and `verify` name, found to be real.

import { oneOf, suggest } from '../manifest/nearest.js';
import type { Diagnostic } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';
import {
  type KindReferences,
  type NodeDeclaration,
  parseReference,
  type WrittenReference,
} from '../model/node.js';
import { GROUP } from './groups.js';

export type PlacedReference = WrittenReference;

/** Looking for a near name among all is slow: after this many unknown ones, the rest get no hint. */
const MAX_HINTS = 50;

export interface ReferencesRequest {
  readonly nodes: readonly NodeDeclaration[];
  /** All names that are declared, also those of nodes that are not in `nodes`. */
  readonly names: ReadonlySet<string>;
  /** Nodes whose recipe is not whole: what their kind has against the rest of it would mislead. */
  readonly flawed: ReadonlySet<string>;
  readonly kinds: ReadonlyMap<string, KindReferences>;
  /** Whether a name that is not declared is a complaint: it is not while some file could not be read. */
  readonly complete: boolean;
  readonly complain: (problem: Diagnostic) => void;
}

/** The references of every node, in order of meaning, `sums` last; those to unknown nodes are complained about and left out. */
export function findReferences(request: ReferencesRequest): ReadonlyMap<string, readonly PlacedReference[]> {
  const { nodes, names, flawed, kinds, complete, complain } = request;
  const groups = new Map(nodes.filter((node) => node.kind === GROUP).map((node) => [node.name, node]));
  const byName = new Map(nodes.map((node) => [node.name, node]));
  let hints = 0;

  const accept = (node: NodeDeclaration, reference: PlacedReference): boolean => {
    const location = () => node.locate(reference.path);
    if (reference.implies) return true;
    if (!names.has(reference.node)) {
      if (!complete) return false;
      hints += 1;
      const hint = hints <= MAX_HINTS ? suggest(reference.node, names, 'nodes') : undefined;
      complain(withHint({ message: `no node is called \`${reference.node}\``, location: location() }, hint));
      return false;
    }
    const group = groups.get(reference.node);
    if (group && node.kind !== GROUP) {
      const members = referencesOf(group, kinds).map(({ node }) => node);
      const message = `\`${reference.node}\` is a group: a name for several nodes, without content of its own`;
      complain(
        withHint(
          { message, location: location() },
          members.length <= 20 ? `name ${oneOf(members)}` : undefined,
        ),
      );
      return false;
    }
    const problem = itemProblem(reference, byName.get(reference.node));
    if (problem && !flawed.has(reference.node))
      complain(withHint({ message: problem.message, location: location() }, problem.hint));
    return problem === undefined;
  };

  for (const node of nodes) {
    for (const problem of placeProblems(node, byName, kinds)) complain(problem);
    const problem = flawed.has(node.name) ? undefined : recipeProblem(node, kinds);
    if (problem)
      complain(withHint({ message: problem.message, location: node.locate([node.kind]) }, problem.hint));
  }
  return new Map(nodes.map((node) => [node.name, referencesOf(node, kinds).filter((r) => accept(node, r))]));
}

/** What is wrong with the places of a node whose content names its inputs by where they lie, or of one that would take such content elsewhere. */
function placeProblems(
  node: NodeDeclaration,
  nodes: ReadonlyMap<string, NodeDeclaration>,
  kinds: ReadonlyMap<string, KindReferences>,
): readonly Diagnostic[] {
  const kind = kinds.get(node.kind);
  const leans = kind?.leans !== undefined;
  const moves = kind?.moves?.(node.recipe) === true;
  if (!kind || !(leans || moves)) return [];
  const problems: Diagnostic[] = [];
  if (leans && node.output === undefined) {
    problems.push({
      message: `\`${node.kind}\` needs an \`output\`: its content says the way from there to another file`,
      location: node.locate([node.kind]),
      hint: `say where it is to lie: \`output: ${node.name}\``,
    });
  }
  for (const { node: name, path } of kind.references(node.recipe)) {
    const input = nodes.get(name);
    const made = input && kinds.get(input.kind);
    if (!input || input.kind === GROUP) continue;
    if (leans && input.output === undefined && made?.lies !== true) {
      problems.push({
        message: `\`${name}\` has no \`output\`: \`${node.kind}\` needs it to lie in one place`,
        location: node.locate(path),
        hint: `give \`${name}\` an \`output\``,
      });
    }
    if (moves && made?.leans !== undefined) {
      const [below] = made.references(input.recipe);
      problems.push({
        message: `from another place, \`${name}\` would not find \`${below?.node ?? 'what it stands on'}\``,
        location: node.locate(path),
        hint: `make another one (\`${input.kind}: ${below?.node ?? ''}\`), or one image of both (\`convert: ${name}\`)`,
      });
    }
  }
  return problems;
}

/** What is wrong with the output that a reference names. */
function itemProblem(
  { item, node: name }: PlacedReference,
  node: NodeDeclaration | undefined,
): { readonly message: string; readonly hint: string } | undefined {
  if (item === undefined || !node) return undefined;
  const outputs = node.outputs?.map((output) => output.name);
  if (!outputs)
    return {
      message: `\`${name}\` has no outputs by name`,
      hint: `name the node alone: \`${name}\``,
    };
  if (outputs.includes(item)) return undefined;
  const hint = suggest(item, outputs) ?? `it has ${oneOf(outputs, 'and')}`;
  return { message: `\`${name}\` has no output called \`${item}\``, hint };
}

/** What the kind has against its recipe as a whole. */
function recipeProblem(
  node: NodeDeclaration,
  kinds: ReadonlyMap<string, KindReferences>,
): ResError | undefined {
  try {
    kinds.get(node.kind)?.check?.(node.recipe);
    return undefined;
  } catch (error) {
    if (error instanceof ResError && error.code === 'manifest-invalid') return error;
    throw error;
  }
}

/** All of a node, `sums` of `verify` last, whether they are real or not. */
export function referencesOf(
  node: NodeDeclaration,
  kinds: ReadonlyMap<string, KindReferences>,
): readonly PlacedReference[] {
  const kind = kinds.get(node.kind);
  if (!kind) throw new Error(`the kind ${node.kind} has a schema but is not registered`);
  const references = kind.references(node.recipe);
  if (node.verify === undefined || !('sums' in node.verify)) return references;
  return [...references, { role: 'sums', ...parseReference(node.verify.sums), path: ['verify', 'sums'] }];
}

function withHint(problem: Diagnostic, hint: string | undefined): Diagnostic {
  return hint === undefined ? problem : { ...problem, hint };
}
