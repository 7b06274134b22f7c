// What a name in `${…}` stands for: params, vars and output-dir, each worked out when it is first asked for, so that
// they may be written in any order.
import type { Env } from '../model/env.js';
import type { Lookup, Scope } from './interpolate.js';

/** Names that are defined through each other; more are a mistake. */
const MAX_CHAIN = 100;

export interface Definition {
  /** The value; undefined when it cannot be had, after complaining. Called once. */
  readonly compute: (scope: Scope) => string | undefined;
  /** Complains at the place of the definition. */
  readonly complain: (message: string) => void;
}

export function createScope(env: Env, definitions: ReadonlyMap<string, Definition>): Scope {
  const known = new Map<string, Lookup>();
  const underWay: string[] = [];

  const lookup = (name: string): Lookup => {
    const before = known.get(name);
    if (before) return before;
    const definition = definitions.get(name);
    if (!definition) return { is: 'unknown' };
    const cycleStart = underWay.indexOf(name);
    if (cycleStart >= 0) {
      const cycle = [...underWay.slice(cycleStart), name];
      definition.complain(`\`${name}\` is defined by itself: ${cycle.join(' -> ')}`);
      return { is: 'failed' };
    }
    if (underWay.length >= MAX_CHAIN) {
      definition.complain(`\`${name}\` is at the end of a chain of more than ${MAX_CHAIN} names`);
      return { is: 'failed' };
    }
    underWay.push(name);
    const value = definition.compute(scope);
    underWay.pop();
    const found: Lookup = value === undefined ? { is: 'failed' } : { is: 'value', value };
    known.set(name, found);
    return found;
  };

  const scope: Scope = { env, lookup, names: () => definitions.keys() };
  return scope;
}
