// The program `res`: the process around the command line.
import { ResError } from '../model/error.js';
import { recall } from './answer/recall.js';
import { buildId } from './build-id.js';
import type { Host } from './host.js';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone (`res list | head -1`): what is still written goes nowhere, and that is all right.
    if (error.code === 'EPIPE') return;
    process.stderr.write(`error: what res prints cannot be written: ${error.message}\n`);
    process.exit(1);
  });
}

let interrupts: AbortController | undefined;

function interruptible(): AbortSignal {
  if (interrupts) return interrupts.signal;
  const controller = new AbortController();
  interrupts = controller;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Whoever asks a second time does not want to wait for things to be put in order.
      if (controller.signal.aborted) process.exit(130);
      // Whatever stops at the signal passes on its reason: it is told as what it is.
      controller.abort(new ResError('interrupted', 'interrupted'));
    });
  }
  return controller.signal;
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    process.stderr.write(
      'error: the folder that res was started in is gone\n  hint: `cd` to one that is there.\n',
    );
    process.exit(1);
  }
}

const host: Host = {
  cwd: currentFolder(),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  interruptible,
  build: buildId,
};

const argv = process.argv.slice(2);
process.exitCode = recall(argv, host) ?? (await (await import('./run.js')).run(argv, host));
