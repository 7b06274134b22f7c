// What `res plan` says: the steps in their order and why, and what they cost.

import type { Work } from '../model/event.js';
import { countSteps, type Plan, type Step, type StepCounts } from '../model/plan.js';
import type { PlannedBuild } from '../model/report.js';
import { withoutName } from './error.js';
import { formatBytes, formatDuration } from './format.js';
import type { Page } from './paint.js';
import { type ReasonJson, reasonJson, reasonsText } from './reasons.js';
import { table } from './table.js';

export interface PlanJson {
  readonly steps: readonly {
    readonly node: string;
    readonly work: Work;
    readonly reasons: readonly ReasonJson[];
    readonly through: readonly string[];
    /** Bytes; null while not known. */
    readonly download_bytes: number | null;
    readonly write_bytes: number | null;
    readonly expected_ms: number | null;
  }[];
  readonly summary: StepCounts;
  /** Null when a part of it is not known. */
  readonly download_bytes: number | null;
  readonly expected_ms: number | null;
  readonly file_systems: readonly {
    readonly path: string;
    readonly needed_bytes: number;
    readonly free_bytes: number;
  }[];
  readonly unresolved: readonly { readonly node: string; readonly message: string }[];
}

export function planJson({ plan, space, unresolved }: PlannedBuild): PlanJson {
  const cost = costOf(plan);
  return {
    steps: plan.steps.map((step) => ({
      node: step.node,
      work: step.work,
      reasons: step.reasons.map(reasonJson),
      through: step.through,
      download_bytes: step.downloadBytes,
      write_bytes: step.writeBytes,
      expected_ms: step.expectedMs,
    })),
    summary: countSteps(plan),
    download_bytes: cost.downloadUnknown === 0 ? cost.downloadBytes : null,
    expected_ms: cost.timeUnknown === 0 ? cost.expectedMs : null,
    file_systems: space.fileSystems.map(({ path, neededBytes, freeBytes }) => ({
      path,
      needed_bytes: neededBytes,
      free_bytes: freeBytes,
    })),
    unresolved,
  };
}

export function planText(planned: PlannedBuild, page: Page): string[] {
  const { plan, space, unresolved } = planned;
  const missing = unresolved.map(({ node, message }) =>
    page.paint('yellow', `not resolved: ${node}: ${withoutName(message, node)}`),
  );
  if (plan.steps.length === 0)
    return [...missing, missing.length === 0 ? 'up to date' : 'no other step is known'];
  const { run, restore, fresh } = countSteps(plan);
  return [
    ...table(
      [
        { title: '#', align: 'right' },
        { title: 'WORK' },
        { title: 'NODE', cut: 'middle' },
        { title: 'SIZE', align: 'right' },
        { title: 'WHY', cut: 'end' },
      ],
      plan.steps.map((step, i) => [
        String(i + 1),
        step.work,
        chainText(step),
        stepSize(step),
        reasonsText(step.reasons),
      ]),
      page,
    ),
    '',
    ...missing,
    `${run} to run, ${restore} to restore, ${fresh} fresh; ${costText(plan)}`,
    ...space.fileSystems
      .filter(({ neededBytes }) => neededBytes > 0)
      .map(({ path, neededBytes, freeBytes }) => {
        const short = neededBytes > freeBytes;
        const line = `disk: ${formatBytes(neededBytes)} needed, ${formatBytes(freeBytes)} free in ${page.path(path)}`;
        return short ? page.paint('red', `${line}: ${formatBytes(neededBytes - freeBytes)} short`) : line;
      }),
  ];
}

/** `merged → qcow2`: what streams through a step, and the step's own node. */
export function chainText({
  through,
  node,
}: {
  readonly through: readonly string[];
  readonly node: string;
}): string {
  return [...through, node].join(' → ');
}

interface Cost {
  readonly downloadBytes: number;
  /** Steps whose bytes, or whose time, is not known. */
  readonly downloadUnknown: number;
  readonly expectedMs: number;
  readonly timeUnknown: number;
}

function costOf({ steps }: Plan): Cost {
  const downloads = steps.filter(({ work }) => work === 'download');
  // A download's time is the network's; only what ran here before has a known one.
  const executes = steps.filter(({ work }) => work === 'execute');
  return {
    downloadBytes: downloads.reduce((sum, { downloadBytes }) => sum + (downloadBytes ?? 0), 0),
    downloadUnknown: downloads.filter(({ downloadBytes }) => downloadBytes === null).length,
    expectedMs: executes.reduce((sum, { expectedMs }) => sum + (expectedMs ?? 0), 0),
    timeUnknown: executes.filter(({ expectedMs }) => expectedMs === null).length,
  };
}

function costText(plan: Plan): string {
  const { downloadBytes, downloadUnknown, expectedMs, timeUnknown } = costOf(plan);
  const download =
    downloadUnknown > 0
      ? downloadBytes === 0
        ? 'size of the download not known yet'
        : `more than ${formatBytes(downloadBytes)} to download`
      : downloadBytes > 0
        ? `${formatBytes(downloadBytes)} to download`
        : 'nothing to download';
  const beside = downloadBytes > 0 || downloadUnknown > 0 ? ' beside the download' : '';
  if (timeUnknown > 0)
    return `${download}; ${expectedMs > 0 ? `more than ${formatDuration(expectedMs)}${beside}` : 'time not known'}`;
  return expectedMs > 0 ? `${download}; about ${formatDuration(expectedMs)}${beside}` : download;
}

function stepSize({ work, downloadBytes, writeBytes }: Step): string {
  const bytes = work === 'download' ? downloadBytes : writeBytes;
  if (work === 'restore') return '';
  return bytes === null ? '?' : formatBytes(bytes);
}
