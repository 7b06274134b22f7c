import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Progress, showProgress } from '../../src/execute/progress.js';
import type { BuildEvent } from '../../src/model/event.js';

let told: BuildEvent[] = [];
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
});
afterEach(() => vi.useRealTimers());

function show(work: (progress: Progress) => Promise<void>): Promise<void> {
  return showProgress('node', (event) => told.push(event), work);
}
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const dones = () => told.map((event) => (event.type === 'progress' ? event.done : event.type));

describe('progress', () => {
  it('is told at most every 100 ms, and always the newest', async () => {
    await show(async (progress) => {
      for (let done = 1; done <= 50; done++) {
        progress.bytes(done, 1000);
        await wait(10);
      }
      expect(dones()).toEqual([10, 20, 30, 40, 50]);
    });
  });

  it('is told of what stands still', async () => {
    await show(async (progress) => {
      progress.bytes(7, 1000);
      progress.bytes(8, 1000);
      expect(dones()).toEqual([]);
      await wait(10_000);
      expect(dones()).toEqual([8]);
    });
  });

  it('is told at once when it is all, and never after the work', async () => {
    await show(async (progress) => {
      progress.bytes(1, 1000);
      progress.bytes(1000, 1000);
      progress.percent(3);
      progress.percent(100);
      expect(dones()).toEqual([1000, 100]);
      progress.percent(50);
    });
    await wait(1000);
    expect(dones()).toEqual([1000, 100]);
    const failing = show(async (progress) => {
      progress.bytes(1, 2);
      throw new Error('so it ends');
    });
    await expect(failing).rejects.toThrow('so it ends');
    await wait(1000);
    expect(dones()).toEqual([1000, 100]);
  });
});
