// The commands by name. What a command does is loaded when it is run: help, completion, the man page and the reference in
// docs/cli.md need only what stands here.
import type { Context } from './context.js';
import type { FlagName } from './flags.js';

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly args: readonly ArgumentSpec[];
  readonly flags: readonly FlagName[];
  /** Whether it is about a manifest, so that the params are flags of it. */
  readonly manifest: boolean;
  /** Whether its answer holds as long as nothing has changed that it looked at. */
  readonly repeatable?: true;
  /** The file in schemas/, without its ending, that has the shape of what it prints as JSON. */
  readonly schema?: string;
  /** What an exit status means of this command in particular. */
  readonly exits?: readonly ExitSpec[];
  readonly examples: readonly ExampleSpec[];
  readonly load: () => Promise<{ run(context: Context, args: readonly string[]): Promise<number> }>;
}

export interface ArgumentSpec {
  /** In the notation of commander: `[NODE...]` several or none, `<NODE>` exactly one. */
  readonly term: string;
  readonly about: string;
}

export interface ExitSpec {
  readonly status: number;
  readonly what: string;
}

export interface ExampleSpec {
  /** As typed. */
  readonly line: string;
  readonly what: string;
}

/** `NODE...`, `[FILE]`: as help shows what stands behind a command. */
export function shownArguments({ args }: CommandSpec): readonly string[] {
  return args.map(({ term }) => term.replace(/[<>]/g, ''));
}

const NODES: ArgumentSpec = {
  term: '[NODE...]',
  about: "nodes and groups (default: the manifest's default ones)",
};
const ALL_NODES: ArgumentSpec = { term: '[NODE...]', about: 'nodes and groups (default: all nodes)' };
const NODE: ArgumentSpec = { term: '<NODE>', about: 'the name of a node' };

/** What decides which steps a build has. */
const planning: readonly FlagName[] = [
  'force',
  'offline',
  'frozen',
  'for',
  'overwrite',
  'json',
  'progress',
  'matrix',
];

