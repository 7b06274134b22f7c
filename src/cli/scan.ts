// A first look at the command line: which manifest it is about. Its params become flags, so the manifest must be found
// before the line can be parsed.
import { resolve } from 'node:path';

export interface Scanned {
  /** Absolute: where the manifest is looked for from. */
  readonly dir: string;
  /** Absolute; given by -f. */
  readonly file: string | undefined;
  /** The first word that is no flag. */
  readonly command: string | undefined;
}

/** Short flags that take a value, in the same word or the next. */
const SHORT_WITH_VALUE = 'Cfj';
const LONG_WITH_VALUE: ReadonlySet<string> = new Set([
  '--set',
  '--matrix',
  '--color',
  '--jobs',
  '--for',
  '--progress',
  '--format',
]);

/** Several -C add up, as in make and git; -f counts from where they lead, the last one wins. */
export function scan(argv: readonly string[], cwd: string): Scanned {
  let dir = cwd;
  let file: string | undefined;
  let command: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '--') break;
    if (word.startsWith('--')) {
      if (LONG_WITH_VALUE.has(word)) i++;
      continue;
    }
    if (!word.startsWith('-') || word === '-') {
      command ??= word;
      continue;
    }
    const at = [...word].findIndex((letter, n) => n > 0 && SHORT_WITH_VALUE.includes(letter));
    if (at < 0) continue;
    const value = word.slice(at + 1) || argv[++i];
    if (value === undefined) continue;
    if (word[at] === 'C') dir = resolve(dir, value);
    if (word[at] === 'f') file = value;
  }
  return { dir, file: file === undefined ? undefined : resolve(dir, file), command };
}
