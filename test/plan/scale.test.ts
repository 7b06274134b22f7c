// Plans of large graphs: long chains need no stack, and each node is worked on once, whatever uses it.
import { afterEach, expect, it } from 'vitest';
import { closure } from '../../src/graph/select.js';
import type { Graph } from '../../src/model/graph.js';
import type { Node } from '../../src/model/node.js';
import { explain } from '../../src/plan/explain.js';
import { planNodes } from '../../src/plan/plan.js';
import { LastRuns } from '../../src/plan/record.js';
import { openWorkspace } from '../../src/plan/workspace.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const PLACE = { file: 'resources.yaml', line: 1, column: 1, text: '', length: 1 };
/** Twice what a stack can hold of the smallest functions. */
const LENGTH = 20_000;

/** `source`, then each of `kinds` in turn of the one before it. */
function chainOf(dir: string, kinds: readonly string[], length: number): Graph {
  const nodes = new Map<string, Node>();
  const add = (name: string, kind: string, input: string | undefined, value: string, output?: string) => {
    nodes.set(name, {
      name,
      section: input === undefined ? 'artifact' : 'target',
      kind,
      recipe: { [kind]: kind === 'merge' ? [value] : value, ...(kind === 'convert' ? { to: 'raw' } : {}) },
      executable: false,
      keep: 'auto',
      variants: [],
      locate: () => PLACE,
      references: input === undefined ? [] : [{ role: 'in', node: input }],
      ...(output === undefined ? {} : { output }),
    });
  };
  add('source', 'path', undefined, 'source');
  let last = 'source';
  for (let i = 0; i < length; i++) {
    const name = `n${i}`;
    add(name, kinds[i % kinds.length] ?? '', last, last, i === length - 1 ? 'out' : undefined);
    last = name;
  }
  return {
    manifest: {
      file: `${dir}/resources.yaml`,
      dir,
      files: [],
      outputDir: `${dir}/resources`,
      params: [],
      paramValues: {},
      nodes: [...nodes.values()],
      defaults: [last],
      exports: {},
      pools: {},
      mirrors: [],
      locate: () => PLACE,
    },
    nodes,
    order: [...nodes.keys()],
  };
}

it.each([
  ['merges, of which all but the last stream away', ['merge'], 'stale'],
  ['copies, which share what they copy', ['copy'], 'cached'],
  ['merges and copies', ['merge', 'copy'], 'stale'],
])('a chain of %s', { timeout: 60_000 }, async (_, kinds, state) => {
  const work = makeWorkspace({ source: 'source' });
  const graph = chainOf(work.dir, kinds, LENGTH);
  const workspace = openWorkspace({ graph, env: {} });
  const last = `n${LENGTH - 1}`;
  const plan = await planNodes(workspace, [last]);
  expect(plan.nodes.size).toBe(LENGTH + 1);
  expect(plan.nodes.get(last)?.state).toBe(state);
  const made = plan.steps.flatMap(({ node, through }) => [...through, node]);
  expect(new Set(made).size).toBe(made.length);
  expect(made.length).toBeGreaterThan(0);
  if (kinds[0] === 'merge' && kinds.length === 1) {
    expect(plan.steps.map(({ node }) => node)).toEqual([last]);
    expect(plan.steps[0]?.through).toEqual(graph.order.slice(1, -1));
  }
  const { chain } = explain(plan, graph, last, (node, key) => new LastRuns(workspace).of(node, key));
  expect(chain.length).toBeGreaterThan(0);
});

it('what is asked of a graph is found once for the same names', () => {
  const graph = chainOf('/nowhere', ['merge'], 10);
  const names = ['n3'];
  const found = closure(graph, names);
  expect(closure(graph, names)).toBe(found);
  expect(closure(chainOf('/nowhere', ['merge'], 10), names)).not.toBe(found);
  names.push('n5');
  expect(closure(graph, names)).toEqual(['source', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5']);
});
