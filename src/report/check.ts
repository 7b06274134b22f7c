// What `res check` says: which nodes came out the same, and of the others what differs.
import type { CheckedNode, CheckReport, Difference } from '../model/report.js';
import { formatDuration } from './format.js';
import type { Page } from './paint.js';
import { table } from './table.js';

export interface CheckJson {
  readonly ok: boolean;
  readonly nodes: readonly {
    readonly name: string;
    readonly result: CheckedNode['result'];
    readonly duration_ms: number;
    readonly outputs: CheckedNode['outputs'];
    readonly differences: readonly {
      readonly output: string;
      readonly file: string;
      readonly how: Difference['how'];
      readonly size_before: number | null;
      readonly size_after: number | null;
      readonly offset: number | null;
    }[];
    readonly more_differences: number;
  }[];
}

export function checkJson({ ok, nodes }: CheckReport): CheckJson {
  return {
    ok,
    nodes: nodes.map(({ node, result, durationMs, outputs, differences, moreDifferences }) => ({
      name: node,
      result,
      duration_ms: durationMs,
      outputs,
      differences: differences.map(({ output, file, how, sizeBefore, sizeAfter, offset }) => ({
        output,
        file,
        how,
        size_before: sizeBefore,
        size_after: sizeAfter,
        offset,
      })),
      more_differences: moreDifferences,
    })),
  };
}

const HOW: Readonly<Record<Difference['how'], string>> = {
  content: 'content',
  missing: 'not there the second time',
  new: 'there only the second time',
  type: 'another type',
  mode: 'made a program, or no longer one',
  link: 'leads elsewhere',
};

export function checkText({ nodes }: CheckReport, page: Page): string[] {
  return nodes.flatMap((checked) => nodeText(checked, page));
}

function nodeText(
  { node, result, durationMs, differences, moreDifferences }: CheckedNode,
  page: Page,
): string[] {
  if (result === 'failed') return [`${node}: ${page.paint('red', 'could not be made')}`];
  const took = `made a second time in ${formatDuration(durationMs)}`;
  if (result === 'same') return [`${node}: ${page.paint('green', 'the same')}, ${took}`];
  const rows = differences.map(({ output, file, how, sizeBefore, sizeAfter, offset }) => [
    output,
    file === '' ? '' : file,
    HOW[how],
    sizeText(sizeBefore),
    sizeText(sizeAfter),
    sizeText(offset),
  ]);
  const columns = [
    { title: 'OUTPUT', cut: 'middle' as const },
    { title: 'FILE', cut: 'middle' as const },
    { title: 'DIFFERS IN' },
    { title: 'BYTES BEFORE' },
    { title: 'AFTER' },
    { title: 'FROM BYTE' },
  ];
  return [
    `${node}: ${page.paint('red', 'different')}, ${took}`,
    ...table(columns, rows, page),
    ...(moreDifferences === 0 ? [] : [`and ${moreDifferences} more`]),
  ];
}

function sizeText(bytes: number | null): string {
  return bytes === null ? '' : String(bytes);
}
