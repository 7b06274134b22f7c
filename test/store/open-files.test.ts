import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { writerOf } from '../../src/store/open-files.js';
import { tempDir } from './temp.js';

describe.skipIf(process.platform !== 'linux')('writerOf', () => {
  async function held(
    how: '<' | '>>' | '<>',
    use: (path: string, pid: number) => void | Promise<void>,
  ): Promise<void> {
    const path = join(tempDir(), 'an image');
    writeFileSync(path, 'bytes');
    const child = spawn('sh', ['-c', `exec 3${how}"$1"; echo ready; read line`, 'sh', path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    try {
      await use(path, child.pid ?? 0);
    } finally {
      child.stdin.end();
      await ended;
    }
  }

  it.each(['>>', '<>'] as const)('names a process that may write to the file (%s)', (how) =>
    held(how, (path, pid) =>
      // A look around may have been had a moment ago.
      vi.waitFor(() => expect(writerOf(path)).toMatchObject({ pid, program: expect.stringMatching(/sh$/) }), {
        timeout: 20_000,
      }),
    ),
  );

  it('passes over one that only reads', () => held('<', (path) => expect(writerOf(path)).toBeUndefined()));

  it('passes over this very process, and knows nothing of a file that is not there', () => {
    const path = join(tempDir(), 'own');
    const fd = openSync(path, 'w');
    expect(writerOf(path)).toBeUndefined();
    closeSync(fd);
    expect(writerOf(`${path} not there`)).toBeUndefined();
  });
});
