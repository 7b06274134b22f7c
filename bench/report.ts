// What a benchmark gives, and how it is written down: tables, goals beside what was measured, and the generated parts of a
// document that people have written the rest of.
import { cpus, release, totalmem } from 'node:os';
import type { Outcome } from './measure.js';

export type Size = 'tiny' | 'small' | 'full';

export interface BenchOptions {
  /** `tiny` shows in seconds that all of it works, `small` takes minutes, `full` is what documents are written from. */
  readonly size: Size;
  /** Of which the median is taken; short commands are run more often. */
  readonly runs: number;
  /** With what takes very long or very much room as well. */
  readonly big: boolean;
  /** The suite's own folder: benchmarks share data in it, and it is removed at the end. */
  readonly folder: string;
  /** A folder that outlives the suite, for finished builds that take long to make. */
  readonly cache: string | undefined;
  /** Says what is being done. */
  say(text: string): void;
}

export interface Goal {
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
}

export interface Section {
  readonly title: string;
  /** Paragraphs and tables, in Markdown. */
  readonly blocks: readonly string[];
  readonly goals: readonly Goal[];
}

/** What a module `*.bench.ts` exports. */
export interface Bench {
  /** Bytes that must be free in the folder. */
  diskNeeded(options: Pick<BenchOptions, 'size' | 'big'>): number;
  run(options: BenchOptions): Promise<Section>;
}

export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;

/** A table in Markdown; all columns but the first are numbers and flush right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => (row[i] ?? '').length), 3));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Cells of a row about a command that may have failed: `cells` of its medians, or what went wrong and nothing else. */
export function cellsOf(
  outcome: Outcome | undefined,
  cells: (medians: Exclude<Outcome, { failed: string }>) => readonly string[],
): readonly string[] {
  if (outcome === undefined) return ['not run'];
  return 'failed' in outcome
    ? [`failed: ${outcome.failed.replaceAll('|', ' ').slice(0, 60)}`]
    : cells(outcome);
}

export function ratio(value: number, base: number): string {
  const by = value / base;
  return Number.isFinite(by) ? `${by.toFixed(by < 0.095 ? 3 : 2)} x` : '';
}

/** Nothing for 0: too little or too short to be seen. */
export function mib(bytes: number): string {
  if (bytes === 0) return '';
  return Number.isFinite(bytes) ? String(Math.round(bytes / MIB)) : '?';
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** At most so much. */
export function atMost(goal: string, measured: number, limit: number, show: (value: number) => string): Goal {
  return { goal, measured: `${show(measured)} (limit ${show(limit)})`, met: measured <= limit };
}

export function render(section: Section): string {
  const goals =
    section.goals.length === 0
      ? []
      : [
          table(
            ['goal', 'measured', ''],
            section.goals.map(({ goal, measured, met }) => [goal, measured, met ? 'met' : 'MISSED']),
          ),
        ];
  return [`## ${section.title}`, ...section.blocks, ...goals].join('\n\n');
}

/** Processors, memory, kernel: what figures depend on besides the program. */
export function machine(): string {
  const [first] = cpus();
  return `${cpus().length} x ${first?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / GIB)} GiB of memory, Linux ${release()}`;
}

/**
 * The document with what is between the markers of this benchmark (`<!-- bench:NAME -->` and `<!-- /bench:NAME -->`) replaced;
 * all around them is kept. A benchmark that has no markers yet gets them at the end.
 */
export function withSection(document: string, name: string, text: string): string {
  const begin = `<!-- bench:${name} -->`;
  const end = `<!-- /bench:${name} -->`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end, from);
  const part = `${begin}\n\n${text}\n\n${end}`;
  if (from < 0 || to < 0) return `${document.trimEnd()}\n\n${part}\n`;
  return `${document.slice(0, from)}${part}${document.slice(to + end.length)}`;
}
