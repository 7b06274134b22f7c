// The lower end of a terminal: rows that change in place, and lines above them that stay. Each frame is one write of
// whole lines over the old ones, nothing is cleared first: so nothing flickers. listr2 keeps everybody else's writes
// off the rows meanwhile, hides the cursor, and turns the spinner.
import { ProcessOutput, Spinner } from 'listr2';

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
  /** The mark that turns while something runs; one cell. */
  readonly mark: string;
  readonly columns: number;
  /** Takes the rows away, writes what is still to be said and gives the terminal back. */
  end(): void;
}

/** @param rows asked for at each frame; each must fit into `columns` */
export function openScreen(terminal: NodeJS.WriteStream, rows: (screen: Screen) => readonly string[]): Screen {
  // Rows go to stderr, so that is what the cursor is hidden on.
  const output = new ProcessOutput(terminal, terminal === process.stdout ? process.stderr : process.stdout, {
    leaveEmptyLine: false,
  });
  const spinner = new Spinner();
  let said: string[] = [];
  let height = 0;
  let open = true;
  const columns = () => terminal.columns ?? 80;

  const screen: Screen = {
    say(lines) {
      said.push(...lines);
    },
    get mark() {
      return spinner.fetch();
    },
    get columns() {
      return columns();
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

  function draw(lines: readonly string[]): void {
    const up = height > 0 ? `\x1b[${height}A` : '';
    const all = [...said, ...lines].map((line) => `${line}${CLEAR_REST_OF_LINE}\n`).join('');
    if (all === '' && height === 0) return;
    output.toStdout(`${BEGIN_FRAME}${up}\r${all}${CLEAR_BELOW}${END_FRAME}`, false);
    said = [];
    height = lines.length;
  }

  function showCursor(): void {
    output.toStdout(SHOW_CURSOR, false);
  }

  output.hijack();
  // A crash must not leave the shell without a cursor.
  process.on('exit', showCursor);
  spinner.start(() => {
    // One line stays free: a terminal scrolls when its last one is filled.
    draw(rows(screen).slice(0, Math.max(1, (terminal.rows ?? 24) - 1)));
  }, FRAME_MS);
  return screen;
}
