// A large manifest becomes a graph without delay, with the kinds that res has.
import { describe, expect, it } from 'vitest';
import { closure } from '../../src/graph/select.js';
import { references } from '../../src/plan/registry.js';
import { complaintsOf, errorOf, load } from '../manifest/workspace.js';

function chain(length: number): string {
  const links = Array.from({ length }, (_, i) => `  n${i + 1}: { copy: n${i}, output: out/${i + 1} }\n`);
  return `res: 1\nartifacts:\n  n0: { path: x }\ntargets:\n${links.join('')}`;
}

describe('a manifest', () => {
  it('of 10,000 nodes in a chain is loaded whole', () => {
    const graph = load(chain(10_000), { kinds: references });
    expect(graph.order).toHaveLength(10_001);
    expect(closure(graph, ['n10000'])).toEqual(graph.order);
  });

  it('with a mistake in each of 3,000 nodes gets all the complaints', () => {
    const error = errorOf(() => load(chain(3000).replaceAll('copy: n', 'copy: m'), { kinds: references }));
    expect(error.message).toBe('resources.yaml has 3000 errors');
  });

  it('is not accused of lacking the field that it has wrong', () => {
    const text = complaintsOf(
      'res: 1\nartifacts:\n  a: { path: x }\ntargets:\n  b: { convert: a, to: rwa }\n',
      { kinds: references },
    );
    expect(text).toMatch(/found `rwa`/);
    expect(text).not.toMatch(/missing/);
  });

  it('whose kinds are not registered is a bug, not a mistake of the user', () => {
    expect(() => load('res: 1\nartifacts:\n  a: { path: x }\n', { kinds: new Map() })).toThrow(
      'not registered',
    );
  });

  it('has the references of every kind, in order', () => {
    const graph = load(
      'res: 1\nartifacts:\n  a: { path: x }\n  b: { parts: [{ url: "https://e.org/b" }] }\n  c: { url: "https://e.org/c" }\n  d: { github: { repo: o/r, release: v1, asset: x } }\n' +
        'targets:\n  m: { merge: [b, a] }\n  z: { decompress: m }\n  e: { extract: z, verify: { sums: c } }\n  i: { convert: e, to: raw }\n  y: { copy: d }\n  g: { group: [i, y] }\n',
      { kinds: references },
    );
    const inputs = (name: string) => graph.nodes.get(name)?.references.map(({ node }) => node);
    expect(['a', 'b', 'c', 'd'].flatMap((name) => inputs(name))).toEqual([]);
    expect(['m', 'z', 'e', 'i', 'y', 'g'].map((name) => inputs(name))).toEqual([
      ['b', 'a'],
      ['m'],
      ['z', 'c'],
      ['e'],
      ['d'],
      ['i', 'y'],
    ]);
    expect(graph.nodes.get('e')?.references.at(-1)?.role).toBe('sums');
  });
});
