import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold, moreText, someOf } from '../../src/report/fold.js';
import type { Page } from '../../src/report/paint.js';
import { createPaint } from '../../src/report/paint.js';
import { table } from '../../src/report/table.js';
import { cutEnd, cutMiddle, hang, oneLine, padEnd, padStart, width } from '../../src/report/text.js';

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }));

import { page80 } from './samples.js';

const page = (cells: number): Page => ({ ...page80, width: cells });

describe('width', () => {
  it.each([
    ['', 0],
    ['disk.raw', 8],
    ['磁盘', 4],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['\x1b[31mred\x1b[39m', 3],
    ['a → b', 5],
    ['…', 1],
  ])('of %j is %d cells', (text, cells) => {
    expect(width(text)).toBe(cells);
  });
});

describe('cutting', () => {
  it('keeps what fits', () => {
    expect(cutMiddle('raw-disk', 8)).toBe('raw-disk');
    expect(cutEnd('raw-disk', 8)).toBe('raw-disk');
  });

  it('shows that something is missing, where it is missing', () => {
    expect(cutMiddle('disk-image-focal-amd64', 11)).toBe('disk-…amd64');
    expect(cutEnd('disk-image-focal-amd64', 11)).toBe('disk-image…');
  });

  it('never gives more cells than asked for, nor half a character', () => {
    fc.assert(
      fc.property(anyText.map(oneLine), fc.nat(30), (text, cells) => {
        for (const cut of [cutMiddle(text, cells), cutEnd(text, cells)]) {
          expect(width(cut)).toBeLessThanOrEqual(Math.max(cells, width(text) <= cells ? width(text) : 0));
          expect(cut).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
        }
      }),
    );
  });

  it('pads to cells, not to code units', () => {
    expect(padEnd('磁盘', 6)).toBe('磁盘  ');
    expect(padStart('磁盘', 6)).toBe('  磁盘');
  });
});

it('text from outside cannot move the cursor', () => {
  expect(oneLine('a\x1b[2Jb\rc\x07d\ne\x9bf')).toBe('abcdef');
});

describe('a table', () => {
  const columns = [
    { title: 'NODE', cut: 'middle' as const },
    { title: 'SIZE', align: 'right' as const },
    { title: 'WHY', cut: 'end' as const },
  ];

  it('aligns, and leaves no blanks at the ends of lines', () => {
    expect(
      table(
        columns,
        [
          ['a', '1', 'x'],
          ['long-name', '100', ''],
        ],
        page(80),
      ),
    ).toEqual(['NODE       SIZE  WHY', 'a             1  x', 'long-name   100']);
  });

  it('leaves out a column that has nothing to say', () => {
    expect(table(columns, [['a', '', 'x']], page(80))).toEqual(['NODE  WHY', 'a     x']);
  });

  it('cuts the widest column first to fit the page', () => {
    const lines = table(columns, [['node', '1', 'w'.repeat(100)]], page(30));
    expect(lines[1]).toBe(`node     1  ${'w'.repeat(17)}…`);
  });

  it('does not cut for a page without an end', () => {
    expect(table(columns, [['n', '1', 'w'.repeat(300)]], page(Number.POSITIVE_INFINITY))[1]).toHaveLength(
      312,
    );
  });

  it('colours the words, not the padding', () => {
    const painted = { ...page(80), paint: createPaint(true) };
    expect(
      table([{ title: 'S' }, { title: 'T' }], [[{ text: 'ok', colour: 'green' }, 'x']], painted)[1],
    ).toBe('\x1b[32mok\x1b[39m  x');
  });

  it('leaves out spare columns where there is no room, those at the right first', () => {
    const four = [
      { title: 'NAME', cut: 'end' as const },
      { title: 'KIND', spare: true as const },
      { title: 'SIZE', spare: true as const },
      { title: 'WHY', cut: 'end' as const },
    ];
    const rows = [['n'.repeat(20), 'extract', '1.0 MiB', 'w'.repeat(20)]];
    const titles = (cells: number) => table(four, rows, page(cells))[0]?.split(/ +/);
    expect(titles(40)).toEqual(['NAME', 'KIND', 'SIZE', 'WHY']);
    expect(titles(30)).toEqual(['NAME', 'KIND', 'WHY']);
    expect(titles(20)).toEqual(['NAME', 'WHY']);
    expect(table(four, rows, page(12))[1]).toBe('nnnn…  wwww…');
  });

  it('fits the page whatever is in it, as far as its columns may shrink', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyText, fc.string({ maxLength: 5 }), anyText), { minLength: 1 }),
        (rows) => {
          for (const line of table(columns, rows, page(60))) expect(width(line)).toBeLessThanOrEqual(60);
        },
      ),
    );
  });
});

