// Which variables of the environment were asked for: what came of them holds as long as these have the same values.
import { createHash } from 'node:crypto';
import type { Env } from '../model/env.js';

export interface ConsultedEnv {
  /** To be given in the place of the environment. */
  readonly env: Env;
  /** Undefined when somebody asked for all there are. */
  consulted(): readonly string[] | undefined;
}

export function watchEnv(env: Env): ConsultedEnv {
  const names = new Set<string>();
  let all = false;
  const ask = (name: string | symbol) => {
    if (typeof name === 'string') names.add(name);
  };
  return {
    env: new Proxy(env, {
      get(target, name, receiver) {
        ask(name);
        return Reflect.get(target, name, receiver);
      },
      has(target, name) {
        ask(name);
        return Reflect.has(target, name);
      },
      getOwnPropertyDescriptor(target, name) {
        ask(name);
        return Reflect.getOwnPropertyDescriptor(target, name);
      },
      ownKeys(target) {
        all = true;
        return Reflect.ownKeys(target);
      },
    }),
    consulted: () => (all ? undefined : [...names].sort()),
  };
}

/** One digest of these variables' values: they may be secrets, which are not to lie in a file. */
export function envDigest(env: Env, names: readonly string[]): string {
  const values = names.map((name) => [name, env[name] ?? null]);
  return createHash('sha256').update(JSON.stringify(values)).digest('hex');
}
