// The programs that sources fetch by. What they print is nobody's log: it may hold what is secret, and of it only the last lines
// are kept, for the error that the source makes of them.
import type { Env } from '../model/env.js';
import type { ProgramRunner } from '../sources/source.js';
import { LastLines, type ProcessContext, pipeProgram, runProgram } from './process.js';

export function sourcePrograms(env: Env, signal: AbortSignal): ProgramRunner {
  // In no folder of the user's: a program would find settings there that were meant for something else.
  const context = (environment: Readonly<Record<string, string>>, own?: AbortSignal): ProcessContext => ({
    env,
    cwd: '/',
    log: new LastLines(),
    signal: own ? AbortSignal.any([signal, own]) : signal,
    environment,
  });
  return {
    exec: (argv, options) => {
      let stdout = '';
      // Kept apart from what the errors are made of: it can be long.
      const onStdout = (text: string) => {
        stdout += text;
      };
      const { onStderr } = options;
      return runProgram(context(options.env, options.signal), argv, {
        onStdout,
        ...(onStderr ? { onStderr } : {}),
      }).then(() => ({ stdout }));
    },
    pipe: (argv, input, options) => pipeProgram(context(options.env), argv, input),
  };
}
