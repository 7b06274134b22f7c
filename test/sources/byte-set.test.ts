import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteSet, type ByteSpan } from '../../src/sources/byte-set.js';

const SIZE = 40;
const span: fc.Arbitrary<ByteSpan> = fc
  .tuple(fc.nat(SIZE), fc.nat(SIZE))
  .map(([a, b]): ByteSpan => [Math.min(a, b), Math.max(a, b)]);

describe('a set of bytes', () => {
  it('has what was added and lacks the rest, in spans that neither overlap nor touch', () => {
    fc.assert(
      fc.property(fc.array(span), (spans) => {
        const set = new ByteSet(spans);
        const bytes = Array.from({ length: SIZE }, (_, at) =>
          spans.some(([start, end]) => at >= start && at < end),
        );
        const of = (list: readonly ByteSpan[]) =>
          Array.from({ length: SIZE }, (_, at) => list.some(([start, end]) => at >= start && at < end));
        expect(of(set.spans)).toEqual(bytes);
        expect(of(set.gaps(SIZE))).toEqual(bytes.map((there) => !there));
        expect(set.size).toBe(bytes.filter((there) => there).length);
        const missing = bytes.indexOf(false);
        expect(set.beginning).toBe(missing === -1 ? SIZE : missing);
        for (const list of [set.spans, set.gaps(SIZE)]) {
          for (const [i, [start, end]] of list.entries()) {
            expect(end).toBeGreaterThan(start);
            expect(start).toBeGreaterThan(list[i - 1]?.[1] ?? -1);
          }
        }
      }),
    );
  });

  it('knows no gaps beyond the size that it is asked for', () => {
    const set = new ByteSet([
      [0, 10],
      [30, 40],
    ]);
    expect(set.gaps(20)).toEqual([[10, 20]]);
    expect(set.gaps(10)).toEqual([]);
    expect(set.gaps(50)).toEqual([
      [10, 30],
      [40, 50],
    ]);
  });
});
