// Where files that name each other lie in a folder of their own: each is found by its way, and none in another's place.
import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOut } from '../../src/execute/layout.js';

describe('the layout of files that name each other', () => {
  it.each([
    ['beside it', 'exp', ['disk.raw'], ['exp', 'disk.raw']],
    ['below it', 'exp', ['a/disk.raw'], ['exp', 'a/disk.raw']],
    ['above it', 'exp', ['../disk.raw'], ['exp/exp', 'disk.raw']],
    ['far away', 'exp', ['../../../a/disk.raw'], ['exp/exp/exp/exp', 'a/disk.raw']],
    ['of its name', 'exp', ['exp'], ['exp_', 'exp']],
    ['in a folder of its name', 'exp', ['../exp/exp_'], ['exp__/exp__', 'exp/exp_']],
    ['one after the other', 'exp', ['../b/mid', '../../base'], ['exp/exp/exp', 'exp/b/mid', 'base']],
    ['down and up again', 'exp', ['a/b/mid', '../base'], ['exp', 'a/b/mid', 'a/base']],
  ])('is that of their ways: %s', (_, name, ways, places) => {
    expect(layOut(name, ways)).toEqual(places);
  });

  it('has every way hold, whatever they are', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', 'exp'), { maxLength: 3 })
      .map((folders) => folders.join('/'));
    const files = fc
      .uniqueArray(path, { minLength: 2, maxLength: 4 })
      .map((folders) =>
        folders.map((folder, i) => posix.join('/', folder, `${i % 2 === 0 ? 'exp' : 'f'}${i}`)),
      );
    fc.assert(
      fc.property(files, (real) => {
        const ways = real.slice(1).map((to, i) => posix.relative(posix.dirname(real[i] ?? ''), to));
        const places = layOut('exp', ways);
        expect(new Set(places).size).toBe(real.length);
        for (const place of places) expect(place).not.toMatch(/^\.\.|^\//);
        const followed = ways.map((way, i) => posix.join(posix.dirname(places[i] ?? ''), way));
        expect(places.slice(1)).toEqual(followed);
      }),
    );
  });
});
