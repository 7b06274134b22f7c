// One line an event, for pipes and CI; of progress, a line a node now and then, so that a log shows life.
import { formatDone, formatLeft, formatRate } from '../../report/format.js';
import type { Face, FaceOptions } from './face.js';
import { Running, type RunningNode, timeLeft } from './running.js';
import { eventLines } from './words.js';

/** Between two lines of progress of one node. */
const PROGRESS_EVERY_MS = 10_000;

export function plainFace(o: FaceOptions & { readonly now?: () => number }): Face {
  const now = o.now ?? (() => performance.now());
  const running = new Running();
  const said = new Map<string, number>();
  return {
    listener(event) {
      if (o.quiet && event.type !== 'failed' && event.type !== 'warning') return;
      running.take(event, now());
      if (event.type === 'progress') {
        const at = now();
        const node = running.node(event.node, at);
        if (!node || at - (said.get(event.node) ?? node.since) < PROGRESS_EVERY_MS) return;
        said.set(event.node, at);
        o.to.line(progressText(node));
        return;
      }
      for (const line of eventLines(event, o.to.page, o)) o.to.line(line);
    },
    async end() {},
  };
}

function progressText(running: RunningNode): string {
  const { node, progress, rate } = running;
  if (!progress) return node;
  const left = timeLeft(running);
  const parts = [
    progress.unit === 'percent'
      ? `${Math.floor(progress.done)} %`
      : formatDone(progress.done, progress.total),
    ...(progress.unit === 'bytes' && rate !== undefined ? [formatRate(rate)] : []),
    ...(left === undefined ? [] : [`${formatLeft(left)} left`]),
  ];
  return `${node}: ${parts.join(', ')}`;
}
