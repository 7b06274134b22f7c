// Runs the real programs that make the fixtures.
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a program to its end; rejects with what it printed when it fails. Resolves with its stdout. */
export async function tool(
  argv: readonly [string, ...string[]],
  options: { cwd?: string } = {},
): Promise<string> {
  const [file, ...args] = argv;
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const { stdout } = await run(file, args, { ...options, env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Whether all of these programs are installed, for tests that need them: `it.skipIf(!has('mke2fs'))`. */
export function has(...names: readonly string[]): boolean {
  return names.every(
    (name) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${name}`]).status === 0,
  );
}
