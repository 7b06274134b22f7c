// Live rows for a terminal: a row a running node and a line with the counts; what is finished leaves one line above.
import type { BuildEvent } from '../../model/event.js';
import { cutEnd } from '../../report/text.js';
import type { Face, FaceOptions } from './face.js';
import { rowText } from './row.js';
import { Running } from './running.js';
import { openScreen } from './screen.js';
import { countText, eventLines, plannedText } from './words.js';

/** Rows shown at a time; there are seldom more actions at once, and the screen is the user's. */
const MOST_ROWS = 16;

export function liveFace(o: FaceOptions & { readonly now?: () => number }): Face {
  const { stream } = o.to;
  const now = o.now ?? (() => performance.now());
  const running = new Running();
  let headline = '';
  const screen = openScreen(stream, ({ columns, mark }) => {
    const { nodes, counts } = running;
    const shown = nodes.length <= MOST_ROWS ? nodes : nodes.slice(0, MOST_ROWS - 1);
    const rows = shown.map((node) => rowText(node, mark, now(), columns, o.to.page));
    const more = nodes.length > shown.length ? [`  and ${nodes.length - shown.length} more`] : [];
    const last = counts.total > 0 ? countText(counts) : headline;
    return last === '' ? [] : [...rows, ...more, cutEnd(`${nodes.length > 0 ? '' : `${mark} `}${last}`, columns)];
  });

  return {
    listener(event) {
      running.take(event, now());
      headline = headlineOf(event) ?? headline;
      if (leavesLine(event)) screen.say(eventLines(event, o.to.page, o));
    },
    end: () => screen.end(),
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
