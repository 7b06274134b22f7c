// Sizes as people write them.
import { expect, it } from 'vitest';
import { parseSize, withCommas } from '../../src/model/size.js';

it.each([
  ['0', 0],
  ['1048576', 1024 ** 2],
  ['2K', 2048],
  ['2k', 2048],
  ['500M', 500 * 1024 ** 2],
  ['2G', 2 * 1024 ** 3],
  ['2GiB', 2 * 1024 ** 3],
  ['64 KiB', 65536],
  ['1.5T', 1.5 * 1024 ** 4],
  ['1P', 1024 ** 5],
])('%s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

it.each(['', 'G', '-1', '1.5', '1e3', '2GB', '2 apples', '0x10', ' 1G', '1G ', '999999999999P', 'Infinity'])(
  '%j is none',
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

it.each([0, 7, 999, 1000, 123456, 1234567, 2 ** 53 - 1])(
  '%d with commas is what languages make of it',
  (count) => {
    expect(withCommas(count)).toBe(count.toLocaleString('en'));
  },
);
