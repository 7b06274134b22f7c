// Shows a file or a page with whatever the desktop has for it.
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import { findProgram } from '../plan/tools.js';
import { ioError } from '../store/files.js';
import type { Context } from './context.js';

/** The programs that open things, by platform, and what comes before the thing. */
const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};
/** How long it may take to say that nothing can be opened, ms. */
const PATIENCE_MS = 3000;

/** @param what a path or a URL. Rejects with ResError `tool-missing` or `command-failed`. */
export async function openInDesktop(what: string, env: Env): Promise<void> {
  const [name, ...args] = OPENERS[process.platform] ?? ['xdg-open'];
  const program = findProgram(name, env);
  const hint = `Open it yourself: ${what}`;
  if (program === undefined)
    throw new ResError('tool-missing', `${name} is not there, so nothing can be opened from here`, { hint });
  // It may be the browser itself and run for as long as that: when it has not failed by then, it is left alone.
  const child = spawn(program, [...args, what], { detached: true, stdio: 'ignore', env });
  const status = await new Promise<number | null | Error>((resolve) => {
    const timer = setTimeout(() => resolve(0), PATIENCE_MS);
    child.once('error', resolve);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
  child.unref();
  if (status === 0) return;
  const why = status instanceof Error ? status.message : `exit status ${status}`;
  throw new ResError('command-failed', `${name} could not open it (${why})`, { hint });
}

/**
 * Shows a file, and says where it lies. Rejects as `openInDesktop`, and with ResError `io` or `no-space`.
 * @param text what is written into it before: it stays until the next one, since nobody knows when a browser has read it
 */
export async function showFile({ env, err, flags }: Context, path: string, text?: string): Promise<void> {
  if (text !== undefined) {
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    } catch (error) {
      throw ioError(error, 'cannot write', path);
    }
  }
  await openInDesktop(path, env);
  if (!flags.quiet) err.prose(`shown: ${err.page.path(path)}`);
}
