import { expect, it } from 'vitest';
import type { RecordedNode } from '../../src/model/build-record.js';
import { historyText } from '../../src/report/history.js';
import { buildRecord, recorded } from './records.js';
import { page80 } from './samples.js';

const failed = (name: string, message: string): RecordedNode => ({
  ...recorded(name, [], []),
  outcome: 'failed',
  error: { code: 'io', message, hint: null },
});
const row = (...nodes: readonly RecordedNode[]) => {
  const page = { ...page80, width: Number.POSITIVE_INFINITY };
  return historyText([{ ...buildRecord(nodes), outcome: 'failed' }], 0, page)[1]?.replace(
    /^.* ms +\d {2}/,
    '',
  );
};

it('names the nodes that failed, once, and what is wrong with the first', () => {
  expect(row(failed('a', 'it broke\nin two'))).toBe('a: it broke in two');
  expect(row(failed('a', 'a: it broke'), recorded('b', [], []))).toBe('a: it broke');
  expect(row(...['a', 'b', 'c', 'd', 'e'].map((name) => failed(name, `${name}: it broke`)))).toBe(
    'a, b, c and 2 more: it broke',
  );
});
