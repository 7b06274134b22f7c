import { expect, it } from 'vitest';
import { timeline } from '../../src/report/timeline.js';
import { buildRecord, recorded } from './records.js';

const attribute = (element: string, name: string) =>
  Number(new RegExp(` ${name}="([\\d.]+)"`).exec(element)?.[1]);
const all = (svg: string, name: string) => svg.match(new RegExp(`<rect class="${name}[^>]*>`, 'g')) ?? [];

it('has as many rows as work ran side by side, whatever was brought to its place meanwhile', () => {
  // In one place: each begins when the one before has left it, long before that is where it belongs.
  const nodes = [0, 1, 2].map((i) => {
    const node = recorded(`n${i}`, [], [[i * 100, 1000]]);
    return { ...node, runs: node.runs.map((run) => ({ ...run, placing_ms: 900 - i * 100 })) };
  });
  const svg = timeline(buildRecord(nodes), new Set());
  const bars = all(svg, 'w-execute');
  expect(new Set(bars.map((bar) => attribute(bar, 'y'))).size).toBe(1);
  const ends = bars.map((bar) => attribute(bar, 'x') + attribute(bar, 'width'));
  expect(ends).toEqual([...ends].sort((a, b) => a - b));
  // Each tail begins where its bar ends, and all end together.
  const tails = all(svg, 'placing');
  tails.forEach((tail, i) => void expect(attribute(tail, 'x')).toBeCloseTo(ends[i] ?? 0, 0));
  const tailEnds = tails.map((tail) => Math.round(attribute(tail, 'x') + attribute(tail, 'width')));
  expect(tailEnds).toEqual([1000, 1000, 1000]);
});

it('gives what runs at one time rows of its own', () => {
  const svg = timeline(
    buildRecord([recorded('a', [], [[0, 50]]), recorded('b', [], [[10, 60]]), recorded('c', [], [[50, 90]])]),
    new Set(),
  );
  const rows = all(svg, 'w-execute').map((bar) => attribute(bar, 'y'));
  expect([rows[0] === rows[1], rows[0] === rows[2]]).toEqual([false, true]);
});
