import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  count,
  formatBytes,
  formatDone,
  formatDuration,
  formatLeft,
  formatRate,
} from '../../src/report/format.js';

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [102_300, '99.9 KiB'],
    [102_400, '100 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [409_000_000, '390 MiB'],
    [8 * 1024 ** 3, '8.0 GiB'],
    [3 * 1024 ** 5, '3.0 PiB'],
    [5000 * 1024 ** 5, '5000 PiB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('never take more than four digits', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(formatBytes(bytes)).toMatch(/^(?:\d{1,4}|\d{1,2}\.\d) (?:B|[KMGTP]iB)$/);
      }),
    );
  });

  it('done and total share the unit of the total', () => {
    expect(formatDone(12 * 1024 ** 2, 390 * 1024 ** 2)).toBe('12.0 of 390 MiB');
    expect(formatDone(100, 2 * 1024 ** 3)).toBe('0.0 of 2.0 GiB');
    expect(formatDone(12 * 1024 ** 2, null)).toBe('12.0 MiB');
  });

  it('done never exceeds a total that was too small', () => {
    expect(formatDone(500, 400)).toBe('400 of 400 B');
  });

  it('a rate is bytes a second', () => {
    expect(formatRate(12.3 * 1024 ** 2)).toBe('12.3 MiB/s');
  });
});

describe('times', () => {
  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [14_200, '14.2 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 00 s'],
    [125_000, '2 min 05 s'],
    [3_599_600, '1 h 00 min'],
    [7_500_000, '2 h 05 min'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [0, '0:00'],
    [6_100, '0:07'],
    [125_000, '2:05'],
    [3_723_000, '1:02:03'],
  ])('%d ms left is %s', (ms, text) => {
    expect(formatLeft(ms)).toBe(text);
  });

  it('one is not several', () => {
    expect([count(1, 'file'), count(2, 'file'), count(0, 'entry', 'entries')]).toEqual([
      '1 file',
      '2 files',
      '0 entries',
    ]);
  });
});
