// One running node as one line of the screen.
import { formatDone, formatLeft, formatRate } from '../../report/format.js';
import type { Page } from '../../report/paint.js';
import { chainText } from '../../report/plan.js';
import { cutEnd, cutMiddle, oneLine, padEnd, padStart, width } from '../../report/text.js';
import { type RunningNode, timeLeft } from './running.js';

/** Cells of the figures: `1023 of 1023 MiB`, `12.3 MiB/s`, `12:05 left`. */
const DONE_CELLS = 16;
const RATE_CELLS = 10;
const LEFT_CELLS = 12;
/** Below this the figures that help least give way to the name. */
const NAME_LEAST = 12;

/** Exactly one line, at most `cells` wide, without colours but those of `page`. */
export function rowText(running: RunningNode, mark: string, now: number, cells: number, page: Page): string {
  const figures = figuresOf(running, now);
  const room = () => cells - width(mark) - 1 - figures.reduce((sum, text) => sum + 2 + width(text), 0);
  while (figures.length > 0 && room() < NAME_LEAST) figures.pop();
  const label = chainText(running);
  const name = cutMiddle(label, Math.max(1, room()));
  const detailRoom = room() - width(name) - 2;
  const detail =
    detailRoom >= 8 && running.detail !== '' ? `  ${cutEnd(oneLine(running.detail), detailRoom)}` : '';
  const left = `${page.paint('bold', name)}${page.paint('dim', detail)}`;
  const tail = figures.map((text) => `  ${text}`).join('');
  const filled = tail.trim() === '' ? left : padEnd(left, room()) + tail;
  return `${page.paint('cyan', mark)} ${filled}`.trimEnd();
}

/** Most telling first. */
function figuresOf(running: RunningNode, now: number): string[] {
  const { progress, rate, since } = running;
  if (!progress) return [padStart(formatLeft(Math.floor((now - since) / 1000) * 1000), DONE_CELLS)];
  const leftMs = timeLeft(running);
  const left = padStart(
    leftMs === undefined || leftMs > 359_999_000 ? '' : `${formatLeft(leftMs)} left`,
    LEFT_CELLS,
  );
  if (progress.unit === 'percent') {
    return [padStart(`${Math.floor(progress.done)} %`, DONE_CELLS), padStart('', RATE_CELLS), left];
  }
  return [
    padStart(formatDone(progress.done, progress.total), DONE_CELLS),
    padStart(rate === undefined ? '' : formatRate(rate), RATE_CELLS),
    left,
  ];
}
