import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/model/digest.js';
import { KeyedLog } from '../../src/store/keyed-log.js';
import { openState, type State } from '../../src/store/state.js';
import { tempDir } from './temp.js';

const digest: Digest = `tree:${'0'.repeat(64)}`;
const file = { size: 3, mtimeNs: '1', ctimeNs: '2', ino: '3', digest, at: '4' };
const item = { name: 'x', type: 'file', digest, size: 3 } as const;
const action = {
  kind: 'convert',
  recipe: { to: 'raw', options: { a: [1, null] } },
  tools: { 'qemu-img': '7.2' },
  inputs: [{ role: 'in', digests: [digest] }],
};

function fill(state: State): void {
  state.traces.set('k', { content: [item, { ...item, executable: true }], durationMs: 1.5, at: 2 });
  state.traces.set('l', { content: [item], durationMs: 1, at: 2, asIs: true, diskBytes: 4096 });
  state.files.set('/f', file);
  state.files.set('/d/', { ...file, tree: 'abc' });
  state.outputs.set('/o', { digest, node: 'n', type: 'directory', size: 1, executable: false });
  state.nodes.set('n', { key: 'k', action, status: 'done', at: 1, durationMs: 2 });
  state.nodes.set('m', { key: 'k', action: null, status: 'failed', at: 1, durationMs: 2, error: 'exit 1' });
  state.tools.set('/usr/bin/qemu-img', { size: 1, mtimeNs: '5', identity: 'qemu-img 7.2.0' });
}

function all(state: State): unknown {
  const logs: readonly KeyedLog<unknown>[] = [
    state.traces,
    state.files,
    state.outputs,
    state.nodes,
    state.tools,
  ];
  return logs.map((log) => [...log.entries()]);
}

describe('the state', () => {
  it('is the same when read again, and is seen by others on reload', async () => {
    const dir = tempDir();
    const state = openState(dir);
    const other = openState(dir);
    fill(state);
    await state.flush();
    expect(all(openState(dir))).toEqual(all(state));
    other.reload();
    expect(all(other)).toEqual(all(state));
    expect(state.damage).toEqual([]);
  });

  it.each<[keyof State, unknown]>([
    ['traces', { content: [{ ...item, digest: 'md5:1' }], durationMs: 1, at: 1 }],
    ['traces', { content: 'x', durationMs: 1, at: 1 }],
    ['files', { ...file, size: -1 }],
    ['files', { ...file, at: 'now' }],
    ['files', []],
    ['outputs', { digest, node: 'n', type: 'socket', size: 1, executable: false }],
    [
      'nodes',
      {
        key: 'k',
        action: { ...action, inputs: [{ role: 'in', digests: ['x'] }] },
        status: 'done',
        at: 1,
        durationMs: 2,
      },
    ],
    ['nodes', { key: 'k', action: null, status: 'maybe', at: 1, durationMs: 2 }],
    ['tools', { size: 1, mtimeNs: 5, identity: 'x' }],
  ])('does not take a record of %s of another shape for true', async (name, value) => {
    const dir = tempDir();
    const raw = KeyedLog.open<unknown>(join(dir, `${name}.log`), { version: 1, decode: (v) => v });
    raw.set('key', value);
    await raw.flush();
    const state = openState(dir);
    const logs = {
      traces: state.traces,
      files: state.files,
      outputs: state.outputs,
      nodes: state.nodes,
      tools: state.tools,
    };
    for (const log of Object.values(logs)) expect([...log.entries()]).toEqual([]);
    expect(state.damage).toHaveLength(1);
  });
});
