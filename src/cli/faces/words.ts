// Events in words: the one line that an event leaves, the same on a screen and in a log.
import type { BuildEvent } from '../../model/event.js';
import { errorText, hintText } from '../../report/error.js';
import { someOf } from '../../report/fold.js';
import { count, formatBytes, formatDuration } from '../../report/format.js';
import type { Page } from '../../report/paint.js';
import { chainText } from '../../report/plan.js';
import { hang, oneLine, prose } from '../../report/text.js';

/** In one line. */
const MOST_NAMES = 5;

type EventOf<T extends BuildEvent['type']> = Extract<BuildEvent, { type: T }>;

function startedText({ work, detail, through, node }: EventOf<'started'>): string {
  const verb = { download: 'downloading', execute: detail === '' ? 'running' : '', restore: 'restoring' }[
    work
  ];
  const words = [verb, oneLine(detail)].filter((word) => word !== '').join(' ');
  return `${chainText({ through, node })}: ${words}`;
}

function finishedText(event: EventOf<'finished'>, page: Page, place: (output: string) => string): string {
  const { node, work, duration_ms, size, output, outputs = {} } = event;
  const verb = { download: 'downloaded', execute: 'made', restore: 'restored' }[work];
  const places = output === null ? Object.values(outputs) : [output];
  const where = places.length === 0 ? '' : ` → ${someOf(places.map(place), 3)}`;
  return `${node}: ${page.paint('green', verb)} ${formatBytes(size)} in ${formatDuration(duration_ms)}${where}`;
}

export function plannedText({ run, restore, fresh, download_bytes }: EventOf<'planned'>): string {
  const download =
    download_bytes === null
      ? 'size of the download not known yet'
      : `${formatBytes(download_bytes)} to download`;
  return `${run} to run, ${restore} to restore, ${fresh} fresh${download_bytes === 0 ? '' : `; ${download}`}`;
}

/** `changed: a, b; new: c` */
function changedText({ files }: EventOf<'changed'>, page: Page): string {
  const kinds = ['changed', 'new', 'gone'] as const;
  return kinds
    .map((kind) => [kind, files.filter(({ change }) => change === kind)] as const)
    .filter(([, some]) => some.length > 0)
    .map(([kind, some]) => {
      const names = some.map(({ path }) => page.path(path));
      return `${kind}: ${someOf(names, MOST_NAMES)}`;
    })
    .join('; ');
}

/** Lines that stay, for events other than progress. Empty for what is not worth one. */
export function eventLines(
  event: BuildEvent,
  page: Page,
  o: { readonly place: (output: string) => string; readonly verbose: boolean },
): readonly string[] {
  switch (event.type) {
    case 'waiting':
      return prose(`waiting for ${event.for}`, page.width);
    case 'resolving':
      return prose(`asking for ${event.source}`, page.width);
    case 'planned':
      return event.run + event.restore === 0 ? [] : prose(plannedText(event), page.width);
    case 'started':
      return prose(startedText(event), page.width);
    case 'finished':
      return prose(finishedText(event, page, o.place), page.width);
    case 'notice':
      return hang(`${event.node}: `, oneLine(event.message), page.width, 2);
    case 'output':
      return o.verbose ? event.text.split('\n').map((line) => `${event.node} | ${oneLine(line)}`) : [];
    case 'skipped':
      return skippedLines([event], page);
    case 'failed':
      return errorText(event.error, page, event.node);
    case 'warning':
      return [
        ...hang(`${page.paint('yellow', 'warning:')} `, event.message, page.width, 2),
        ...hintText(event.hint, page),
      ];
    case 'changed':
      return prose(`${page.paint('cyan', '●')} ${changedText(event, page)}`, page.width);
    case 'watching':
      return [`watching ${count(event.files, 'file')}; Ctrl-C ends it`];
    case 'progress':
    case 'summary':
      return [];
  }
}

/** A line for each node because of which others were skipped: what waits for one node may be most of a large graph. */
export function skippedLines(events: readonly EventOf<'skipped'>[], page: Page): readonly string[] {
  const waiting = new Map<string, string[]>();
  for (const { node, because } of events) {
    const nodes = waiting.get(because) ?? [];
    nodes.push(node);
    waiting.set(because, nodes);
  }
  return [...waiting].flatMap(([because, nodes]) => {
    const text = `${someOf(nodes, MOST_NAMES)}: ${page.paint('yellow', 'skipped')} because of ${because}`;
    return prose(text, page.width);
  });
}

/** `12 of 200 done, 3 running, 1 failed` */
export function countText(o: { done: number; total: number; running: number; failed: number }): string {
  const failed = o.failed === 0 ? '' : `, ${count(o.failed, 'failure')}`;
  return `${o.done} of ${o.total} done, ${o.running} running${failed}`;
}
