// The lower end of a terminal: rows that change in place, and lines above them that stay. Each frame is one write of
// whole lines over the old ones, nothing is cleared first: so nothing flickers. listr2 keeps everybody else's writes
// off the rows meanwhile, hides the cursor, and turns the spinner.
import { ProcessOutput, Spinner } from 'listr2';
import { width } from '../../report/text.js';

const CLEAR_REST_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
/** Terminals that know it show what lies between at once (synchronized output); others ignore it. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';
const SHOW_CURSOR = '\x1b[?25h';
const FRAME_MS = 100;

export interface Screen {
  /** Lines that stay, above the rows; shown with the next frame. */
  say(lines: readonly string[]): void;
  /** Takes the rows away, writes what is still to be said and gives the terminal back. */
  end(): void;
}

/** @param rows asked for at each frame; each must fit into `columns`. `mark` turns while something runs: one cell. */
export function openScreen(
  terminal: NodeJS.WriteStream,
  rows: (frame: { readonly columns: number; readonly mark: string }) => readonly string[],
): Screen {
  // Rows go to stderr, so that is what the cursor is hidden on.
  const other = terminal === process.stdout ? process.stderr : process.stdout;
  const output = new ProcessOutput(terminal, other, { leaveEmptyLine: false });
  const spinner = new Spinner();
  let said: string[] = [];
  let shown: readonly string[] = [];
  let open = true;

  function draw(lines: readonly string[]): void {
    if (said.length + lines.length + shown.length === 0) return;
    const columns = terminal.columns ?? 80;
    // A terminal that was made narrower has broken the old rows into several.
    const height = shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)), 0);
    const up = height > 0 ? `\x1b[${height}A` : '';
    const all = [...said, ...lines].map((line) => `${line}${CLEAR_REST_OF_LINE}\n`).join('');
    output.toStdout(`${BEGIN_FRAME}${up}\r${all}${CLEAR_BELOW}${END_FRAME}`, false);
    said = [];
    shown = lines;
  }

  function frame(): void {
    const lines = rows({ columns: terminal.columns ?? 80, mark: spinner.fetch() });
    // One line stays free: a terminal scrolls when its last one is filled.
    draw(lines.slice(-Math.max(1, (terminal.rows ?? 24) - 1)));
  }

  function showCursor(): void {
    output.toStdout(SHOW_CURSOR, false);
  }

  output.hijack();
  // A crash must not leave the shell without a cursor.
  process.on('exit', showCursor);
  spinner.start(frame, FRAME_MS);
  return {
    say(lines) {
      said.push(...lines);
    },
    end() {
      if (!open) return;
      open = false;
      spinner.stop();
      draw([]);
      process.off('exit', showCursor);
      output.release();
    },
  };
}
