// Text on a grid of terminal cells: how wide it is, and how it is cut to fit.
import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Terminal cells that the text takes; escape sequences take none. */
export function width(text: string): number {
  return stringWidth(text);
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

/** Text from outside (a program's output, a file name) as one harmless line: no control characters. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, '').replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, '');
}

function segments(text: string): string[] {
  return Array.from(graphemes.segment(text), ({ segment }) => segment);
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