describe('a text behind a lead', () => {
  it('goes on below itself', () => {
    expect(hang('  hint: ', 'Move it away, or let it be replaced.', 24)).toEqual([
      '  hint: Move it away, or',
      '        let it be',
      '        replaced.',
    ]);
  });

  it('keeps its own lines and their indentation', () => {
    expect(hang('error: ', 'a: b c\n  d e f', 12, 2)).toEqual(['error: a: b', '    c', '    d e f']);
  });

  it('keeps columns where nothing has to be wrapped', () => {
    expect(hang('', 'gem5   a kernel', 20)).toEqual(['gem5   a kernel']);
  });

  it('is never wider than the page but for a word that is, and loses none', () => {
    const words = fc.array(fc.stringMatching(/^[a-z/]{1,30}$/), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(words, fc.integer({ min: 10, max: 60 }), fc.nat(8), (all, cells, indent) => {
        const lines = hang('error: ', all.join(' '), cells, indent);
        expect(lines.join(' ').trim().split(/ +/)).toEqual(['error:', ...all]);
        for (const line of lines) {
          if (width(line) > cells) expect(line.trim().replace('error: ', '')).not.toContain(' ');
        }
      }),
    );
  });
});

describe('a sentence', () => {
  it('is wrapped between words, and words that are to be copied stay whole', () => {
    const path = '/a/path/that/is/longer/than/the/line';
    expect(hang('hint: ', `look at ${path} first`, 20)).toEqual([
      'hint: look at',
      `      ${path}`,
      '      first',
    ]);
  });

  it('keeps together what stands in backquotes, and a figure and its unit', () => {
    expect(hang('', 'say `res build -k` now', 16)).toEqual(['say', '`res build -k`', 'now']);
    expect(hang('', 'all of it has 12.0 MiB (3)', 20)).toEqual(['all of it has', '12.0 MiB (3)']);
    expect(hang('', 'wait for 14.2 s', 14)).toEqual(['wait for', '14.2 s']);
    // Where it does not fit at all it is broken like any other text.
    expect(hang('', 'say `res build --keep-going`', 14)).toEqual(['say `res build', '--keep-going`']);
  });

  it('without blanks between its words is broken at its wide signs', () => {
    expect(hang('  ', '磁盘镜像的来源文件 ok', 10)).toEqual(['  磁盘镜像', '  的来源文', '  件 ok']);
    expect(hang('', 'disk磁盘image', 8)).toEqual(['disk磁盘', 'image']);
  });

  it('of any signs is no wider than the page but for words that are', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 8, max: 40 }), (text, cells) => {
        for (const line of hang('', oneLine(text), cells, 2))
          if (width(line) > cells) expect(line.trim()).not.toContain(' ');
      }),
    );
  });
});

describe('a list that is long for a terminal', () => {
  const terminal = { ...page(80), most: 3 };
  const items = ['a', 'b', 'c', 'd', 'e'];

  it('is folded, and the rest is counted', () => {
    expect(fold(items, terminal)).toEqual({ shown: ['a', 'b', 'c'], more: 2 });
    expect(fold(items, terminal, 1)).toEqual({ shown: ['a'], more: 4 });
    expect(moreText(2, 'step', terminal)).toEqual(['2 more steps; -v lists all']);
    expect(moreText(1, 'step', terminal)).toEqual(['1 more step; -v lists all']);
  });

  it('is whole where it is not too long, and on a page without an end', () => {
    expect(fold(items.slice(0, 3), terminal)).toEqual({ shown: ['a', 'b', 'c'], more: 0 });
    expect(fold(items, page(80), 1)).toEqual({ shown: items, more: 0 });
    expect(moreText(0, 'step', terminal)).toEqual([]);
  });

  it('of names in a sentence ends with how many there are', () => {
    expect(someOf(items, 2)).toBe('a, b and 3 more');
    expect(someOf(items, 5)).toBe('a, b, c, d, e');
  });
});
