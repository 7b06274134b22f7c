// The flags of all commands: spelling, help, and what they parse to. A command names those that it takes.
import { InvalidArgumentError, Option } from 'commander';
import { ResError } from '../model/error.js';
import { parseSize } from '../model/size.js';
import type { Progress } from './faces/face.js';
import type { ColorMode } from './output.js';

/** A param and its values, of one --matrix. */
export type MatrixFlag = readonly [param: string, values: readonly string[]];

export interface Flags {
  readonly json: boolean;
  readonly check: boolean;
  readonly jobs: number | undefined;
  readonly keepGoing: boolean;
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly offline: boolean;
  readonly frozen: boolean;
  readonly for: string | undefined;
  readonly overwrite: boolean;
  readonly asIs: boolean;
  readonly progress: Progress;
  readonly sha256: boolean;
  readonly format: string | undefined;
  readonly license: string | undefined;
  /** As given, in the order given. */
  readonly matrix: readonly MatrixFlag[];
  readonly open: boolean;
  readonly port: number | undefined;
  readonly out: string | undefined;
  readonly trace: string | undefined;
  readonly fish: boolean;
  readonly fix: boolean;
  readonly all: boolean;
  readonly repair: boolean;
  readonly number: number | undefined;
  readonly keepDays: number | undefined;
  /** Bytes. */
  readonly maxSize: number | undefined;
  readonly sandbox: string | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: ColorMode;
}

const positive = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of 1 or more.');
  return Number(text);
};

const days = (text: string): number => {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of days.');
  return Number(text);
};

const size = (text: string): number => {
  const bytes = parseSize(text);
  if (bytes === undefined)
    throw new InvalidArgumentError('It must be a size: 500M, 2G, 1.5T, or a number of bytes.');
  return bytes;
};

export function matrixFlag(text: string): MatrixFlag {
  const at = text.indexOf('=');
  const values = text.slice(at + 1).split(',');
  if (at < 1 || values.includes(''))
    throw new ResError('usage', `--matrix ${text}: a param is given values as NAME=VALUE,VALUE`, {
      hint: 'As in `--matrix arch=amd64,arm64`.',
    });
  return [text.slice(0, at), values];
}

const COMMON = 'Common flags:';

function matrixOption(): Option {
  return new Option(
    '--matrix <NAME=VALUE,...>',
    'all these values of a param in one graph; several: all combinations',
  )
    .argParser((text: string, before?: readonly MatrixFlag[]) => [...(before ?? []), matrixFlag(text)])
    .helpGroup(COMMON);
}

const make = {
  json: () => new Option('--json', 'print one JSON object; schemas/ has its shape'),
  check: () => new Option('--check', 'exit with status 3 when anything asked for is not fresh'),
  jobs: () =>
    new Option('-j, --jobs <N>', 'actions at a time (default: the number of processors)').argParser(positive),
  keepGoing: () => new Option('-k, --keep-going', 'after a failure, go on with what does not depend on it'),
  dryRun: () => new Option('-n, --dry-run', 'say what would be done, and do nothing'),
  force: () => new Option('-B, --force', 'make all targets again, whatever is known; downloads are kept'),
  cleanForce: () => new Option('-B, --force', 'remove outputs that were changed by hand too'),
  offline: () => new Option('--offline', 'open no connection'),
  frozen: () => new Option('--frozen', 'a missing or stale lock entry is an error'),
  for: () =>
    new Option('--for <SIMULATOR>', 'refuse variants that do not work with it').choices(['qemu', 'gem5']),
  overwrite: () =>
    new Option('--overwrite', 'replace outputs that were changed by hand or that res did not make'),
  asIs: () => new Option('--as-is', 'accept outputs that were changed or put there by hand as they are now'),
  progress: () =>
    new Option('--progress <HOW>', 'how progress is shown (default: auto)').choices([
      'auto',
      'fancy',
      'plain',
      'json',
    ]),
  sha256: () => new Option('--sha256', 'add the plain sha256 of the content, as sha256sum prints it'),
  format: () =>
    new Option('--format <FORMAT>', 'how the graph is written (default: text)').choices([
      'text',
      'dot',
      'mermaid',
      'json',
      'svg',
      'html',
    ]),
  exportFormat: () =>
    new Option('--format <FORMAT>', 'what is written (default: ro-crate)').choices(['ro-crate']),
  license: () => new Option('--license <TEXT>', 'under which licence: a URL, or words'),
  matrix: matrixOption,
  /** For a command that has to say why it does not take it. */
  noMatrix: () => matrixOption().hideHelp(),
  port: () =>
    new Option('--port <N>', 'the port of the page (default: any that is free)').argParser(positive),
  out: () => new Option('-o, --out <FILE>', 'write the page into FILE (default: stdout)'),
  open: () => new Option('--open', 'show it in the browser'),
  trace: () =>
    new Option('--trace <FILE>', 'write what ran when, for Perfetto or chrome://tracing (trace format)'),
  fish: () => new Option('--fish', 'lines for fish'),
  fix: () => new Option('--fix', "install what is missing with the system's package manager"),
  all: () => new Option('--all', 'empty the store, partial downloads and logs too'),
  repair: () => new Option('--repair', 'mend what is damaged or missing, and build the nodes'),
  number: () =>
    new Option('-n, --number <N>', 'how many builds are listed (default: 20)').argParser(positive),
  keepDays: () => new Option('--keep-days <N>', 'what was used within so many days stays').argParser(days),
  maxSize: () =>
    new Option(
      '--max-size <SIZE>',
      'what was not used for longest goes until the store takes no more (500M, 2G)',
    ).argParser(size),
  sandbox: () =>
    new Option(
      '--sandbox <WHEN>',
      'hide the workspace from the programs of `run` (default: auto, where it can be)',
    ).choices(['auto', 'off', 'require']),
} as const;

