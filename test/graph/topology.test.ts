// Order and cycles: every node after what it needs, in linear time and without recursion.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { topology } from '../../src/graph/topology.js';

const edges = (graph: Record<string, string[]>) => new Map(Object.entries(graph));

describe('order', () => {
  it('puts inputs first, and else keeps the order given', () => {
    expect(topology(edges({ d: [], c: ['b'], a: [], b: ['a', 'd'] })).order).toEqual(['d', 'a', 'b', 'c']);
  });

  it('respects every reference of any graph without cycles', () => {
    const graph = fc.array(fc.array(fc.nat(), { maxLength: 5 }), { maxLength: 30 }).chain((lists) => {
      const names = lists.map((_, i) => `n${i}`);
      // Only what comes earlier is referred to; the declaration order is any.
      const pairs = lists.map(
        (list, i) => [names[i] ?? '', i === 0 ? [] : list.map((n) => names[n % i] ?? '')] as const,
      );
      return fc.shuffledSubarray(pairs, { minLength: pairs.length });
    });
    fc.assert(
      fc.property(graph, (pairs) => {
        const { order, cycles } = topology(new Map(pairs));
        expect(cycles).toEqual([]);
        expect([...order].sort()).toEqual(pairs.map(([name]) => name).sort());
        const rank = new Map(order.map((name, i) => [name, i]));
        for (const [name, references] of pairs) {
          for (const reference of references) expect(rank.get(reference)).toBeLessThan(rank.get(name) ?? -1);
        }
      }),
    );
  });

  it('copes with a chain of 100,000 and a fan of 100,000', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `n${i}`);
    const chain = new Map(many.map((name, i) => [name, i + 1 < many.length ? [`n${i + 1}`] : []]));
    expect(topology(chain).order).toEqual(many.toReversed());
    const fan = new Map([['all', many], ...many.map((name): [string, string[]] => [name, []])]);
    expect(topology(fan).order.at(-1)).toBe('all');
  });
});

describe('cycles', () => {
  it('are each found once, from their first name on', () => {
    expect(
      topology(edges({ x: ['c'], a: ['b'], b: ['c'], c: ['a'], s: ['s'], t: ['a', 's'] })).cycles,
    ).toEqual([['a', 'b', 'c'], ['s']]);
  });

  it('that share a node are told apart', () => {
    expect(topology(edges({ a: ['b', 'c'], b: ['a'], c: ['a'] })).cycles).toEqual([
      ['a', 'b'],
      ['a', 'c'],
    ]);
  });

  it('are found wherever there is one, and are real', () => {
    const graph = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(graph, (lists) => {
        const names = lists.map((_, i) => `n${i}`);
        const links = new Map(
          lists.map((list, i) => [names[i] ?? '', list.map((n) => names[n % names.length] ?? '')]),
        );
        const { cycles } = topology(links);
        expect(cycles.length > 0).toBe(hasCycle(links));
        expect(new Set(cycles.map((cycle) => cycle.join())).size).toBe(cycles.length);
        for (const cycle of cycles) {
          for (const [i, name] of cycle.entries())
            expect(links.get(name)).toContain(cycle[(i + 1) % cycle.length]);
        }
      }),
    );
  });

  it('do not take for ever where there are very many', () => {
    const names = Array.from({ length: 300 }, (_, i) => `n${i}`);
    expect(topology(new Map(names.map((name) => [name, names]))).cycles).toHaveLength(20);
  });
});

/** By taking away what needs nothing, until nothing is left or nothing can be taken. */
function hasCycle(links: ReadonlyMap<string, readonly string[]>): boolean {
  const left = new Map(links);
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    for (const [name, references] of left) if (!references.some((each) => left.has(each))) left.delete(name);
  }
  return left.size > 0;
}
