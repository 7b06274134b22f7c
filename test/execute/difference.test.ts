// The first byte in which two files differ, and what differs between two trees.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { differencesOf, firstDifference } from '../../src/execute/difference.js';
import { tempDir } from '../store/temp.js';

it('is the first byte that is another one, or the end of the shorter file', async () => {
  const dir = tempDir();
  const [a, b] = [join(dir, 'a'), join(dir, 'b')];
  const piece = 1024 * 1024;
  const prefix = fc.constantFrom(0, 1, piece - 1, piece, piece + 1);
  const tail = fc.uint8Array({ maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(prefix, tail, tail, async (length, x, y) => {
      writeFileSync(a, Buffer.concat([Buffer.alloc(length), x]));
      writeFileSync(b, Buffer.concat([Buffer.alloc(length), y]));
      const at = Array.from({ length: Math.max(x.length, y.length) }, (_, i) => i).find((i) => x[i] !== y[i]);
      expect(await firstDifference(a, b)).toBe(at === undefined ? null : length + at);
    }),
    { numRuns: 60 },
  );
});

it('lists all that a digest counts, and nothing else', async () => {
  const dir = tempDir();
  for (const side of ['a', 'b']) {
    mkdirSync(join(dir, side, 'same/empty'), { recursive: true });
    writeFileSync(join(dir, side, 'same/file'), 'x');
    writeFileSync(join(dir, side, 'mode'), 'x');
    symlinkSync(side, join(dir, side, 'link'));
  }
  chmodSync(join(dir, 'b/mode'), 0o755);
  mkdirSync(join(dir, 'a/type'));
  writeFileSync(join(dir, 'b/type'), '12');
  writeFileSync(join(dir, 'a/gone'), '123');
  mkdirSync(join(dir, 'b/new'));
  const row = { output: 'o', sizeBefore: null, sizeAfter: null, offset: null };
  expect(await differencesOf('o', join(dir, 'a'), join(dir, 'b'))).toEqual([
    { ...row, file: 'gone', how: 'missing', sizeBefore: 3 },
    { ...row, file: 'link', how: 'link' },
    { ...row, file: 'mode', how: 'mode', sizeBefore: 1, sizeAfter: 1 },
    { ...row, file: 'new', how: 'new' },
    { ...row, file: 'type', how: 'type', sizeAfter: 2 },
  ]);
});