export const commands: readonly CommandSpec[] = [
  {
    name: 'build',
    summary: 'bring nodes up to date',
    args: [NODES],
    flags: ['dryRun', 'jobs', 'keepGoing', 'asIs', 'sandbox', 'trace', ...planning],
    manifest: true,
    repeatable: true,
    schema: 'build',
    exits: [{ status: 1, what: 'a node failed' }],
    examples: [
      { line: 'res build', what: 'bring the default nodes up to date' },
      { line: 'res build raw-disk -k --offline', what: 'one node, without a network, as far as it goes' },
    ],
    load: () => import('./commands/build.js'),
  },
  {
    name: 'plan',
    summary: 'what a build would do, in order, and why (= build -n)',
    args: [NODES],
    flags: planning,
    manifest: true,
    schema: 'plan',
    examples: [{ line: 'res plan raw-disk', what: 'what a build of one node would do, and why' }],
    load: () => import('./commands/plan.js'),
  },
  {
    name: 'watch',
    summary: 'build, and build again when the manifest or a `path` file has changed',
    args: [NODES],
    flags: ['jobs', 'keepGoing', 'offline', 'frozen', 'for', 'overwrite', 'progress', 'matrix'],
    manifest: true,
    exits: [{ status: 130, what: 'it was ended' }],
    examples: [{ line: 'res watch raw-disk', what: 'build it now, and after each change' }],
    load: () => import('./commands/watch.js'),
  },
  {
    name: 'status',
    summary: 'the state of each node',
    args: [NODES],
    flags: ['check', 'json', 'matrix'],
    manifest: true,
    repeatable: true,
    schema: 'status',
    exits: [{ status: 3, what: 'with --check: something asked for is not fresh' }],
    examples: [
      { line: 'res status', what: 'the state of the default nodes, and of what they are made of' },
      { line: 'res status --check raw-disk', what: 'for scripts: is it up to date?' },
    ],
    load: () => import('./commands/status.js'),
  },
  {
    name: 'why',
    summary: 'why a node is in its state, from the root cause on',
    args: [NODE],
    flags: ['json', 'matrix'],
    manifest: true,
    repeatable: true,
    schema: 'why',
    examples: [{ line: 'res why raw-disk', what: 'why it would be made anew' }],
    load: () => import('./commands/why.js'),
  },
  {
    name: 'list',
    summary: 'the nodes, and the support table of their variants',
    args: [ALL_NODES],
    flags: ['json', 'matrix'],
    manifest: true,
    repeatable: true,
    schema: 'list',
    examples: [{ line: 'res list', what: 'what there is' }],
    load: () => import('./commands/list.js'),
  },
  {
    name: 'show',
    summary: 'all that is known of a node',
    args: [NODE],
    flags: ['sha256', 'json', 'matrix'],
    manifest: true,
    schema: 'show',
    examples: [
      { line: 'res show raw-disk --sha256', what: 'all of it, with the checksum that sha256sum prints' },
    ],
    load: () => import('./commands/show.js'),
  },
  {
    name: 'graph',
    summary: 'the graph, coloured by state',
    args: [NODES],
    flags: ['format', 'open', 'json', 'matrix'],
    manifest: true,
    repeatable: true,
    schema: 'graph',
    examples: [
      { line: 'res graph', what: 'as a tree of lines' },
      { line: 'res graph --format svg > graph.svg', what: 'as a picture' },
      { line: 'res graph --open', what: 'in the browser' },
    ],
    load: () => import('./commands/graph.js'),
  },
  {
    name: 'log',
    summary: 'what the last run of a node printed',
    args: [NODE],
    flags: ['matrix'],
    manifest: true,
    examples: [{ line: 'res log raw-disk', what: 'what qemu-img said' }],
    load: () => import('./commands/log.js'),
  },
  {
    name: 'provenance',
    summary: 'where a built node comes from, as an in-toto statement (SLSA provenance)',
    args: [NODE],
    flags: ['matrix'],
    manifest: true,
    schema: 'provenance',
    examples: [{ line: 'res provenance raw-disk > provenance.json', what: 'to publish with it' }],
    load: () => import('./commands/provenance.js'),
  },
  {
    name: 'export',
    summary: 'a folder to publish: manifest, lock, provenance and outputs as a Research Object Crate',
    args: [{ term: '<DIR>', about: 'the folder to write: new, or empty' }, NODES],
    flags: ['exportFormat', 'license', 'matrix'],
    manifest: true,
    examples: [
      {
        line: 'res export crate raw-disk --license CC-BY-4.0',
        what: 'a crate with one output',
      },
    ],
    load: () => import('./commands/export.js'),
  },
  {
    name: 'bundle',
    summary: 'one archive with all that the nodes need to be built without a network',
    args: [
      { term: '<FILE>', about: 'the archive to write: .tar, .tar.gz or .tgz' },
      { term: '[NODE...]', about: 'nodes and groups, at least one' },
    ],
    flags: ['matrix'],
    manifest: true,
    examples: [{ line: 'res bundle disk.tar raw-disk', what: 'what another machine needs to have it' }],
    load: () => import('./commands/bundle.js'),
  },
  {
    name: 'unbundle',
    summary: 'unpack such an archive, for `res build --offline`',
    args: [
      { term: '<FILE>', about: 'the archive' },
      { term: '[DIR]', about: 'where it is unpacked (default: the current folder)' },
    ],
    flags: [],
    manifest: false,
    examples: [{ line: 'res unbundle disk.tar elsewhere', what: 'unpack it, and be told how to go on' }],
    load: () => import('./commands/unbundle.js'),
  },
  {
    name: 'check',
    summary: 'make nodes a second time, elsewhere, and say what differs',
    args: [NODES],
    flags: ['jobs', 'offline', 'frozen', 'sandbox', 'progress', 'json'],
    manifest: true,
    schema: 'check',
    exits: [{ status: 1, what: 'a node came out different, or could not be made' }],
    examples: [{ line: 'res check raw-disk', what: 'does it come out the same?' }],
    load: () => import('./commands/check.js'),
  },
  {
    name: 'shell',
    summary: "a shell where a node's command runs, with its inputs and environment",
    args: [NODE],
    flags: ['offline', 'frozen', 'sandbox', 'progress'],
    manifest: true,
    exits: [{ status: 1, what: 'the shell could not be opened; otherwise the status is that of the shell' }],
    examples: [{ line: 'res shell linux', what: 'look around where its last run failed' }],
    load: () => import('./commands/shell.js'),
  },
  {
    name: 'history',
    summary: 'the builds that were, and how they ended',
    args: [],
    flags: ['number', 'json'],
    manifest: true,
    schema: 'history',
    examples: [{ line: 'res history -n 5', what: 'the five newest' }],
    load: () => import('./commands/history.js'),
  },
  {
    name: 'report',
    summary: 'a page about a build, for the screen and for paper',
    args: [
      {
        term: '[BUILD]',
        about: 'the build, by its id in `res history` or the beginning of it (default: the newest)',
      },
    ],
    flags: ['out', 'open', 'json'],
    manifest: true,
    schema: 'build-record',
    examples: [
      { line: 'res report > report.html', what: 'the newest build' },
      { line: 'res report --open 20261124', what: 'the build of that day, in the browser' },
    ],
    load: () => import('./commands/report.js'),
  },
  {
    name: 'ui',
    summary: 'a live page of builds, to start and stop them too',
    args: [NODES],
    flags: ['open', 'port', 'jobs', 'keepGoing', 'offline', 'frozen'],
    manifest: true,
    examples: [{ line: 'res ui --open', what: 'the page in the browser; Ctrl-C ends it' }],
    load: () => import('./commands/ui.js'),
  },
  {
    name: 'update',
    summary: 'resolve sources anew and rewrite the lock',
    args: [NODES],
    flags: ['offline', 'progress', 'json', 'matrix'],
    manifest: true,
    schema: 'update',
    examples: [
      { line: 'res update', what: 'all sources anew' },
      { line: 'res update kernel', what: 'those of one node' },
    ],
    load: () => import('./commands/update.js'),
  },
  {
    name: 'verify',
    summary: 're-hash outputs and store against the records',
    args: [NODES],
    flags: ['repair', 'offline', 'overwrite', 'progress', 'json', 'matrix'],
    manifest: true,
    schema: 'verify',
    exits: [{ status: 1, what: 'something is not as recorded' }],
    examples: [
      { line: 'res verify', what: 'has anything been damaged?' },
      { line: 'res verify --repair', what: 'mend it' },
    ],
    load: () => import('./commands/verify.js'),
  },
  {
    name: 'clean',
    summary: 'remove outputs that res made',
    args: [ALL_NODES],
    flags: ['all', 'cleanForce', 'json', 'matrix'],
    manifest: true,
    schema: 'clean',
    examples: [
      { line: 'res clean raw-disk', what: 'remove one output' },
      { line: 'res clean --all', what: 'remove outputs, store and logs' },
    ],
    load: () => import('./commands/clean.js'),
  },
  {
    name: 'gc',
    summary: 'drop what nothing refers to from the store',
    args: [],
    flags: ['keepDays', 'maxSize', 'dryRun', 'json'],
    manifest: true,
    schema: 'gc',
    examples: [
      { line: 'res gc -n', what: 'what would go' },
      {
        line: 'res gc --keep-days 30 --max-size 50G',
        what: 'what was used of late stays, as far as there is room',
      },
    ],
    load: () => import('./commands/gc.js'),
  },
  {
    name: 'env',
    summary: 'shell lines that say where things are: eval "$(res env)"',
    args: [],
    flags: ['fish', 'json', 'noMatrix'],
    manifest: true,
    schema: 'env',
    examples: [
      { line: 'eval "$(res env)"', what: 'in bash and zsh' },
      { line: 'res env --fish | source', what: 'in fish' },
    ],
    load: () => import('./commands/env.js'),
  },
  {
    name: 'doctor',
    summary: 'look over what res needs, and say what to do',
    args: [],
    flags: ['fix', 'offline', 'json'],
    manifest: true,
    schema: 'doctor',
    exits: [{ status: 1, what: 'something has to be mended' }],
    examples: [{ line: 'res doctor --fix', what: 'install what is missing' }],
    load: () => import('./commands/doctor.js'),
  },
  {
    name: 'init',
    summary: 'write a new manifest from a template: vswarm-u, gem5 or minimal',
    args: [{ term: '[TEMPLATE]', about: 'vswarm-u, gem5 or minimal' }],
    flags: [],
    manifest: false,
    examples: [{ line: 'res init minimal', what: 'a small manifest to begin with' }],
    load: () => import('./commands/init.js'),
  },
  {
    name: 'completion',
    summary: 'print the completion script for a shell: bash, zsh or fish',
    args: [{ term: '[SHELL]', about: 'bash, zsh or fish' }],
    flags: [],
    manifest: false,
    examples: [
      { line: 'eval "$(res completion bash)"', what: 'in ~/.bashrc' },
      { line: 'eval "$(res completion zsh)"', what: 'in ~/.zshrc, after compinit' },
      { line: 'res completion fish | source', what: 'in ~/.config/fish/config.fish' },
    ],
    load: () => import('./commands/completion.js'),
  },
];
