// What a failing disk does to a file: other bytes under the same stat.
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import type { Workspace } from '../../src/plan/workspace.js';

/** Inverts one byte. */
export function flip(path: string, at = Math.floor(statSync(path).size / 2)): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  writeSync(file, Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, at);
  closeSync(file);
}

/** Changes an output, and makes its record say that nobody wrote to it since. */
export async function rot(workspace: Workspace, path: string, change: () => void): Promise<void> {
  const record = workspace.state.outputs.get(path);
  if (!record) throw new Error(`${path} is no output`);
  change();
  if (record.type === 'directory') {
    // Of a directory the stats of all in it are recorded.
    await workspace.cache.digestOfDirectory(path);
    const found = workspace.state.files.get(`${path}/`);
    if (!found) throw new Error(`${path} has no record`);
    workspace.state.files.set(`${path}/`, { ...found, digest: record.digest });
  } else {
    await workspace.cache.record(path, record.digest);
    await workspace.cache.settle();
  }
  await workspace.state.flush();
}
