// A program on PATH in front of the real one: it says another version, notes how it is called, and may misbehave.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runFolder } from './places.js';

export interface FakeTool {
  /** Folder to put in front of PATH. */
  readonly dir: string;
  /** PATH with that folder in front. */
  readonly path: string;
  /** Arguments of each call so far, `--version` included. */
  calls(): readonly (readonly string[])[];
  /** Makes the same program say another version from now on. */
  setVersion(version: string): void;
  remove(): void;
}

export interface FakeToolOptions {
  /** `qemu-img` by default. */
  readonly name?: string;
  /** `9.9.9` by default. */
  readonly version?: string;
  /** Shell lines run before the real program, e.g. `echo no space >&2; exit 1`. `$1`, `$@` are its arguments. */
  readonly before?: string;
}

/** The real program must be on PATH. */
export function fakeTool(options: FakeToolOptions = {}): FakeTool {
  const { name = 'qemu-img', version = '9.9.9', before = '' } = options;
  const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  const said = execFileSync(real, ['--version'], { encoding: 'utf8' });
  const dir = mkdtempSync(join(runFolder(), 'fake-tool-'));
  const log = join(dir, 'calls.log');
  const script = join(dir, name);
  const write = (to: string) => {
    writeFileSync(join(dir, 'version.txt'), said.replace(/\d+\.\d+(\.\d+)*/, to));
    // The script differs too, as a program of another version does: who remembers its size and time sees a change.
    const lines = [
      '#!/bin/sh',
      `# ${name} ${to}`,
      `{ for arg in "$@"; do printf '%s\\037' "$arg"; done; printf '\\036'; } >> '${log}'`,
      `case "$1" in --version|-V) exec cat '${join(dir, 'version.txt')}';; esac`,
      before,
      `exec '${real}' "$@"`,
      '',
    ];
    writeFileSync(script, lines.join('\n'));
    chmodSync(script, 0o755);
  };
  write(version);
  return {
    dir,
    path: `${dir}:${process.env.PATH ?? ''}`,
    calls() {
      if (!existsSync(log)) return [];
      const records = readFileSync(log, 'utf8').split('\x1e').slice(0, -1);
      return records.map((record) => record.split('\x1f').slice(0, -1));
    },
    setVersion: write,
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
