// What `res check` says: which nodes came out the same, and of the others what differs.
import type { CheckedNode, CheckReport, Difference } from '../model/report.js';
import { moreText } from './fold.js';
import { formatDuration } from './format.js';
import type { Colour, Page } from './paint.js';
import { table } from './table.js';
import { prose } from './text.js';

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

/** The nodes, and how many came out how. In a list that is long for a terminal, those that came out the same are left out. */
export function checkText({ nodes }: CheckReport, page: Page): string[] {
  const told = nodes.length > page.most ? nodes.filter(({ result }) => result !== 'same') : nodes;
  const tally = RESULTS.map(
    (result) => [nodes.filter((node) => node.result === result).length, result] as const,
  );
  const counts = tally.filter(([n]) => n > 0).map(([n, result]) => `${n} ${TALLY[result]}`);
  return [
    ...told.flatMap((checked) => nodeText(checked, page)),
    ...moreText(nodes.length - told.length, 'node', page),
    ...(nodes.length === 0 ? ['nothing is made for these nodes'] : []),
    ...(nodes.length > 1 ? [`${nodes.length} nodes: ${counts.join(', ')}`] : []),
  ];
}

const RESULTS = ['same', 'different', 'failed'] as const;
const TALLY: Readonly<Record<CheckedNode['result'], string>> = {
  same: 'the same',
  different: 'different',
  failed: 'could not be made',
};

function nodeText(
  { node, result, durationMs, differences, moreDifferences }: CheckedNode,
  page: Page,
): string[] {
  const head = (colour: Colour, words: string, more: string) =>
    prose(`${node}: ${page.paint(colour, words)}${more}`, page.width);
  if (result === 'failed') return head('red', TALLY.failed, '');
  const took = `, made a second time in ${formatDuration(durationMs)}`;
  if (result === 'same') return head('green', TALLY.same, took);
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
    { title: 'DIFFERS IN', cut: 'end' as const },
    { title: 'BYTES BEFORE', align: 'right' as const, spare: true as const },
    { title: 'AFTER', align: 'right' as const, spare: true as const },
    { title: 'FROM BYTE', align: 'right' as const, spare: true as const },
  ];
  return [
    ...head('red', TALLY.different, took),
    ...table(columns, rows, page),
    ...(moreDifferences === 0 ? [] : [page.paint('dim', `and ${moreDifferences} more`)]),
  ];
}

function sizeText(bytes: number | null): string {
  return bytes === null ? '' : String(bytes);
}
