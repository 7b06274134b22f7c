// The order in which inputs come first, and the cycles where there is none. Without recursion: chains are long.

/** The names that each name refers to; all of them are keys too. */
export type Edges = ReadonlyMap<string, readonly string[]>;

export interface Topology {
  /** Every name after those it refers to; among equals, in the order of `edges`. Of no use when there are cycles. */
  readonly order: readonly string[];
  /** Each cycle once, beginning with its first name in the order of `edges`: `a`, `b` for a -> b -> a. */
  readonly cycles: readonly (readonly string[])[];
}

/** Through a knot of many nodes go more cycles than anyone reads. */
const MAX_CYCLES = 20;

/** Linear in names and references, but for the search for a cycle that is then complained about. */
export function topology(edges: Edges): Topology {
  const order: string[] = [];
  const cycles = new Map<string, readonly string[]>();
  const finished = new Set<string>();
  /** The names under way, from the one begun with to the current, with how many of their references are done. */
  const stack: { readonly name: string; next: number }[] = [];
  const onStack = new Map<string, number>();
  const rank = new Map([...edges.keys()].map((name, i) => [name, i]));

  for (const start of edges.keys()) {
    if (!finished.has(start)) push(start);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = edges.get(top.name)?.[top.next];
      top.next += 1;
      if (next === undefined) {
        stack.pop();
        onStack.delete(top.name);
        finished.add(top.name);
        order.push(top.name);
      } else if (onStack.has(next)) {
        if (cycles.size < MAX_CYCLES) addCycle(next);
      } else if (!finished.has(next) && edges.has(next)) {
        push(next);
      }
    }
  }
  return { order, cycles: [...cycles.values()] };

  function push(name: string): void {
    onStack.set(name, stack.length);
    stack.push({ name, next: 0 });
  }

  /** The way from `name` down the stack leads back to it. */
  function addCycle(name: string): void {
    const names = stack.slice(onStack.get(name)).map((each) => each.name);
    const ranks = names.map((each) => rank.get(each) ?? 0);
    const first = ranks.reduce((best, each, i) => (each < (ranks[best] ?? 0) ? i : best), 0);
    const cycle = [...names.slice(first), ...names.slice(0, first)];
    cycles.set(cycle.join('\n'), cycle);
  }
}
