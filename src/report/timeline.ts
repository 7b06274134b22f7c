// What ran when, drawn: a band for each pool, as many rows in it as ran side by side, the critical path framed.
import type { BuildRecord, RecordedPool, RecordedRun } from '../model/build-record.js';
import { formatDuration } from './format.js';
import { escapeMarkup } from './markup.js';
import { oneLine } from './text.js';

interface Bar {
  readonly node: string;
  readonly run: RecordedRun;
  readonly row: number;
}

const WIDTH = 1000;
const LEFT = 90;
const ROW = 18;
/** A band with many rows is pressed into so much. */
const BAND = 360;
/** Lower rows have no room for names. */
const NAMED = 14;
const GAP = 10;
const AXIS = 24;
/** Of a letter. */
const CELL = 7.4;

const BANDS: readonly { readonly pool: RecordedPool | null; readonly title: string }[] = [
  { pool: 'network', title: 'network' },
  { pool: 'disk', title: 'disk' },
  { pool: 'cpu', title: 'cpu' },
  { pool: null, title: 'no limit' },
];

/** An SVG element. @param critical the runs of the critical path */
export function timeline({ nodes, duration_ms }: BuildRecord, critical: ReadonlySet<RecordedRun>): string {
  const total = Math.max(1, duration_ms);
  const x = (ms: number) => LEFT + ((WIDTH - LEFT) * Math.min(ms, total)) / total;
  const parts: string[] = [];
  let top = AXIS;
  for (const { pool, title } of BANDS) {
    const bars = rows(
      nodes.flatMap(({ name, runs }) =>
        runs.filter((run) => run.pool === pool).map((run) => ({ node: name, run })),
      ),
    );
    if (bars.length === 0) continue;
    const rowCount = 1 + bars.reduce((most, { row }) => Math.max(most, row), 0);
    const rowHeight = Math.min(ROW, Math.max(2, BAND / rowCount));
    const height = rowCount * rowHeight;
    parts.push(`<text class="pool" x="0" y="${top + 13}">${title}</text>`);
    const band = { top, rowHeight, x };
    // Under the bars: what is being placed takes no place, and others run in its row.
    for (const bar of bars) parts.push(drawTail(bar, band));
    for (const bar of bars) parts.push(drawBar(bar, band, critical.has(bar.run)));
    top += height + GAP;
  }
  const ticks = tickTimes(total).map(
    (ms) =>
      `<line class="tick" x1="${round(x(ms))}" x2="${round(x(ms))}" y1="${AXIS - 6}" y2="${top - GAP}"/><text x="${round(x(ms))}" y="12" text-anchor="${ms === 0 ? 'start' : 'middle'}">${formatDuration(ms)}</text>`,
  );
  return `<svg class="timeline" viewBox="0 0 ${WIDTH} ${top}" role="img" aria-label="Timeline of the build; the table below has the same times">
${ticks.join('')}
${parts.join('\n')}
</svg>`;
}

/** When a run gave back its place in the pool. */
function workEnd({ end_ms, placing_ms = 0 }: RecordedRun): number {
  return end_ms - placing_ms;
}

/** Each in the first row that is free when it begins. */
function rows(runs: readonly Omit<Bar, 'row'>[]): readonly Bar[] {
  const ends: number[] = [];
  return runs
    .toSorted((a, b) => a.run.start_ms - b.run.start_ms)
    .map(({ node, run }) => {
      // Times are rounded.
      const free = ends.findIndex((end) => end <= run.start_ms + 1);
      const row = free === -1 ? ends.length : free;
      ends[row] = Math.max(workEnd(run), run.start_ms + 1);
      return { node, run, row };
    });
}

interface Band {
  readonly top: number;
  readonly rowHeight: number;
  readonly x: (ms: number) => number;
}

function drawBar({ node, run, row }: Bar, { top, rowHeight, x }: Band, isCritical: boolean): string {
  const name = oneLine(node);
  const left = x(run.start_ms);
  const width = Math.max(2, x(workEnd(run)) - left);
  const y = round(top + row * rowHeight);
  const took = formatDuration(run.end_ms - run.start_ms);
  const title = [name, run.work, took, ...(isCritical ? ['critical path'] : [])].join(', ');
  const fits = rowHeight >= NAMED && width > name.length * CELL + 8;
  const label = fits
    ? `<text class="in-bar" x="${round(left + 4)}" y="${y + 12}">${escapeMarkup(name)}</text>`
    : '';
  const size = `width="${round(width)}" height="${round(rowHeight * 0.83)}" rx="${rowHeight >= NAMED ? 2 : 0}"`;
  return `<g data-node="${escapeMarkup(node)}"><title>${escapeMarkup(title)}</title><rect class="w-${run.work}${isCritical ? ' critical' : ''}" x="${round(left)}" y="${y}" ${size}/>${label}</g>`;
}

/** How long what was made was brought to its place on disk. */
function drawTail({ run, row }: Bar, { top, rowHeight, x }: Band): string {
  const [left, right] = [x(workEnd(run)), x(run.end_ms)];
  if (right - left < 1) return '';
  const height = Math.min(3, rowHeight / 2);
  const y = top + row * rowHeight + (rowHeight * 0.83 - height) / 2;
  return `<rect class="placing" x="${round(left)}" y="${round(y)}" width="${round(right - left)}" height="${round(height)}"/>`;
}

/** Round times, at most nine of them. */
function tickTimes(total: number): readonly number[] {
  const rough = total / 8;
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((each) => each >= rough) ?? unit;
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step).filter(
    (ms) => ms === 0 || ms < total * 0.97,
  );
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
