// `res history` and `res check` in words.
import { describe, expect, it } from 'vitest';
import type { CheckedNode } from '../../src/model/report.js';
import { checkText } from '../../src/report/check.js';
import { historyText } from '../../src/report/history.js';
import { width } from '../../src/report/text.js';
import { buildRecord, recorded } from './records.js';
import { page80 } from './samples.js';

describe('history', () => {
  const done = buildRecord([recorded('merged', [], [[0, 1500]])]);
  const error = { code: 'command-failed' as const, message: 'sh failed\nwith status 3', hint: null };
  const failed = {
    ...buildRecord([{ ...recorded('linux', [], [[0, 40]]), outcome: 'failed' as const, error }]),
    outcome: 'failed' as const,
  };

  it('says which node failed', () => {
    expect(historyText([failed, done], 3, page80)).toEqual([
      'BUILD                     RESULT   TIME  RAN  WHAT',
      '20260102-030405-006-0a0b  failed  40 ms    0  linux: sh failed with status 3',
      '20260102-030405-006-0a0b  done    1.5 s    1  merged',
      '3 older builds; -n lists more',
    ]);
  });

  it('keeps the ids whole where it is narrow', () => {
    const stopped = { ...done, outcome: 'interrupted' as const };
    for (const line of historyText([failed, stopped], 0, { ...page80, width: 40 })) {
      expect(line).toMatch(/^(?:BUILD|20260102-030405-006-0a0b) /);
      expect(width(line)).toBeLessThanOrEqual(40);
    }
  });
});

describe('check', () => {
  const checked = (node: string, rest: Partial<CheckedNode> = {}): CheckedNode => ({
    node,
    result: 'same',
    durationMs: 20,
    outputs: [],
    differences: [],
    moreDifferences: 0,
    ...rest,
  });
  const difference = {
    output: 'initrd.cpio',
    file: '',
    how: 'content' as const,
    sizeBefore: 107008,
    sizeAfter: 96,
    offset: 54,
  };
  const nodes = [
    checked('a'),
    checked('b', { result: 'different', differences: [difference] }),
    checked('c', { result: 'failed' }),
    checked('d'),
  ];

  it('of several nodes ends with how many came out how', () => {
    expect(checkText({ ok: false, nodes }, page80)).toEqual([
      'a: the same, made a second time in 20 ms',
      'b: different, made a second time in 20 ms',
      'OUTPUT       DIFFERS IN  BYTES BEFORE  AFTER  FROM BYTE',
      'initrd.cpio  content           107008     96         54',
      'c: could not be made',
      'd: the same, made a second time in 20 ms',
      '4 nodes: 2 the same, 1 different, 1 could not be made',
    ]);
    expect(checkText({ ok: true, nodes: nodes.slice(0, 1) }, page80)).toHaveLength(1);
  });

  it('of more than a terminal should list leaves out those that came out the same', () => {
    const lines = checkText({ ok: false, nodes }, { ...page80, most: 3 });
    expect(lines.filter((line) => /^[ad]:/.test(line))).toEqual([]);
    expect(lines).toContain('2 more nodes; -v lists all');
  });
});
