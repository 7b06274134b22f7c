// Text on a grid of terminal cells: how wide it is, and how it is cut to fit.
import { stripVTControlCharacters } from 'node:util';
import { eastAsianWidth } from 'get-east-asian-width';

let segmenter: Intl.Segmenter | undefined;

/**
 * Terminal cells that the text takes; escape sequences take none. The package string-width does the same to the last
 * corner of Unicode, and takes 50 ms to load, in each start.
 */
export function width(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  return segments(stripVTControlCharacters(text)).reduce((sum, segment) => sum + segmentWidth(segment), 0);
}

function segmentWidth(segment: string): number {
  if (/^[\p{Control}\p{Format}\p{Mark}]*$/u.test(segment)) return 0;
  // A sign that is text by itself is shown as an emoji with this selector behind it.
  if (segment.includes('\ufe0f')) return 2;
  return eastAsianWidth(segment.codePointAt(0) ?? 0);
}

/** Cut at the end to `cells`, with `…` where something is missing. The text must hold no escape sequences. */
export function cutEnd(text: string, cells: number): string {
  if (width(text) <= cells) return text;
  if (cells < 1) return '';
  return `${takeStart(segments(text), cells - 1)}…`;
}

/** Cut in the middle: names of one family often differ at their ends only. */
export function cutMiddle(text: string, cells: number): string {
  if (width(text) <= cells) return text;
  if (cells < 1) return '';
  const all = segments(text);
  const end = takeStart([...all].reverse(), Math.floor((cells - 1) / 2), true);
  return `${takeStart(all, cells - 1 - width(end))}…${end}`;
}

export function padEnd(text: string, cells: number): string {
  return text + ' '.repeat(Math.max(0, cells - width(text)));
}

export function padStart(text: string, cells: number): string {
  return ' '.repeat(Math.max(0, cells - width(text))) + text;
}

/**
 * A text behind a lead, wrapped by words to `cells`; what follows the first line begins `indent` cells in. Words that are
 * longer than a line (paths, URLs, digests) stay whole, so that they can be copied; writing without blanks between its
 * words (Chinese, Japanese) is broken at its wide signs. What stands in backquotes is not broken at its blanks, nor is a
 * figure from its unit. Line breaks in the text are kept, and
 * so is the indentation of its lines.
 */
export function hang(lead: string, text: string, cells: number, indent = width(lead)): string[] {
  const [first = '', ...more] = text.split('\n');
  // Of several lines, what is wrapped stands deeper than where each begins.
  const deeper = indent + (more.length > 0 ? 2 : 0);
  return [
    ...wrapLine(lead, first, cells, deeper),
    ...more.flatMap((line) => {
      const own = /^ */.exec(line)?.[0] ?? '';
      return wrapLine(' '.repeat(indent) + own, line.slice(own.length), cells, deeper + own.length);
    }),
  ];
}

/** A sentence, as `hang` wraps it; what follows its first line stands a little deeper. */
export function prose(text: string, cells: number): string[] {
  return hang('', text, cells, 2);
}

function wrapLine(lead: string, text: string, cells: number, indent: number): string[] {
  if (width(lead) + width(text) <= cells) return [(lead + text).trimEnd()];
  const lines: string[] = [];
  let line = lead;
  let empty = true;
  for (const word of wordsOf(text, cells - indent)) {
    pieces(word).forEach((piece, i) => {
      const blank = empty || i > 0 ? '' : ' ';
      if (!empty && width(line) + blank.length + width(piece) > cells) {
        lines.push(line);
        line = ' '.repeat(indent) + piece;
      } else line += blank + piece;
      empty = false;
    });
  }
  return [...lines, line];
}

/** What stands in backquotes is to be typed: it is one word, as a figure is with its unit, where it fits into so many cells. */
function wordsOf(text: string, cells: number): readonly string[] {
  const words = text.match(/(?:`[^`]*`|(?<=\d) (?=(?:[KMGTP]i)?B\b|m?s\b|min\b|h\b|%)|[^ ])+/g) ?? [];
  return words.flatMap((word) => (width(word) <= cells ? [word] : word.split(/ +/)));
}

/** Where a word may be broken: before and behind each wide sign. */
function pieces(word: string): readonly string[] {
  if (width(word) === word.length) return [word];
  const parts: string[] = [];
  let wasWide = true;
  for (const segment of segments(word)) {
    const isWide = width(segment) > 1;
    if (isWide || wasWide) parts.push(segment);
    else parts.push(`${parts.pop() ?? ''}${segment}`);
    wasWide = isWide;
  }
  return parts;
}

/** Text from outside (a program's output, a file name) as one harmless line: no control characters. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, '').replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, '');
}

/** What a reader takes for one character each. */
function segments(text: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

function takeStart(parts: readonly string[], cells: number, backwards = false): string {
  let taken = '';
  let used = 0;
  for (const part of parts) {
    used += width(part);
    if (used > cells) break;
    taken = backwards ? part + taken : taken + part;
  }
  return taken;
}
