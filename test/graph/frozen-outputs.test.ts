// A graph that was kept is the graph that was loaded.
import { expect, it } from 'vitest';
import { freezeGraph, thawGraph } from '../../src/graph/frozen.js';
import type { Node } from '../../src/model/node.js';
import { load } from '../manifest/workspace.js';

const MANIFEST = `res: 1
artifacts:
  sums: { url: https://example.org/sums }
targets:
  two: { run: "make", inputs: { src: ./src/, conf: conf/a.txt, also: ./conf/a.txt }, outputs: { a: out/a, b: b } }
  one: { merge: ["two:b", "two:a", two], output: one, verify: { sums: sums }, keep: never }
  check: { run: "cmp \${in}", inputs: { a: "two:a", b: one } }
`;

it('has the same nodes, with their outputs by name, and files that recipes name', () => {
  const graph = load(MANIFEST);
  const asked: (string | undefined)[] = [];
  const thawed = thawGraph(freezeGraph(graph), (node) => {
    asked.push(node);
    return { file: '', line: 1, column: 1, text: '', length: 1 };
  });
  const plain = (nodes: Iterable<Node>) => [...nodes].map(({ locate, ...rest }) => rest);
  expect(plain(thawed.nodes.values())).toEqual(plain(graph.nodes.values()));
  expect(thawed.order).toEqual(graph.order);
  expect(thawed.manifest.nodes.map(({ name }) => name)).toEqual(graph.manifest.nodes.map(({ name }) => name));
  thawed.nodes.get('./src')?.locate([]);
  expect(asked).toEqual(['./src']);
});

it('a file that several recipes name is one node, and none of the manifest', () => {
  const graph = load(MANIFEST);
  expect([...graph.nodes.keys()]).toEqual(['sums', 'two', 'one', 'check', './src', './conf/a.txt']);
  expect(graph.manifest.nodes).toHaveLength(4);
  expect(graph.nodes.get('two')?.references.map(({ node }) => node)).toEqual([
    './src',
    './conf/a.txt',
    './conf/a.txt',
  ]);
  expect(graph.nodes.get('./src')?.locate([])).toMatchObject({ line: 5 });
  expect(graph.order.indexOf('./src')).toBeLessThan(graph.order.indexOf('two'));
});
