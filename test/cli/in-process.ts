// The command line without a process of its own: what it prints and its status.
import { recall } from '../../src/cli/answer/recall.js';
import type { Host } from '../../src/cli/host.js';
import { run } from '../../src/cli/run.js';
import { FakeTerminal } from './terminal.js';

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Host.build; nothing is kept between runs without it. */
  readonly build?: string;
}

export async function res(args: readonly string[], o: Surroundings): Promise<Outcome> {
  const { host, printed } = open(o);
  return { status: await run(args, host), ...printed() };
}

/** What is answered without a run, as it was answered before. */
export function recalled(args: readonly string[], o: Surroundings): Outcome | undefined {
  const { host, printed } = open(o);
  const status = recall(args, host);
  return status === undefined ? undefined : { status, ...printed() };
}

function open(o: Surroundings): { host: Host; printed: () => Omit<Outcome, 'status'> } {
  const columns = o.columns === undefined ? {} : { columns: o.columns };
  const stdout = new FakeTerminal({ isTTY: o.isTTY ?? false, ...columns });
  const stderr = new FakeTerminal({ isTTY: false });
  const host: Host = {
    cwd: o.cwd,
    env: { PATH: process.env.PATH, ...o.env },
    stdout,
    stderr,
    interruptible: () => new AbortController().signal,
    build: o.build,
  };
  return { host, printed: () => ({ stdout: stdout.text, stderr: stderr.text }) };
}
