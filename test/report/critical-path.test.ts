import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RecordedNode } from '../../src/model/build-record.js';
import { criticalPath, pathTime } from '../../src/report/critical-path.js';
import { recorded } from './records.js';

const names = (nodes: readonly RecordedNode[]) => criticalPath(nodes).map(({ node }) => node);

it('leads from what ended last to the input that came last, and on', () => {
  const nodes = [
    recorded('quick', [], [[0, 10]]),
    recorded('slow', [], [[0, 50]]),
    recorded('both', ['quick', 'slow'], [[51, 60]]),
    recorded('aside', ['quick'], [[11, 40]]),
  ];
  expect(names(nodes)).toEqual(['slow', 'both']);
});

it('goes through what did not run, and through what streamed in the same pass', () => {
  const nodes = [
    recorded('download', [], [[0, 50]]),
    recorded('merged', ['download'], []),
    recorded('out', ['merged'], [[51, 80]], ['merged']),
    recorded('group', ['out'], []),
    recorded('last', ['group'], [[81, 90]]),
  ];
  expect(names(nodes)).toEqual(['download', 'out', 'last']);
});

it('counts every piece of work of a node: fetched, and held against its sums', () => {
  expect(
    names([
      recorded(
        'a',
        [],
        [
          [0, 10],
          [12, 20],
        ],
      ),
    ]),
  ).toEqual(['a', 'a']);
});

it('is empty where nothing ran', () => {
  expect(names([recorded('a', [], [])])).toEqual([]);
});

it('takes no longer than the build, also where one reads what the other is still bringing', () => {
  const nodes = [recorded('download', [], [[5, 50]]), recorded('unpacked', ['download'], [[6, 55]])];
  expect(names(nodes)).toEqual(['download', 'unpacked']);
  expect(pathTime(criticalPath(nodes))).toBe(50);
});

it('ends with what ended last, goes back in time only, and along inputs only', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(fc.nat(30), { maxLength: 3 }), fc.nat(100), fc.nat(50)), {
        minLength: 1,
        maxLength: 30,
      }),
      (shape) => {
        const nodes = shape.map(([inputs, start, took], i) =>
          recorded(`n${i}`, i === 0 ? [] : inputs.map((input) => `n${input % i}`), [[start, start + took]]),
        );
        const path = criticalPath(nodes);
        const end = Math.max(...nodes.flatMap(({ runs }) => runs.map(({ end_ms }) => end_ms)));
        expect(path.at(-1)?.run.end_ms).toBe(end);
        expect(pathTime(path)).toBeLessThanOrEqual(end);
        for (const [i, { run }] of path.slice(1).entries())
          expect(path[i]?.run.start_ms).toBeLessThanOrEqual(run.start_ms);
      },
    ),
    { numRuns: 100 },
  );
});
