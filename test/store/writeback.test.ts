import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { writingBack } from '../../src/store/writeback.js';
import { tempDir } from './temp.js';

/** Whether a reader has opened the pipe, or is about to; lets it go on. */
function isOpened(pipe: string): boolean {
  try {
    closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENXIO' });
    return false;
  }
}

describe('writing back', () => {
  it('gives what the work gives, and fails as it does, whether the file is there or not', async () => {
    const path = join(tempDir(), 'file');
    expect(await writingBack(path, async () => 7)).toBe(7);
    await expect(writingBack(path, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    const made = await writingBack(path, async (onWritten) => {
      writeFileSync(path, 'words');
      onWritten();
      await delay(250);
      return 8;
    });
    expect(made).toBe(8);
  });

  it('waits for its time while the file grows, and does not once all is written', async () => {
    // A pipe shows when it is opened to be synced. Time stands still.
    const pipe = join(tempDir(), 'pipe');
    spawnSync('mkfifo', [pipe]);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await writingBack(pipe, async (onWritten) => {
      for (let i = 0; i < 100; i++) await turn();
      expect(isOpened(pipe)).toBe(false);
      onWritten();
      while (!isOpened(pipe)) await turn();
    });
  });
});
