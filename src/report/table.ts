// Aligned columns that fit the page: where they do not, the widest column that may shrink gives way first.
import type { Colour, Page } from './paint.js';
import { cutEnd, cutMiddle, oneLine, padEnd, padStart, width } from './text.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Where a text that does not fit is cut; a column without it keeps its width. */
  readonly cut?: 'middle' | 'end';
  /** Left out where the page has no room for it, those at the right first. */
  readonly spare?: true;
}

export type Cell =
  | string
  | {
      readonly text: string;
      readonly colour?: Colour;
      /** Where this cell is cut, in a column that is cut. */
      readonly cut?: 'middle' | 'end';
    };

const GAP = '  ';
/** A column is not cut below this many cells, … */
const NARROWEST = 8;
/** … or these, where even that does not fit. */
const SCARCELY = 4;

/** Lines of the table, its titles first; a column whose cells are all empty is left out. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], page: Page): string[] {
  const cells = rows.map((row) => row.map((cell) => oneLine(typeof cell === 'string' ? cell : cell.text)));
  const natural = columns.map((column, i) =>
    cells.some((row) => (row[i] ?? '') !== '')
      ? cells.reduce((most, row) => Math.max(most, width(row[i] ?? '')), width(column.title))
      : 0,
  );
  const used = fitting(columns, natural, page.width);
  const widths = shrink(columns, natural, used, page.width);
  const place = (i: number, text: string, { colour, cut: own }: Exclude<Cell, string>): string => {
    const column = columns[i];
    const cells = widths[i] ?? 0;
    const cut = (own ?? column?.cut) === 'middle' ? cutMiddle(text, cells) : cutEnd(text, cells);
    const padded = column?.align === 'right' ? padStart(cut, cells) : padEnd(cut, cells);
    // Only the text is coloured, never the padding: trailing blanks can then be trimmed.
    return colour ? padded.replace(cut, () => page.paint(colour, cut)) : padded;
  };
  const line = (parts: readonly string[]) =>
    parts
      .filter((_, i) => used[i])
      .join(GAP)
      .trimEnd();
  return [
    line(columns.map((column, i) => place(i, column.title, { text: '', colour: 'dim' }))),
    ...rows.map((row, at) =>
      line(
        columns.map((_, i) => {
          const cell = row[i];
          return place(i, cells[at]?.[i] ?? '', typeof cell === 'object' ? cell : { text: '' });
        }),
      ),
    ),
  ];
}

/** Cells of the columns that are used, and of the gaps between them. */
function total(widths: readonly number[], used: readonly boolean[]): number {
  const cells = widths.filter((_, i) => used[i]);
  return cells.reduce((sum, width) => sum + width, GAP.length * (cells.length - 1));
}

function leastWidths(columns: readonly Column[], natural: readonly number[]): readonly number[] {
  return natural.map((cells, i) => (columns[i]?.cut ? Math.min(cells, NARROWEST) : cells));
}

/** Which columns are shown: those that hold something, less the spare ones that there is no room for. */
function fitting(columns: readonly Column[], natural: readonly number[], room: number): readonly boolean[] {
  const used = natural.map((cells) => cells > 0);
  const least = leastWidths(columns, natural);
  for (let i = columns.length - 1; i >= 0; i--) {
    if (total(least, used) <= room) break;
    if (columns[i]?.spare) used[i] = false;
  }
  return used;
}

function shrink(
  columns: readonly Column[],
  natural: readonly number[],
  used: readonly boolean[],
  room: number,
): readonly number[] {
  const widths = [...natural];
  const floor = total(leastWidths(columns, natural), used) <= room ? NARROWEST : SCARCELY;
  for (let excess = total(widths, used) - room; excess > 0; excess--) {
    let widest = -1;
    widths.forEach((cells, i) => {
      if (used[i] && columns[i]?.cut && cells > floor && cells > (widths[widest] ?? 0)) widest = i;
    });
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}