export type FlagName = keyof typeof make;

export function option(name: FlagName): Option {
  return make[name]();
}

/**
 * Those that every command takes, before its name or after it; `-f` only those that are about a manifest. `-C` and `-f`
 * are read by scan.ts.
 */
export function commonOptions(manifest: boolean): readonly Option[] {
  return [
    new Option('-C <DIR>', 'start in this folder'),
    ...(manifest
      ? [
          new Option(
            '-f <FILE>',
            'the manifest (default: resources.yaml, looked for from the folder upwards)',
          ),
        ]
      : []),
    new Option('-q, --quiet', 'show failures and warnings only'),
    new Option('-v, --verbose', 'show what programs print, and long lists whole'),
    new Option('--color <WHEN>', 'colours (default: auto)').choices(['auto', 'always', 'never']),
  ].map((flag) => flag.helpGroup(COMMON));
}

/** @param assign gets name and value of each param that is set */
export function setOption(assign: (name: string, value: string) => void): Option {
  return new Option('--set <NAME=VALUE>', 'set a param of the manifest')
    .argParser((text: string) => {
      const at = text.indexOf('=');
      if (at < 1)
        throw new ResError('usage', `--set ${text}: a param is set as NAME=VALUE`, {
          hint: 'As in `--set arch=arm64`.',
        });
      assign(text.slice(0, at), text.slice(at + 1));
      return text;
    })
    .helpGroup(COMMON);
}

/** Of each command, and listed with what each command takes: its own flags come first. */
export function helpOption(): Option {
  return new Option('-h, --help', 'this help').helpGroup(COMMON);
}

/** From what commander has parsed and checked. */
export function readFlags(options: Readonly<Record<string, unknown>>): Flags {
  const on = (name: string) => options[name] === true;
  const text = (name: string) => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const number = (name: string) => {
    const value = options[name];
    return typeof value === 'number' ? value : undefined;
  };
  return {
    json: on('json'),
    check: on('check'),
    jobs: number('jobs'),
    keepGoing: on('keepGoing'),
    dryRun: on('dryRun'),
    force: on('force'),
    offline: on('offline'),
    frozen: on('frozen'),
    for: text('for'),
    overwrite: on('overwrite'),
    asIs: on('asIs'),
    progress: oneOf(['fancy', 'plain', 'json'], text('progress')) ?? 'auto',
    sha256: on('sha256'),
    format: text('format'),
    license: text('license'),
    matrix: matrixFlags(options.matrix),
    open: on('open'),
    port: number('port'),
    out: text('out'),
    trace: text('trace'),
    fish: on('fish'),
    fix: on('fix'),
    all: on('all'),
    repair: on('repair'),
    number: number('number'),
    keepDays: number('keepDays'),
    maxSize: number('maxSize'),
    sandbox: text('sandbox'),
    quiet: on('quiet'),
    verbose: on('verbose'),
    color: oneOf(['always', 'never'], text('color')) ?? 'auto',
  };
}

function matrixFlags(value: unknown): readonly MatrixFlag[] {
  return Array.isArray(value) ? value : [];
}

function oneOf<T extends string>(known: readonly T[], text: string | undefined): T | undefined {
  return known.find((value) => value === text);
}
