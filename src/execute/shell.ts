// `res shell NODE`: the scratch directory of a node's program, with its inputs and environment, for a person to work in. That of
// a run that failed is as the program left it.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { makingOf } from '../kinds/kind.js';
import { ResError } from '../model/error.js';
import { planNodes } from '../plan/plan.js';
import { makerOf } from '../plan/registry.js';
import { findProgram } from '../plan/tools.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { inputsAtHand } from './action.js';
import type { BuildOptions } from './api.js';
import { borrowInputs, chainAtHand } from './at-hand.js';
import { inTurn } from './in-turn.js';
import { lockWorkspace } from './lock-workspace.js';
import { type Command, commandLine } from './process.js';
import { confine, environmentOf } from './running.js';
import { chooseSandbox } from './sandbox.js';
import { ownScratchPath, prepareScratch, removeScratch, scratchPath } from './scratch.js';

export interface Shell {
  /** To be started with the terminal. */
  readonly command: Command;
  /** Absolute. */
  readonly scratch: string;
  /** Whether a run that failed has left it; it stays then. */
  readonly isKept: boolean;
  /** What confines it; undefined: nothing. */
  readonly sandbox: string | undefined;
  /** What to type in it to run the node's command. */
  readonly byHand: string;
  /** To be called when the shell has ended. */
  close(): Promise<void>;
}

/** Undefined when an input could not be built. Rejects with ResError `usage` for a node without a program of its own, and as `build` does. */
export async function openShell(
  workspace: Workspace,
  name: string,
  options: Pick<BuildOptions, 'offline' | 'frozen' | 'signal' | 'listener'> = {},
): Promise<Shell | undefined> {
  const node = workspace.graph.nodes.get(name);
  const maker = node && makerOf(node);
  const making = maker?.is === 'kind' ? makingOf(maker.kind, node?.recipe ?? {}) : undefined;
  if (!node || making?.by !== 'running') {
    throw new ResError('usage', `${name} has no command of its own to open a shell for`, {
      hint: 'It is for nodes of the kind `run`.',
    });
  }
  const program = making.program(node.recipe);
  const sandbox = await chooseSandbox(workspace.env);
  const borrowed = await borrowInputs(workspace, [node], options);
  if (!borrowed.ok) return undefined;
  const { signal = new AbortController().signal } = options;
  const unlock = await lockWorkspace(workspace, {
    describe: `res shell ${name}`,
    onWait: (holder) => options.listener?.({ type: 'waiting', for: holder }),
    signal,
  });
  try {
    refreshWorkspace(workspace);
    const chain = await chainAtHand(workspace, node, await planNodes(workspace, [name]));
    if (!chain) throw new ResError('io', `${name}: an input is gone again`, { hint: 'Try again.' });
    const kept = scratchPath(workspace, name);
    const isKept = existsSync(kept);
    const path = isKept ? kept : ownScratchPath(workspace, name);
    const inputs = inputsAtHand(chain, {
      workspace,
      temps: [],
      signal,
      expectedBytes: null,
      onBytes: () => undefined,
      onPercent: () => undefined,
      onOutput: () => undefined,
    });
    const mayMount = sandbox !== undefined;
    const scratch = await prepareScratch(path, program, inputs, { mayMount, keep: isKept, signal });
    const { argv, env } = program.command(scratch.places);
    const script = join(scratch.path, COMMAND);
    const shell = shellOf(workspace);
    const confined = await confine(scratch, program, workspace, sandbox, () => [shell]);
    await writeFile(script, `cd ${commandLine([confined.cwd])} && exec ${commandLine(argv)}\n`);
    const terminal = workspace.env.TERM === undefined ? {} : { TERM: workspace.env.TERM };
    return {
      command: {
        argv: [shell],
        ...confined,
        env: { ...environmentOf(scratch, program, workspace, env), ...terminal, PS1: `[${name}] $ ` },
      },
      scratch: scratch.path,
      isKept,
      sandbox: sandbox?.name,
      byHand: `sh ${relative(confined.cwd, script)}`,
      close: async () => {
        if (!isKept) await removeScratch(path);
        const release = await lockWorkspace(workspace, { describe: `res shell ${name}` });
        await inTurn([borrowed.giveBack, release]);
      },
    };
  } finally {
    await unlock();
  }
}

/** The node's command, as a script; what begins with a dot is no output. */
const COMMAND = '.command';

/** The one that the user has, or else sh. */
function shellOf({ env }: Workspace): string {
  const own = env.SHELL ? findProgram(env.SHELL, env) : undefined;
  return own ?? findProgram('sh', env) ?? '/bin/sh';
}
