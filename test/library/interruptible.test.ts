// The signal that work runs under.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { interruptible } from '../../src/library/interruptible.js';

it('may be listened to by all that runs at once', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  await interruptible([], async (signal) => {
    for (let i = 0; i < 20; i++) signal.addEventListener('abort', () => undefined);
    // Warnings come a little later.
    await delay(1);
  });
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
