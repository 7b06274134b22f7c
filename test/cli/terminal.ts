// A terminal in memory: takes what is written, understands the sequences that res uses, and says what is to be seen.
import { Socket } from 'node:net';

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal reads
const TOKENS = /\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+/g;

export class FakeTerminal extends Socket implements NodeJS.WriteStream {
  readonly fd = 2;
  readonly isTTY: boolean;
  columns: number;
  rows: number;
  /** All that was written. */
  text = '';
  /** Writes so far. */
  writes = 0;

  constructor(o: { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number } = {}) {
    super();
    this.isTTY = o.isTTY ?? true;
    this.columns = o.columns ?? 80;
    this.rows = o.rows ?? 24;
  }

  override write(chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean {
    this.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    this.writes++;
    const done = rest.at(-1);
    if (typeof done === 'function') done();
    return true;
  }

  /** What is on the screen and was scrolled off it, without colours. */
  get screen(): readonly string[] {
    const lines: string[] = [''];
    let row = 0;
    let column = 0;
    for (const [token, parameter = '', final] of this.text.matchAll(TOKENS)) {
      const line = lines[row] ?? '';
      if (token === '\r') column = 0;
      else if (token === '\n') {
        row++;
        column = 0;
        lines[row] ??= '';
      } else if (final === 'A') row -= Number(parameter || 1);
      else if (final === 'K') lines[row] = line.slice(0, column);
      else if (final === 'J') {
        lines[row] = line.slice(0, column);
        lines.length = row + 1;
      } else if (final === undefined) {
        lines[row] = line.slice(0, column).padEnd(column) + token + line.slice(column + token.length);
        column += token.length;
      }
      if (row < 0) throw new Error('the cursor left the screen at its top');
    }
    return lines;
  }

  clearLine(): boolean {
    throw new Error('not used');
  }
  clearScreenDown(): boolean {
    throw new Error('not used');
  }
  cursorTo(): boolean {
    throw new Error('not used');
  }
  moveCursor(): boolean {
    throw new Error('not used');
  }
  getColorDepth(): number {
    return 4;
  }
  hasColors(): boolean {
    return true;
  }
  getWindowSize(): [number, number] {
    return [this.columns, this.rows];
  }
}
