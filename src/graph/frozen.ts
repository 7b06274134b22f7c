// A graph as text and back, so that a manifest that did not change need not be parsed again: YAML takes many times as long.
//
// Nodes are told by their number in the order of the manifest. Where things stand in the manifest is not in the text: it is asked
// for only in complaints.
import type { Location } from '../model/diagnostic.js';
import type { Graph } from '../model/graph.js';
import type { JsonObject } from '../model/json.js';
import type { Manifest } from '../model/manifest.js';
import type { Keep, NamedOutput, Node, NodeSection, Reference, Variant, Verify } from '../model/node.js';

/** Finds a place in the manifest itself; `node` undefined: at its top. */
export type Locate = (node: string | undefined, path: readonly (string | number)[]) => Location;

/** What few nodes have. */
interface Extra {
  readonly description?: string;
  readonly executable?: true;
  readonly keep?: Keep;
  readonly outputs?: readonly NamedOutput[];
  readonly implied?: true;
  readonly verify?: Verify;
  readonly variants?: readonly Variant[];
  readonly combinations?: readonly Readonly<Record<string, string>>[];
}

/** Index in `makers`; recipe; role and number of each reference in turn, roles (with the output that is meant) as indexes in `roles`; output, or 0. */
type FrozenNode = readonly [
  name: string,
  maker: number,
  recipe: JsonObject,
  references: readonly number[],
  output: string | 0,
  extra?: Extra,
];

interface Frozen {
  readonly manifest: Omit<Manifest, 'nodes' | 'locate'>;
  readonly makers: readonly (readonly [section: NodeSection, kind: string])[];
  readonly roles: readonly (readonly [role: string, item?: string])[];
  readonly nodes: readonly FrozenNode[];
  /** Numbers. */
  readonly order: readonly number[];
}

/** One line of JSON. */
export function freezeGraph({ manifest, nodes, order }: Graph): string {
  const numbers = new Map([...nodes.keys()].map((name, i) => [name, i]));
  const numberOf = (name: string) => {
    const number = numbers.get(name);
    if (number === undefined) throw new Error(`${name} is not in the graph`);
    return number;
  };
  const makers = new Table<readonly [NodeSection, string]>();
  const roles = new Table<readonly [string, string?]>();
  const { nodes: _, locate: __, ...top } = manifest;
  const frozen: Frozen = {
    manifest: top,
    nodes: [...nodes.values()].map((node) => {
      const references = node.references.flatMap(({ role, node: name, item }) => [
        item === undefined ? roles.indexOf(role, [role]) : roles.indexOf(`${role} ${item}`, [role, item]),
        numberOf(name),
      ]);
      const maker = makers.indexOf(`${node.section} ${node.kind}`, [node.section, node.kind]);
      const extra = extraOf(node);
      const plain = [node.name, maker, node.recipe, references, node.output ?? 0] as const;
      return extra ? [...plain, extra] : plain;
    }),
    order: order.map(numberOf),
    makers: makers.rows,
    roles: roles.rows,
  };
  return JSON.stringify(frozen);
}

/** @param text of `freezeGraph`, whole */
export function thawGraph(text: string, locate: Locate): Graph {
  const frozen: unknown = JSON.parse(text);
  if (!isFrozen(frozen)) throw new Error('this is no graph');
  const names = frozen.nodes.map(([name]) => name);
  const nodes = new Map<string, Node>();
  for (const each of frozen.nodes) nodes.set(each[0], thawNode(each, frozen, names, locate));
  return {
    manifest: {
      ...frozen.manifest,
      nodes: [...nodes.values()].filter(({ implied }) => !implied),
      locate: (path) => locate(undefined, path),
    },
    nodes,
    order: frozen.order.map((i) => names[i] ?? ''),
  };
}

const NONE: readonly never[] = [];
const AUTO: Keep = 'auto';

function thawNode(
  [name, maker, recipe, numbers, output, extra]: FrozenNode,
  { makers, roles }: Frozen,
  names: readonly string[],
  locate: Locate,
): Node {
  const [section, kind] = makers[maker] ?? ['target', ''];
  const references: Reference[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    const [role = '', item] = roles[numbers[i] ?? 0] ?? [];
    const reference = { role, node: names[numbers[i + 1] ?? 0] ?? '' };
    references.push(item === undefined ? reference : { ...reference, item });
  }
  const node = {
    name,
    section,
    kind,
    recipe,
    executable: extra?.executable ?? false,
    keep: extra?.keep ?? AUTO,
    variants: extra?.variants ?? NONE,
    locate: (path: readonly (string | number)[]) => locate(name, path),
    references,
  };
  const whole: Node = output === 0 ? node : Object.assign(node, { output });
  if (extra === undefined) return whole;
  return {
    ...whole,
    ...(extra.description === undefined ? {} : { description: extra.description }),
    ...(extra.verify === undefined ? {} : { verify: extra.verify }),
    ...(extra.outputs === undefined ? {} : { outputs: extra.outputs }),
    ...(extra.implied === undefined ? {} : { implied: extra.implied }),
    ...(extra.combinations === undefined ? {} : { combinations: extra.combinations }),
  };
}

function extraOf({
  description,
  executable,
  keep,
  verify,
  variants,
  outputs,
  implied,
  combinations,
}: Node): Extra | undefined {
  const extra: Extra = {
    ...(description === undefined ? {} : { description }),
    ...(executable ? { executable } : {}),
    ...(keep === 'auto' ? {} : { keep }),
    ...(verify === undefined ? {} : { verify }),
    ...(outputs === undefined ? {} : { outputs }),
    ...(implied === undefined ? {} : { implied }),
    ...(variants.length === 0 ? {} : { variants }),
    ...(combinations === undefined ? {} : { combinations }),
  };
  return Object.keys(extra).length === 0 ? undefined : extra;
}

/** Values that occur again and again, by their index. */
class Table<T> {
  readonly rows: T[] = [];
  readonly #index = new Map<string, number>();

  indexOf(key: string, row: T): number {
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    this.#index.set(key, this.rows.length);
    return this.rows.push(row) - 1;
  }
}

/** Who keeps the text vouches for the rest. */
function isFrozen(value: unknown): value is Frozen {
  return typeof value === 'object' && value !== null && 'nodes' in value && 'order' in value;
}
