// A real terminal (a pseudo-terminal of the system, opened by script of util-linux) for programs that look at what they
// write to.
import { type ChildProcess, spawn } from 'node:child_process';
import { MAIN } from './places.js';

export interface TerminalOptions {
  readonly cwd: string;
  readonly columns: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Terminal {
  /** All that was written to it so far. */
  readonly text: string;
  /** Keys pressed. */
  type(keys: string): void;
  /** Resolves when the text was written behind what was there at the call of `since`; rejects with all of it after 20 s. */
  shows(pattern: RegExp, since?: number): Promise<void>;
  /** Resolves with all that was written when its program has ended. */
  readonly ended: Promise<string>;
  kill(): void;
}

/** Runs a line of sh in a terminal of its own. `res` is the built program there. */
export function openTerminal(line: string, options: TerminalOptions): Terminal {
  const { cwd, columns, rows = 24, env = {} } = options;
  const res = `res() { '${process.execPath}' '${MAIN}' "$@"; }`;
  const child = spawn('script', ['-qec', `stty cols ${columns} rows ${rows}; ${res}; ${line}`, '/dev/null'], {
    cwd,
    env: {
      PATH: process.env.PATH,
      HOME: cwd,
      LANG: 'C.UTF-8',
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      ...env,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  let text = '';
  const heard = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    for (const listen of heard) listen();
  });
  // It may have ended before it has read all that was typed.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(text));
  });
  ended.catch(() => undefined);
  return {
    get text() {
      return text;
    },
    type(keys) {
      child.stdin.write(keys);
    },
    shows: (pattern, since = 0) =>
      new Promise((resolve, reject) => {
        const settle = (then: () => void) => {
          clearTimeout(timer);
          heard.delete(look);
          then();
        };
        const look = () => {
          if (pattern.test(text.slice(since))) settle(resolve);
        };
        const timer = setTimeout(
          () =>
            settle(() =>
              reject(new Error(`${pattern} was not shown:\n${JSON.stringify(text.slice(since))}`)),
            ),
          20_000,
        );
        heard.add(look);
        look();
      }),
    ended,
    kill: () => killGroup(child),
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
    process.kill(-child.pid, 'SIGKILL');
}

const MARK = '\x1e';

/** Runs lines one after the other in one terminal, and resolves with what each wrote. */
export async function runInTerminal(
  lines: readonly string[],
  options: TerminalOptions,
): Promise<readonly string[]> {
  const marked = lines.map((line) => `printf '\\036'; { ${line}; } < /dev/null`);
  const text = await openTerminal(marked.join('\n'), options).ended;
  return text.replaceAll('\r\n', '\n').split(MARK).slice(1);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal reads
const COLOURS = /\x1b\[[\d;]*m/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const SEQUENCES = /\x1b\[[?\d;]*[A-Za-z]/g;

export function withoutColours(text: string): string {
  return text.replace(COLOURS, '');
}

/** The lines of it, as if nothing was ever written over. */
export function linesOf(text: string): readonly string[] {
  return text.replace(SEQUENCES, '').replaceAll('\r', '').split('\n');
}
