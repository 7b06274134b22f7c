// Which program a name stands for, and what it says it is: part of the key of what it makes.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Env } from '../model/env.js';
import { sawFile, spoilLooks } from '../model/looks.js';
import type { KeyedLog } from '../store/keyed-log.js';
import type { ToolRecord } from '../store/state.js';

/** The absolute path of a program on PATH, or undefined. */
export function findProgram(name: string, env: Env): string | undefined {
  const candidates = isAbsolute(name) ? [name] : searchPath(env).map((folder) => join(folder, name));
  return candidates.find(isProgram);
}

export function searchPath(env: Env): readonly string[] {
  return (env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter).filter((folder) => folder !== '');
}

function isProgram(path: string): boolean {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    sawFile(path, stats);
    if (!stats?.isFile()) return false;
  } catch {
    // In a folder that is not for this user, or in what is no folder.
    spoilLooks();
    return false;
  }
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class Tools {
  readonly #records: KeyedLog<ToolRecord>;
  readonly #env: Env;
  readonly #known = new Map<string, string | undefined>();

  constructor(records: KeyedLog<ToolRecord>, env: Env) {
    this.#records = records;
    this.#env = env;
  }

  /**
   * The first line of what `NAME --version` prints, with the program's size where that fails; undefined when the program
   * is not there. It is asked only when its path, size or modification time is not the recorded one.
   */
  async identity(name: string): Promise<string | undefined> {
    if (!this.#known.has(name)) this.#known.set(name, await this.#ask(name));
    return this.#known.get(name);
  }

  /** As found by `identity` before; undefined when it was not asked or the program is not there. */
  known(name: string): string | undefined {
    return this.#known.get(name);
  }

  async #ask(name: string): Promise<string | undefined> {
    const path = findProgram(name, this.#env);
    if (path === undefined) return undefined;
    const { size, mtimeNs } = statSync(path, { bigint: true });
    const record = this.#records.get(path);
    if (record && record.size === Number(size) && record.mtimeNs === String(mtimeNs)) return record.identity;
    spoilLooks();
    // Loaded only here: a build that has nothing to do asks no program.
    const { execa } = await import('execa');
    const answer = await execa(path, ['--version'], {
      stdin: 'ignore',
      reject: false,
      // It would listen to signals of the whole process, which may be a user's of the library.
      cleanup: false,
      timeout: 10_000,
      extendEnv: false,
      env: { PATH: this.#env.PATH, HOME: this.#env.HOME, LANG: 'C.UTF-8' },
    });
    // An answer that did not come in time, or a program that cannot be started, tells nothing that is to be remembered.
    if (answer.exitCode === undefined) return undefined;
    const line = answer.stdout.split('\n', 1)[0]?.trim() || answer.stderr.split('\n', 1)[0]?.trim();
    // One that knows no --version (go) complains of it, in the same words whatever its version.
    const told = answer.exitCode === 0 ? line : line && `${line} (${size} bytes)`;
    const identity = told || `${size} bytes, modified ${mtimeNs}`;
    this.#records.set(path, { size: Number(size), mtimeNs: String(mtimeNs), identity });
    return identity;
  }
}
