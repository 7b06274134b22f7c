// A user's folder for one test.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runFolder } from './places.js';

export interface Workspace {
  /** Absolute, without symbolic links. */
  readonly dir: string;
  path(...parts: readonly string[]): string;
  write(name: string, content: string | Uint8Array): void;
  read(name: string): Buffer;
  text(name: string): string;
  exists(name: string): boolean;
  remove(): void;
}

const open = new Set<string>();

/** A new folder with these files; a text alone is its resources.yaml. */
export function makeWorkspace(files: string | Readonly<Record<string, string | Uint8Array>> = {}): Workspace {
  const dir = realpathSync(mkdtempSync(join(runFolder(), 'test-')));
  open.add(dir);
  const path = (...parts: readonly string[]) => join(dir, ...parts);
  const write = (name: string, content: string | Uint8Array) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), content);
  };
  const given = typeof files === 'string' ? { 'resources.yaml': files } : files;
  for (const [name, content] of Object.entries(given)) write(name, content);
  return {
    dir,
    path,
    write,
    read: (name) => readFileSync(path(name)),
    text: (name) => readFileSync(path(name), 'utf8'),
    exists: (name) => existsSync(path(name)),
    remove() {
      rmSync(dir, { recursive: true, force: true });
      open.delete(dir);
    },
  };
}

/** Removes all folders that are left: for `afterEach`. At the end of the run they go in any case. */
export function removeWorkspaces(): void {
  for (const dir of open) rmSync(dir, { recursive: true, force: true });
  open.clear();
}
