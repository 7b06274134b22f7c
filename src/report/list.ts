// What `res list` says: the nodes, and the support table of their variants.
import { valuesOf, variantOf } from '../graph/variants.js';
import { hasHoles } from '../manifest/interpolate.js';
import type { Graph } from '../model/graph.js';
import {
  type Node,
  type NodeSection,
  outputsByName,
  outputsOf,
  plainName,
  type Variant,
} from '../model/node.js';
import type { Page } from './paint.js';
import { table } from './table.js';
import { hang } from './text.js';

export interface ListJson {
  readonly name: string | null;
  readonly params: readonly {
    readonly name: string;
    readonly value: string | null;
    readonly default: string | null;
    readonly enum: readonly string[] | null;
    readonly description: string | null;
  }[];
  readonly nodes: readonly {
    readonly name: string;
    readonly section: NodeSection;
    readonly kind: string;
    readonly description: string | null;
    /** Relative to the output folder; null for an intermediate. */
    readonly output: string | null;
    /** Instead, of a node with outputs by name. */
    readonly outputs?: Readonly<Record<string, string>>;
    readonly default: boolean;
    readonly variants: readonly {
      readonly when: Readonly<Record<string, string>>;
      readonly label: string | null;
      readonly state: 'stable' | 'experimental' | 'deprecated' | null;
      readonly works_with: readonly string[];
      /** Whether the params in force are those of the row. */
      readonly current: boolean;
    }[];
  }[];
}

export function listJson(graph: Graph, names: readonly string[]): ListJson {
  const { manifest } = graph;
  return {
    name: manifest.name ?? null,
    params: manifest.params.map((param) => ({
      name: param.name,
      value: manifest.paramValues[param.name] ?? null,
      default: param.default ?? null,
      enum: param.enum ?? null,
      description: param.description ?? null,
    })),
    nodes: nodesOf(graph, names).map((node) => ({
      name: node.name,
      section: node.section,
      kind: node.kind,
      description: node.description ?? null,
      output: node.output ?? null,
      ...(node.outputs ? { outputs: outputsByName(node.outputs) } : {}),
      default: manifest.defaults.includes(node.name),
      variants: node.variants.map((variant) => ({
        when: variant.when,
        label: variant.label ?? null,
        state: variant.state ?? null,
        works_with: variant.worksWith ?? [],
        current: isCurrent(graph, node, variant),
      })),
    })),
  };
}

export function listText(graph: Graph, names: readonly string[], page: Page): string[] {
  const nodes = nodesOf(graph, names);
  if (nodes.length === 0) return ['the manifest has no nodes'];
  const variants = variantRows(graph, nodes);
  return [
    ...table(
      [
        { title: 'NODE', cut: 'middle' },
        { title: 'KIND' },
        { title: 'OUTPUT', cut: 'middle' },
        { title: 'DESCRIPTION', cut: 'end' },
      ],
      nodes.map((node) => [
        graph.manifest.defaults.includes(node.name) ? `${node.name} (default)` : node.name,
        node.kind,
        outputsOf(node).join(', '),
        node.description ?? '',
      ]),
      page,
    ),
    ...(variants.length === 0 ? [] : ['', ...variantTable(variants, graph, page)]),
  ];
}

const STATE_COLOURS = { stable: 'green', experimental: 'yellow', deprecated: 'red' } as const;

interface VariantRow {
  /** As the manifest has it: in a graph of several combinations of params, what is in all tables of a node stands once. */
  readonly name: string;
  readonly variant: Variant;
  readonly current: boolean;
}

function variantRows(graph: Graph, nodes: readonly Node[]): readonly VariantRow[] {
  const rows = new Map<string, VariantRow>();
  for (const node of nodes) {
    const name = plainName(node.name);
    for (const variant of node.variants) {
      const identity = `${name} ${JSON.stringify(variant)}`;
      const current = isCurrent(graph, node, variant) || rows.get(identity)?.current === true;
      rows.set(identity, { name, variant, current });
    }
  }
  return [...rows.values()];
}

function variantTable(variants: readonly VariantRow[], graph: Graph, page: Page): string[] {
  const params = [...new Set(variants.flatMap(({ variant }) => Object.keys(variant.when)))];
  const rows = variants.map(({ name, variant, current }) => [
    current ? '*' : ' ',
    name,
    ...params.map((param) => variant.when[param] ?? ''),
    variant.label ?? '',
    variant.state === undefined ? '' : { text: variant.state, colour: STATE_COLOURS[variant.state] },
    variant.worksWith?.join(', ') ?? '',
  ]);
  const columns = [
    { title: ' ' },
    { title: 'VARIANT', cut: 'middle' as const },
    ...params.map((param) => ({ title: param.toUpperCase(), cut: 'middle' as const })),
    { title: 'LABEL', cut: 'end' as const, spare: true as const },
    { title: 'STATE', cut: 'end' as const },
    { title: 'WORKS WITH', cut: 'end' as const },
  ];
  const { params: declared, paramValues } = graph.manifest;
  // What follows from the others says nothing of which row it is, unless it is in the table.
  const chosen = declared.filter(
    ({ name, default: standard }) => params.includes(name) || !hasHoles(standard ?? ''),
  );
  const values = chosen.map(({ name }) => `${name} ${paramValues[name]}`);
  const legend = hang('* ', `with the params in force: ${values.join(', ')}`, page.width);
  return [...table(columns, rows, page), '', ...legend];
}

function isCurrent(graph: Graph, node: Node, variant: Variant): boolean {
  return valuesOf(graph, node).some((values) => variantOf(node, values) === variant);
}

function nodesOf(graph: Graph, names: readonly string[]): Node[] {
  return names.flatMap((name) => graph.nodes.get(name) ?? []);
}
