// Output paths have one form, below output-dir.
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { normaliseOutput } from '../../src/manifest/outputs.js';

it.each([
  ['kernel', { path: 'kernel' }],
  ['./a//b/./c/../d/', { path: 'a/b/d' }],
  ['..a/...', { path: '..a/...' }],
  ['..', { problem: '`..` leads out of output-dir' }],
  ['a/../..', { problem: '`a/../..` leads out of output-dir' }],
  ['../resources/a', { problem: '`../resources/a` leads out of output-dir' }],
  ['.', { problem: '`.` is output-dir itself' }],
  ['/', { problem: '`/` is absolute; an output lies below output-dir' }],
  ['a\0b', { problem: 'an output path cannot have a NUL character' }],
])('%j', (text, expected) => {
  expect(normaliseOutput(text)).toEqual(expected);
});

it('never leads out of the folder, and is itself in that form', () => {
  const text = fc.string({ unit: fc.constantFrom('.', '..', '/', 'a', ' ', '\\'), maxLength: 8 });
  fc.assert(
    fc.property(text, (written) => {
      const normal = normaliseOutput(written);
      if ('problem' in normal) return;
      expect(join('/out', normal.path)).toBe(`/out/${normal.path}`);
      expect(join('/out', written).replace(/\/$/, '')).toBe(`/out/${normal.path}`);
      expect(normaliseOutput(normal.path)).toEqual(normal);
    }),
  );
});
