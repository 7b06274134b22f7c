// Runs a piece of code of the test in a process of its own, with the sources of res at hand: `from 'src/store/…'`.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

const compiled = new Map<string, Promise<string>>();

/** One compilation a text in a test, however many processes run it. */
function compile(text: string): Promise<string> {
  let file = compiled.get(text);
  if (file === undefined) {
    file = compileNow(text);
    compiled.set(text, file);
    onTestFinished(() => {
      compiled.delete(text);
    });
  }
  return file;
}

async function compileNow(text: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'res-script-'));
  chmodSync(dir, 0o755);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const outfile = join(dir, 'script.mjs');
  await build({
    stdin: {
      contents: text.replaceAll("from 'src/", `from '${root}/src/`).replace(/(from '[^']*)\.js'/g, "$1.ts'"),
      resolveDir: root,
    },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outfile,
    logLevel: 'error',
  });
  return outfile;
}

export interface Running {
  /** Fulfilled with stdout; rejected when the process fails on its own account. */
  readonly done: Promise<string>;
  readonly process: Promise<ChildProcess>;
}

/** The outputs of all, once all have ended: a failed one does not leave others at work. */
export async function allDone(runs: readonly Running[]): Promise<readonly string[]> {
  await Promise.allSettled(runs.map(({ done }) => done));
  return Promise.all(runs.map(({ done }) => done));
}

/** @param through a program, with its arguments, that runs the one given behind them: as another user, for one. */
export function runScript(text: string, args: readonly string[], through: readonly string[] = []): Running {
  const child = compile(text).then((file) => {
    const [program = process.execPath, ...rest] = [...through, process.execPath, file, ...args];
    return spawn(program, rest, { cwd: through.length > 0 ? '/' : root });
  });
  const done = child.then(
    (running) =>
      new Promise<string>((resolve, reject) => {
        let stdout = '';
        let stderr = '';
        running.stdout.on('data', (data) => (stdout += data));
        running.stderr.on('data', (data) => (stderr += data));
        running.on('error', reject);
        running.on('close', (code, signal) => {
          if (code === 0 || signal !== null) resolve(stdout);
          else reject(new Error(`exit status ${code}: ${stderr}`));
        });
      }),
  );
  return { done, process: child };
}
