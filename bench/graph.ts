// Synthetic graphs: layers of small files, each joined from three of the layer below, written for res and for other tools. Same
// shape for the same number of nodes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Rule {
  readonly name: string;
  readonly inputs: readonly string[];
}

export interface LayeredGraph {
  readonly nodes: number;
  readonly sources: readonly string[];
  /** In an order in which they can be made. */
  readonly rules: readonly Rule[];
  /** What nothing else is made of. */
  readonly last: readonly string[];
  /** How many rules are made of the first source, by way of others too. */
  readonly touchedByFirst: number;
  /** One of the last that is made of the first source. */
  readonly ofFirst: string;
}

const FAN_IN = 3;

/** A tenth of the nodes are sources, the rest lie in five layers at most. */
export function layeredGraph(nodes: number): LayeredGraph {
  const sources = Array.from({ length: Math.max(10, Math.floor(nodes / 10)) }, (_, i) => `s${i}`);
  const width = Math.max(10, Math.floor(nodes / 5));
  const rules: Rule[] = [];
  let below = sources;
  for (let layer = 0; sources.length + rules.length < nodes; layer++) {
    const count = Math.min(width, nodes - sources.length - rules.length);
    const added = Array.from({ length: count }, (_, i) => ({
      name: `t${layer}-${i}`,
      inputs: Array.from({ length: FAN_IN }, (__, k) => below[(i * 7 + k * 13 + layer) % below.length] ?? ''),
    }));
    rules.push(...added);
    below = added.map(({ name }) => name);
  }
  const touched = new Set(['s0']);
  for (const { name, inputs } of rules) if (inputs.some((input) => touched.has(input))) touched.add(name);
  const ofFirst = below.find((name) => touched.has(name)) ?? '';
  return { nodes, sources, rules, last: below, touchedByFirst: touched.size - 1, ofFirst };
}

/** Whether what is made of the first source has this version of it. */
export function hasVersion(folder: string, { ofFirst }: LayeredGraph, version: number): boolean {
  return readFileSync(join(folder, 'out', ofFirst), 'utf8').includes(`s0 ${version}\n`);
}

/** Writes new content, another one for each number, into a source. */
export function writeSource(folder: string, name: string, version = 0): void {
  writeFileSync(join(folder, 'in', name), `${name} ${version}\n`);
}

function writeSources(folder: string, graph: LayeredGraph): void {
  mkdirSync(join(folder, 'in'), { recursive: true });
  mkdirSync(join(folder, 'out'), { recursive: true });
  for (const name of graph.sources) writeSource(folder, name);
}

type Writer = (graph: LayeredGraph) => Readonly<Record<string, string>>;

/** Path of a node's file for tools whose rules are about files. */
const pathsOf = ({ sources }: LayeredGraph) => {
  const own = new Set(sources);
  return (name: string) => (own.has(name) ? `in/${name}` : `out/${name}`);
};

const WRITERS = {
  res: (graph) => ({
    'resources.yaml': [
      'res: 1',
      'output-dir: out',
      'artifacts:',
      ...graph.sources.map((name) => `  ${name}: { path: in/${name} }`),
      'targets:',
      ...graph.rules.map(
        ({ name, inputs }) => `  ${name}: { merge: [${inputs.join(', ')}], output: ${name} }`,
      ),
      `  all: { group: [${graph.last.join(', ')}] }`,
      'default: [all]',
      '',
    ].join('\n'),
  }),
  make: (graph) => {
    const path = pathsOf(graph);
    const rules = graph.rules.map(
      ({ name, inputs }) => `${path(name)}: ${inputs.map(path).join(' ')}\n\tcat $^ > $@\n`,
    );
    return { Makefile: `all: ${graph.last.map(path).join(' ')}\n${rules.join('')}` };
  },
  ninja: (graph) => {
    const path = pathsOf(graph);
    const rules = graph.rules.map(
      ({ name, inputs }) => `build ${path(name)}: join ${inputs.map(path).join(' ')}\n`,
    );
    return { 'build.ninja': `rule join\n  command = cat $in > $out\n${rules.join('')}` };
  },
  snakemake: (graph) => {
    const path = pathsOf(graph);
    const made = Object.fromEntries(graph.rules.map(({ name, inputs }) => [name, inputs.map(path)]));
    return {
      'graph.json': JSON.stringify({ made, last: graph.last.map(path) }),
      Snakefile: [
        'import json',
        "GRAPH = json.load(open('graph.json'))",
        'rule all:',
        "    input: GRAPH['last']",
        'rule join:',
        "    output: 'out/{name}'",
        "    input: lambda wildcards: GRAPH['made'][wildcards.name]",
        "    shell: 'cat {input} > {output}'",
        '',
      ].join('\n'),
    };
  },
  doit: (graph) => {
    const path = pathsOf(graph);
    const rules = graph.rules.map(({ name, inputs }) => [path(name), inputs.map(path)]);
    return {
      'graph.json': JSON.stringify(rules),
      'dodo.py': [
        'import json',
        'def task_join():',
        "    for target, inputs in json.load(open('graph.json')):",
        "        yield {'name': target, 'targets': [target], 'file_dep': inputs,",
        "               'actions': ['cat %s > %s' % (' '.join(inputs), target)]}",
        '',
      ].join('\n'),
    };
  },
  tup: (graph) => {
    const path = pathsOf(graph);
    const rules = graph.rules.map(
      ({ name, inputs }) => `: ${inputs.map(path).join(' ')} |> cat %f > %o |> ${path(name)}\n`,
    );
    return { Tupfile: rules.join(''), 'Tupfile.ini': '' };
  },
} as const satisfies Readonly<Record<string, Writer>>;

export type Tool = keyof typeof WRITERS;

/** Writes sources and rules into a folder. */
export function writeGraph(folder: string, graph: LayeredGraph, tool: Tool): void {
  writeSources(folder, graph);
  for (const [name, text] of Object.entries(WRITERS[tool](graph))) writeFileSync(join(folder, name), text);
}
