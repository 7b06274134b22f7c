// What `res plan` says: the steps in their order and why, and what they cost.

import type { Work } from '../model/event.js';
import { type BlockedOutput, countSteps, type Plan, type Step, type StepCounts } from '../model/plan.js';
import type { PlannedBuild } from '../model/report.js';
import { withoutName } from './error.js';
import { fold, moreText } from './fold.js';
import { count, formatBytes, formatDuration } from './format.js';
import type { Page } from './paint.js';
import { type ReasonJson, reasonJson, reasonsText } from './reasons.js';
import { table } from './table.js';
import { hang, prose } from './text.js';

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
    /** At the peak of the build, as far as that can be told. */
    readonly needed_bytes: number;
    readonly certain_bytes: number;
    readonly all_known: boolean;
    readonly free_bytes: number;
  }[];
  readonly unresolved: readonly { readonly node: string; readonly message: string }[];
  /** Outputs that a build would stop at; none with --overwrite. */
  readonly blocked: readonly BlockedOutput[];
}

export interface PlanView {
  /** Whether the build in question would replace what blocks it. */
  readonly overwrite: boolean;
}

const STANDARD: PlanView = { overwrite: false };

export function planJson(
  { plan, space, unresolved }: PlannedBuild,
  { overwrite }: PlanView = STANDARD,
): PlanJson {
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
    file_systems: space.fileSystems.map(({ path, neededBytes, certainBytes, allKnown, freeBytes }) => ({
      path,
      needed_bytes: neededBytes,
      certain_bytes: certainBytes,
      all_known: allKnown,
      free_bytes: freeBytes,
    })),
    unresolved,
    blocked: overwrite ? [] : plan.blocked,
  };
}

export function planText(planned: PlannedBuild, page: Page, { overwrite }: PlanView = STANDARD): string[] {
  const { plan, space } = planned;
  const missing = unresolvedText(planned, page);
  const blocked = overwrite ? [] : plan.blocked.flatMap((output) => blockedText(output, page));
  if (plan.steps.length === 0) {
    const rest = missing.length > 0 ? ['no other step is known'] : blocked.length > 0 ? [] : ['up to date'];
    return [...missing, ...blocked, ...rest];
  }
  const { shown, more } = fold(plan.steps, page);
  return [
    ...table(
      [
        { title: '#', align: 'right' },
        { title: 'WORK' },
        { title: 'NODE', cut: 'middle' },
        { title: 'SIZE', align: 'right', spare: true },
        { title: 'WHY', cut: 'end' },
      ],
      shown.map((step, i) => [
        String(i + 1),
        step.work,
        chainText(step),
        stepSize(step),
        reasonsText(step.reasons),
      ]),
      page,
    ),
    ...moreText(more, 'step', page),
    '',
    ...missing,
    ...blocked,
    ...prose(`${countsText(plan)}; ${costText(plan)}`, page.width),
    ...space.fileSystems
      .filter(({ neededBytes }) => neededBytes > 0)
      .flatMap(({ path, neededBytes, allKnown, freeBytes }) => {
        const short = neededBytes > freeBytes;
        const needed = allKnown ? formatBytes(neededBytes) : `more than ${formatBytes(neededBytes)}`;
        const missing = short ? `: ${formatBytes(neededBytes - freeBytes)} short` : '';
        const line = `${needed} needed, ${formatBytes(freeBytes)} free in ${path}${missing}`;
        return hang('disk: ', line, page.width, 2).map((text) => (short ? page.paint('red', text) : text));
      }),
  ];
}

/** What several sources were refused for is said once. */
function unresolvedText({ unresolved }: PlannedBuild, page: Page): string[] {
  const byMessage = new Map<string, string[]>();
  for (const { node, message } of unresolved) {
    const text = withoutName(message, node);
    byMessage.set(text, [...(byMessage.get(text) ?? []), node]);
  }
  return [...byMessage].flatMap(([message, nodes]) =>
    hang(`${page.paint('yellow', 'not resolved:')} `, `${nodes.join(', ')}: ${message}`, page.width, 2),
  );
}

function blockedText({ path, is }: BlockedOutput, page: Page): string[] {
  const what = is === 'foreign' ? 'was not made by res' : 'was changed by hand';
  const head = `${page.paint('magenta', 'a build would stop:')} `;
  return hang(head, `${page.path(path)} ${what}; --overwrite replaces it`, page.width, 2);
}

/** `3 nodes to run in 2 steps, 0 to restore, 1 fresh`: what streams through a step is a node of its own. */
function countsText(plan: Plan): string {
  const { run, restore, fresh } = countSteps(plan);
  const steps = plan.steps.filter(({ work }) => work !== 'restore').length;
  const running = steps === run ? `${run} to run` : `${run} nodes to run in ${count(steps, 'step')}`;
  return `${running}, ${restore} to restore, ${fresh} fresh`;
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
