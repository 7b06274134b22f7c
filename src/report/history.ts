// What `res history` says: a row a build, the newest first.
import type { BuildRecord, RecordedBytes, RecordedError, RecordedOutcome } from '../model/build-record.js';
import { withoutName } from './error.js';
import { someOf } from './fold.js';
import { count, formatBytes, formatDuration } from './format.js';
import type { Colour, Page } from './paint.js';
import { type Cell, table } from './table.js';
import { prose } from './text.js';

export interface HistoryJson {
  readonly builds: readonly HistoryBuildJson[];
}

export interface HistoryBuildJson {
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly duration_ms: number;
  readonly outcome: BuildRecord['outcome'];
  readonly requested: readonly string[];
  readonly params: Readonly<Record<string, string>>;
  /** How many nodes ended in which way. */
  readonly nodes: Readonly<Record<RecordedOutcome, number>>;
  readonly bytes: RecordedBytes;
  /** Names of nodes. */
  readonly failed: readonly string[];
  /** What stopped it, or the error of the first node that failed. */
  readonly error: RecordedError | null;
}

export function historyJson(records: readonly BuildRecord[]): HistoryJson {
  return { builds: records.map(buildJson) };
}

function buildJson(record: BuildRecord): HistoryBuildJson {
  const { id, started, duration_ms, outcome, requested, manifest, nodes, bytes, error } = record;
  return {
    id,
    started,
    duration_ms,
    outcome,
    requested,
    params: manifest.params,
    nodes: outcomeCounts(record),
    bytes,
    failed: nodes.flatMap(({ name, outcome }) => (outcome === 'failed' ? [name] : [])),
    error: shortError(error ?? nodes.find((node) => node.error !== null)?.error ?? null),
  };
}

/** Without what a program printed. */
function shortError(error: RecordedError | null): RecordedError | null {
  if (error === null) return null;
  const { code, message, hint } = error;
  return { code, message, hint };
}

export function outcomeCounts({ nodes, left_out }: BuildRecord): Readonly<Record<RecordedOutcome, number>> {
  const counts: Record<RecordedOutcome, number> = {
    ran: 0,
    restored: 0,
    fresh: left_out,
    failed: 0,
    skipped: 0,
    unfinished: 0,
    waiting: 0,
  };
  for (const { outcome } of nodes) counts[outcome]++;
  return counts;
}

/** Of a build in which more nodes failed, no more are named in its row. */
const FAILED_NAMED = 3;

const COLOURS: Readonly<Record<BuildRecord['outcome'], Colour>> = {
  done: 'green',
  failed: 'red',
  interrupted: 'yellow',
};

/** The ids begin with the time, so there is no column for it. @param more builds that are not listed */
export function historyText(records: readonly BuildRecord[], more: number, page: Page): string[] {
  if (records.length === 0)
    return prose('no build has left a record here; one that finds nothing to do leaves none', page.width);
  const rows = historyJson(records).builds.map((build): Cell[] => [
    build.id,
    { text: build.outcome, colour: COLOURS[build.outcome] },
    formatDuration(build.duration_ms),
    build.bytes.downloaded === 0 ? '' : formatBytes(build.bytes.downloaded),
    String(build.nodes.ran),
    whatText(build),
  ]);
  return [
    ...table(
      [
        { title: 'BUILD' },
        { title: 'RESULT', cut: 'end' },
        { title: 'TIME', align: 'right', spare: true },
        { title: 'DOWNLOADED', align: 'right', spare: true },
        { title: 'RAN', align: 'right', spare: true },
        { title: 'WHAT', cut: 'end' },
      ],
      rows,
      page,
    ),
    ...(more === 0 ? [] : [page.paint('dim', `${count(more, 'older build')}; -n lists more`)]),
  ];
}

function whatText({ requested, params, failed, error }: HistoryBuildJson): string {
  if (error) {
    const message = error.message.replaceAll('\n', ' ');
    const [first] = failed;
    return first === undefined ? message : `${someOf(failed, FAILED_NAMED)}: ${withoutName(message, first)}`;
  }
  const values = Object.entries(params).map(([name, value]) => `${name}=${value}`);
  return [requested.join(' '), ...values].join(' ');
}
