// Where lines go: stdout for answers, stderr for progress and complaints, each with its own colours and width.
import { relative } from 'node:path';
import { createPaint, type Page } from '../report/paint.js';
import { prose } from '../report/text.js';

export interface Output {
  readonly stream: NodeJS.WriteStream;
  readonly isTerminal: boolean;
  readonly page: Page;
  line(text: string): void;
  lines(texts: readonly string[]): void;
  /** A sentence, wrapped on a terminal. */
  prose(text: string): void;
  /** One JSON value, indented for a person when it goes to a terminal. */
  json(value: unknown): void;
}

export type ColorMode = 'auto' | 'always' | 'never';

export interface OutputOptions {
  readonly color: ColorMode;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Paths below it are shown relative to it. */
  readonly cwd: string;
  /** Long lists whole, on a terminal too. */
  readonly verbose?: boolean;
  /** Told of all that is written here. */
  readonly heard?: (text: string) => void;
}

/** More than two screens of most terminals: who wants to read that asks for it. */
const MOST_ROWS = 40;

export function createOutput(stream: NodeJS.WriteStream, options: OutputOptions): Output {
  const { color, env, cwd, verbose = false, heard } = options;
  const write = (text: string) => {
    heard?.(text);
    stream.write(text);
  };
  const isTerminal = stream.isTTY === true;
  const page: Page = {
    paint: createPaint(wantsColour(color, env, isTerminal)),
    // What goes into a pipe or a file is searched and cut by other programs: it is not cut here.
    get width() {
      return isTerminal ? (stream.columns ?? 80) : Number.POSITIVE_INFINITY;
    },
    most: isTerminal && !verbose ? MOST_ROWS : Number.POSITIVE_INFINITY,
    path: (absolute) => shownPath(absolute, cwd),
  };
  const lines = (texts: readonly string[]) => {
    if (texts.length > 0) write(`${texts.join('\n')}\n`);
  };
  return {
    stream,
    isTerminal,
    page,
    line: (text) => {
      write(`${text}\n`);
    },
    lines,
    prose: (text) => lines(prose(text, page.width)),
    json: (value) => {
      write(`${JSON.stringify(value, null, isTerminal ? 2 : undefined)}\n`);
    },
  };
}

/** --color wins; then NO_COLOR (no-color.org), FORCE_COLOR; then what the stream is. */
export function wantsColour(
  mode: ColorMode,
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  if (mode !== 'auto') return mode === 'always';
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  return isTerminal && env.TERM !== 'dumb';
}

/** Relative where that is shorter. */
export function shownPath(absolute: string, cwd: string): string {
  const short = relative(cwd, absolute) || '.';
  return short.length < absolute.length ? short : absolute;
}
