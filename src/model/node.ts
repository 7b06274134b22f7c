// A node: one thing that can be had, with the recipe for it. Plain data; what a recipe means is known to its kind.
import type { Content } from './content.js';
import type { Location } from './diagnostic.js';
import type { JsonObject } from './json.js';

export type NodeSection = 'artifact' | 'target';

/** One use of a node by another. `role` says what for: `in`, `sums`, or the name of an input of `run`. */
export interface Reference {
  readonly role: string;
  readonly node: string;
  /** One output of a node that has several, by its name; absent: all that the node has. */
  readonly item?: string;
}

/** `NODE` or `NODE:OUTPUT`, as the manifest writes it. */
export function parseReference(text: string): Pick<Reference, 'node' | 'item'> {
  const colon = text.indexOf(':');
  return colon < 0 ? { node: text } : { node: text.slice(0, colon), item: text.slice(colon + 1) };
}

/** The opposite. */
export function referenceText({ node, item }: Pick<Reference, 'node' | 'item'>): string {
  return item === undefined ? node : `${node}:${item}`;
}

/** What a reference stands for, of all that its node has: the one place that knows. */
export function selected({ item }: Pick<Reference, 'item'>, content: Content): Content {
  return item === undefined ? content : content.filter(({ name }) => name === item);
}

/** One of several outputs of a node. */
export interface NamedOutput {
  /** Of the item in the node's content. */
  readonly name: string;
  /** Where it appears: relative to output-dir, with `/`. */
  readonly path: string;
}

/**
 * What becomes of a node's content while nothing needs it in its place. `auto`: downloads and replaced outputs stay in
 * the store until `gc`, intermediates are dropped. `never`: all of it is dropped. `always`: all of it stays, also from `gc`.
 */
export type Keep = 'never' | 'auto' | 'always';

export type Verify = { readonly sha256: string } | { readonly sums: string };

/** One row of the support table that `res list` prints. */
export interface Variant {
  /** Param values for which the row holds. */
  readonly when: Readonly<Record<string, string>>;
  readonly label?: string;
  readonly state?: 'stable' | 'experimental' | 'deprecated';
  readonly worksWith?: readonly string[];
}

/** A node as declared and interpolated: every string is final. */
export interface NodeDeclaration {
  readonly name: string;
  readonly section: NodeSection;
  /** The kind key: `url`, `github`, `merge`, `convert`, … */
  readonly kind: string;
  /**
   * The kind key and the kind's own fields, as in the manifest after interpolation:
   * `{ convert: 'qcow2', to: 'raw' }`. Fields common to all kinds are not in it.
   */
  readonly recipe: JsonObject;
  readonly description?: string;
  /** Relative to output-dir, with `/`. Absent: an intermediate. */
  readonly output?: string;
  /** Instead of `output`, of a node that has outputs by name, in their order. */
  readonly outputs?: readonly NamedOutput[];
  readonly executable: boolean;
  readonly keep: Keep;
  readonly verify?: Verify;
  readonly variants: readonly Variant[];
  /** Not declared in the manifest: a recipe names a file of the workspace, and this is the node that stands for it. */
  readonly implied?: true;
  /** Where a field of the node (or the node itself: `[]`) stands in the manifest; computed when asked. */
  readonly locate: (path: readonly (string | number)[]) => Location;
}

/** Paths below output-dir where a node's content appears; none of an intermediate. */
export function outputsOf({
  output,
  outputs,
}: Pick<NodeDeclaration, 'output' | 'outputs'>): readonly string[] {
  if (output !== undefined) return [output];
  return outputs?.map(({ path }) => path) ?? [];
}

export function outputsByName(outputs: readonly NamedOutput[]): Readonly<Record<string, string>> {
  return Object.fromEntries(outputs.map(({ name, path }) => [name, path]));
}

/** Whether a node's content has no place where it appears for the user. */
export function isIntermediate({ output, outputs }: Pick<NodeDeclaration, 'output' | 'outputs'>): boolean {
  return output === undefined && outputs === undefined;
}

/** A node in the graph: its references found to be real. */
export interface Node extends NodeDeclaration {
  /** In order of meaning; `sums` of `verify` last. */
  readonly references: readonly Reference[];
  /**
   * In a graph of several combinations of params: those in which the node is this one, each with the params that differ.
   * Its name is then `NAME@param=value,...`, or the plain one where it is the same in all.
   */
  readonly combinations?: readonly Readonly<Record<string, string>>[];
}

/** The name that the manifest has for a node, whatever combination of params it is for. */
export function plainName(name: string): string {
  const at = name.indexOf('@');
  return at < 0 ? name : name.slice(0, at);
}

/**
 * What the graph must know of a kind to find a recipe's references; kinds and sources give it
 * (graph/ lies below them and knows none by name).
 */
export interface KindReferences {
  /** Throws ResError `manifest-invalid` for fields that are each well formed and do not go together. */
  check?(recipe: JsonObject): void;
  /** Its content names its inputs by where they lie: it needs an `output`, and each of its inputs a place. */
  readonly leans?: unknown;
  /** It puts the very content of its input into another place; by default it does not. */
  moves?(recipe: JsonObject): boolean;
  /** Its content lies in a place of its own without an `output`: it is a file of the workspace. */
  readonly lies?: boolean;
  /** References of the recipe, and the path in it where each is written, for diagnostics. */
  references(recipe: JsonObject): readonly WrittenReference[];
}

/** A reference as a recipe has it. */
export interface WrittenReference extends Reference {
  /** Where it is written, as a path in its node. */
  readonly path: readonly (string | number)[];
  /** What the node is, where it is none of the manifest's: a file that the recipe names. */
  readonly implies?: Pick<NodeDeclaration, 'section' | 'kind' | 'recipe'>;
}
