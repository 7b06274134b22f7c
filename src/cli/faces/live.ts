// Live rows for a terminal: a row a running node and a line with the counts; what is finished leaves one line above.
// The screen is opened, and its library loaded, by the first event that has something to show.
import type { BuildEvent } from '../../model/event.js';
import { cutEnd } from '../../report/text.js';
import type { Face, FaceOptions } from './face.js';
import { rowText } from './row.js';
import { Running } from './running.js';
import type { Screen } from './screen.js';
import { countText, eventLines, plannedText, skippedLines } from './words.js';

/** Rows shown at a time; there are seldom more actions at once, and the screen is the user's. */
const MOST_ROWS = 16;

export function liveFace(o: FaceOptions & { readonly now?: () => number }): Face {
  const now = o.now ?? (() => performance.now());
  const running = new Running();
  let headline = '';
  const skipped: Extract<BuildEvent, { type: 'skipped' }>[] = [];
  /** Lines from before the screen was there. */
  let early: string[] = [];
  let screen: Screen | undefined;
  let opening: Promise<void> | undefined;

  const rows = ({ columns, mark }: { columns: number; mark: string }): string[] => {
    const { counts } = running;
    const nodes = running.nodes(now());
    const shown = nodes.length <= MOST_ROWS ? nodes : nodes.slice(0, MOST_ROWS - 1);
    const lines = shown.map((node) => rowText(node, mark, now(), columns, o.to.page));
    const more = nodes.length > shown.length ? [`  and ${nodes.length - shown.length} more`] : [];
    const last = counts.total > 0 ? countText(counts) : headline;
    if (last === '') return lines;
    return [...lines, ...more, cutEnd(`${nodes.length > 0 ? '' : `${mark} `}${last}`, columns)];
  };

  async function open(): Promise<void> {
    const { openScreen } = await import('./screen.js');
    screen = openScreen(o.to.stream, rows);
    screen.say(early);
    early = [];
  }

  return {
    listener(event) {
      running.take(event, now());
      const head = headlineOf(event);
      headline = head ?? headline;
      if (event.type === 'skipped') skipped.push(event);
      else if (leavesLine(event)) {
        const lines = eventLines(event, o.to.page, o);
        if (screen) screen.say(lines);
        else early.push(...lines);
      }
      if (head || event.type === 'started') opening ??= open();
    },
    async end() {
      await opening;
      const lines = skippedLines(skipped, o.to.page);
      if (screen) screen.say(lines);
      else early.push(...lines);
      screen?.end();
      o.to.lines(early);
      early = [];
    },
  };
}

/** What the user waits for before the first node runs. */
function headlineOf(event: BuildEvent): string | undefined {
  switch (event.type) {
    case 'waiting':
      return `waiting for ${event.for}`;
    case 'resolving':
      return `asking for ${event.source}`;
    case 'planned':
      return event.run + event.restore === 0 ? '' : plannedText(event);
    default:
      return undefined;
  }
}

function leavesLine({ type }: BuildEvent): boolean {
  return type !== 'waiting' && type !== 'resolving' && type !== 'planned' && type !== 'started';
}
