// The commands by name. What a command does is loaded when it is run: help and completion need only what stands here.
import type { Context } from './context.js';
import type { FlagName } from './flags.js';

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** In the notation of commander: `[NODE...]` several or none, `<NODE>` exactly one. */
  readonly args: string;
  readonly flags: readonly FlagName[];
  /** Whether it is about a manifest, so that the params are flags of it. */
  readonly manifest: boolean;
  /** Whether its answer holds as long as nothing has changed that it looked at. */
  readonly repeatable?: true;
  readonly load: () => Promise<{ run(context: Context, args: readonly string[]): Promise<number> }>;
}

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
    args: '[NODE...]',
    flags: ['dryRun', 'jobs', 'keepGoing', 'asIs', 'sandbox', 'trace', ...planning],
    manifest: true,
    repeatable: true,
    load: () => import('./commands/build.js'),
  },
  {
    name: 'plan',
    summary: 'what a build would do, in order, and why (= build -n)',
    args: '[NODE...]',
    flags: planning,
    manifest: true,
    load: () => import('./commands/plan.js'),
  },
  {
    name: 'watch',
    summary: 'build, and build again when the manifest or a `path` file has changed',
    args: '[NODE...]',
    flags: ['jobs', 'keepGoing', 'offline', 'frozen', 'for', 'overwrite', 'progress', 'matrix'],
    manifest: true,
    load: () => import('./commands/watch.js'),
  },
  {
    name: 'status',
    summary: 'the state of each node',
    args: '[NODE...]',
    flags: ['check', 'json', 'matrix'],
    manifest: true,
    repeatable: true,
    load: () => import('./commands/status.js'),
  },
  {
    name: 'why',
    summary: 'why a node is in its state, from the root cause on',
    args: '<NODE>',
    flags: ['json', 'matrix'],
    manifest: true,
    repeatable: true,
    load: () => import('./commands/why.js'),
  },
  {
    name: 'list',
    summary: 'the nodes, and the support table of their variants',
    args: '[NODE...]',
    flags: ['json', 'matrix'],
    manifest: true,
    repeatable: true,
    load: () => import('./commands/list.js'),
  },
  {
    name: 'show',
    summary: 'all that is known of a node',
    args: '<NODE>',
    flags: ['sha256', 'json', 'matrix'],
    manifest: true,
    load: () => import('./commands/show.js'),
  },
  {
    name: 'graph',
    summary: 'the graph, coloured by state',
    args: '[NODE...]',
    flags: ['format', 'open', 'json', 'matrix'],
    manifest: true,
    repeatable: true,
    load: () => import('./commands/graph.js'),
  },
  {
    name: 'log',
    summary: 'what the last run of a node printed',
    args: '<NODE>',
    flags: ['matrix'],
    manifest: true,
    load: () => import('./commands/log.js'),
  },
  {
    name: 'provenance',
    summary: 'where a built node comes from, as an in-toto statement (SLSA provenance)',
    args: '<NODE>',
    flags: ['matrix'],
    manifest: true,
    load: () => import('./commands/provenance.js'),
  },
  {
    name: 'export',
    summary: 'a folder to publish: manifest, lock, provenance and outputs as a Research Object Crate',
    args: '<DIR> [NODE...]',
    flags: ['exportFormat', 'license', 'matrix'],
    manifest: true,
    load: () => import('./commands/export.js'),
  },
  {
    name: 'bundle',
    summary: 'one archive with all that the nodes need to be built without a network',
    args: '<FILE> [NODE...]',
    flags: ['matrix'],
    manifest: true,
    load: () => import('./commands/bundle.js'),
  },
  {
    name: 'unbundle',
    summary: 'unpack such an archive, for `res build --offline`',
    args: '<FILE> [DIR]',
    flags: [],
    manifest: false,
    load: () => import('./commands/unbundle.js'),
  },
  {
    name: 'check',
    summary: 'make nodes a second time, elsewhere, and say what differs',
    args: '[NODE...]',
    flags: ['jobs', 'offline', 'frozen', 'sandbox', 'progress', 'json'],
    manifest: true,
    load: () => import('./commands/check.js'),
  },
  {
    name: 'shell',
    summary: "a shell where a node's command runs, with its inputs and environment",
    args: '<NODE>',
    flags: ['offline', 'frozen', 'sandbox', 'progress'],
    manifest: true,
    load: () => import('./commands/shell.js'),
  },
  {
    name: 'history',
    summary: 'the builds that were, and how they ended',
    args: '',
    flags: ['number', 'json'],
    manifest: true,
    load: () => import('./commands/history.js'),
  },
  {
    name: 'report',
    summary: 'a page about a build, for the screen and for paper',
    args: '[BUILD]',
    flags: ['out', 'open', 'json'],
    manifest: true,
    load: () => import('./commands/report.js'),
  },
  {
    name: 'ui',
    summary: 'a live page of builds, to start and stop them too',
    args: '[NODE...]',
    flags: ['open', 'port', 'jobs', 'keepGoing', 'offline', 'frozen'],
    manifest: true,
    load: () => import('./commands/ui.js'),
  },
  {
    name: 'update',
    summary: 'resolve sources anew and rewrite the lock',
    args: '[NODE...]',
    flags: ['offline', 'progress', 'json', 'matrix'],
    manifest: true,
    load: () => import('./commands/update.js'),
  },
  {
    name: 'verify',
    summary: 're-hash outputs and store against the records',
    args: '[NODE...]',
    flags: ['repair', 'offline', 'overwrite', 'progress', 'json', 'matrix'],
    manifest: true,
    load: () => import('./commands/verify.js'),
  },
  {
    name: 'clean',
    summary: 'remove outputs that res made',
    args: '[NODE...]',
    flags: ['all', 'cleanForce', 'json', 'matrix'],
    manifest: true,
    load: () => import('./commands/clean.js'),
  },
  {
    name: 'gc',
    summary: 'drop what nothing refers to from the store',
    args: '',
    flags: ['keepDays', 'maxSize', 'dryRun', 'json'],
    manifest: true,
    load: () => import('./commands/gc.js'),
  },
  {
    name: 'env',
    summary: 'shell lines that say where things are: eval "$(res env)"',
    args: '',
    flags: ['fish', 'json', 'noMatrix'],
    manifest: true,
    load: () => import('./commands/env.js'),
  },
  {
    name: 'doctor',
    summary: 'look over what res needs, and say what to do',
    args: '',
    flags: ['fix', 'offline', 'json'],
    manifest: true,
    load: () => import('./commands/doctor.js'),
  },
  {
    name: 'init',
    summary: 'write a new manifest from a template: vswarm-u, gem5 or minimal',
    args: '[TEMPLATE]',
    flags: [],
    manifest: false,
    load: () => import('./commands/init.js'),
  },
  {
    name: 'completion',
    summary: 'print the completion script for a shell: bash, zsh or fish',
    args: '[SHELL]',
    flags: [],
    manifest: false,
    load: () => import('./commands/completion.js'),
  },
];
