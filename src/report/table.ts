// Aligned columns that fit the page: where they do not, the widest column that may shrink gives way first.
import type { Colour, Page } from './paint.js';
import { cutEnd, cutMiddle, oneLine, padEnd, padStart, width } from './text.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Where a text that does not fit is cut; a column without it keeps its width. */
  readonly cut?: 'middle' | 'end';
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
/** A column is not cut below this many cells. */
const NARROWEST = 8;

/** Lines of the table, its titles first; a column whose cells are all empty is left out. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], page: Page): string[] {
  const cells = rows.map((row) => row.map((cell) => oneLine(typeof cell === 'string' ? cell : cell.text)));
  const used = columns.map((_, i) => cells.some((row) => (row[i] ?? '') !== ''));
  const natural = columns.map((column, i) =>
    used[i] ? Math.max(width(column.title), ...cells.map((row) => width(row[i] ?? ''))) : 0,
  );
  const widths = shrink(columns, natural, page.width - GAP.length * (used.filter(Boolean).length - 1));
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

function shrink(columns: readonly Column[], natural: readonly number[], room: number): readonly number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, cells) => sum + cells, 0) - room;
  while (excess > 0) {
    let widest = -1;
    widths.forEach((cells, i) => {
      if (columns[i]?.cut && cells > NARROWEST && cells > (widths[widest] ?? 0)) widest = i;
    });
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}
