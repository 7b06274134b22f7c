// The engine in this very process: a folder with a manifest, opened anew for each step as a command would.
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions } from '../../src/execute/api.js';
import { build } from '../../src/execute/build.js';
import { loadGraph } from '../../src/graph/load.js';
import { selectNodes } from '../../src/graph/select.js';
import type { BuildEvent, BuildResult } from '../../src/model/event.js';
import type { NodePlan } from '../../src/model/plan.js';
import { type DetailedPlan, type PlanOptions, planNodes } from '../../src/plan/plan.js';
import { references } from '../../src/plan/registry.js';
import { openWorkspace, type Workspace } from '../../src/plan/workspace.js';
import { type Workspace as Folder, makeWorkspace } from '../rig/workspace.js';

export interface Engine {
  readonly work: Folder;
  open(set?: Readonly<Record<string, string>>): Workspace;
  build(
    names?: readonly string[],
    options?: BuildOptions & { set?: Readonly<Record<string, string>> },
  ): Promise<BuildResult>;
  /** `build` with all that it told. */
  events(
    names?: readonly string[],
    options?: BuildOptions & { set?: Readonly<Record<string, string>> },
  ): Promise<{ readonly result: BuildResult; readonly events: readonly BuildEvent[] }>;
  plan(
    names?: readonly string[],
    options?: PlanOptions & { set?: Readonly<Record<string, string>> },
  ): Promise<DetailedPlan>;
  node(name: string, names?: readonly string[]): Promise<NodePlan>;
}

export function openEngine(
  files: Readonly<Record<string, string | Uint8Array>>,
  env: Readonly<Record<string, string | undefined>> = {},
): Engine {
  return engineIn(makeWorkspace(files), env);
}

export function engineIn(work: Folder, env: Readonly<Record<string, string | undefined>> = {}): Engine {
  const all = { PATH: process.env.PATH, HOME: work.dir, ...env };
  const open: Engine['open'] = (set = {}) => {
    const file = join(work.dir, 'resources.yaml');
    const graph = loadGraph({ file, cwd: work.dir, set: { ...set }, env: all, kinds: references });
    return openWorkspace({ graph: { ...graph, id: idOf(work.dir, set) }, env: all });
  };
  const events: Engine['events'] = async (names = [], { set, ...options } = {}) => {
    const workspace = open(set);
    const told: BuildEvent[] = [];
    const listener = (event: BuildEvent) => void told.push(event);
    const result = await build(workspace, selectNodes(workspace.graph, names), { listener, ...options });
    return { result, events: told };
  };
  const plan: Engine['plan'] = (names = [], { set, ...options } = {}) => {
    const workspace = open(set);
    return planNodes(workspace, selectNodes(workspace.graph, names), options);
  };
  return {
    work,
    open,
    events,
    plan,
    build: async (names, options) => (await events(names, options)).result,
    async node(name, names = [name]) {
      const found = (await plan(names)).nodes.get(name);
      if (!found) throw new Error(`${name} is not in the plan`);
      return found;
    },
  };
}

/** As the command line names the graphs it keeps: what was found in order is then taken as it was. */
function idOf(dir: string, set: Readonly<Record<string, string>>): string {
  const manifests = readdirSync(dir).filter((name) => /\.ya?ml$/.test(name) && !name.includes('.lock.'));
  return hash(
    'sha256',
    JSON.stringify([set, ...manifests.map((name) => readFileSync(join(dir, name), 'utf8'))]),
  );
}

/** `ran`, `restored`, … of a result that are not empty. */
export function outcome(result: BuildResult): Readonly<Record<string, readonly string[]>> {
  const { ran, restored, fresh, failed, skipped } = result;
  return Object.fromEntries(
    Object.entries({ ran, restored, fresh, failed, skipped }).filter(([, names]) => names.length > 0),
  );
}
