// The command line without a process of its own: what it prints and its status.
import type { Host } from '../../src/cli/host.js';
import { run } from '../../src/cli/run.js';
import { FakeTerminal } from './terminal.js';

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function res(
  args: readonly string[],
  o: { readonly cwd: string; readonly env?: Readonly<Record<string, string>>; readonly isTTY?: boolean },
): Promise<Outcome> {
  const stdout = new FakeTerminal({ isTTY: o.isTTY ?? false });
  const stderr = new FakeTerminal({ isTTY: false });
  const host: Host = {
    cwd: o.cwd,
    env: { PATH: process.env.PATH, ...o.env },
    stdout,
    stderr,
    interruptible: () => new AbortController().signal,
  };
  const status = await run(args, host);
  return { status, stdout: stdout.text, stderr: stderr.text };
}
