// Graphs of many small nodes: nothing to do, one source changed, and the commands that only look, with one graph ten times the
// size of the other, against tools with the same graph.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { hasVersion, type LayeredGraph, layeredGraph, type Tool, writeGraph, writeSource } from './graph.js';
import {
  type Contender,
  installed,
  measure,
  nextTick,
  type Outcome,
  race,
  seconds,
  versions,
} from './measure.js';
import { RES } from './peers.js';
import {
  atMost,
  type BenchOptions,
  cellsOf,
  GIB,
  type Goal,
  MIB,
  mib,
  type Section,
  type Size,
  table,
} from './report.js';

const SIZES: Readonly<Record<Size, readonly number[]>> = {
  tiny: [30, 60],
  small: [1000, 10_000],
  full: [1000, 10_000, 100_000],
};
const JOBS = String(availableParallelism());
const MINUTE = 60_000;
/** A finished state that takes longer to build is not waited for, and the row says so. */
const BUILD_LIMIT_MS = 30 * MINUTE;
const PEER_LIMIT_MS = 10 * MINUTE;

interface Peer {
  readonly tool: Tool;
  /** Programs that it needs besides itself. */
  readonly needs?: readonly string[];
  /** What it takes for the resolution of time stamps, ms. */
  readonly tickMs?: number;
  /** Larger graphs are not tried: they take minutes for a build with nothing to do, or more. */
  readonly most: number;
  readonly prepare?: readonly [string, ...string[]];
  readonly build: readonly [string, ...string[]];
}

const PEERS: readonly Peer[] = [
  { tool: 'ninja', most: 100_000, build: ['ninja', '-j', JOBS, '--quiet'] },
  { tool: 'make', most: 100_000, build: ['make', '-s', '-j', JOBS, 'all'] },
  // Without the second program tup leaves its mount behind.
  {
    tool: 'tup',
    needs: ['fusermount3'],
    tickMs: 1100,
    most: 10_000,
    prepare: ['tup', 'init', '--no-sync'],
    build: ['tup', `-j${JOBS}`, '--quiet'],
  },
  { tool: 'doit', most: 10_000, build: ['doit', '-v', '0'] },
  { tool: 'snakemake', most: 1000, build: ['snakemake', '-j', JOBS, '--quiet'] },
];

export function diskNeeded({ size }: Pick<BenchOptions, 'size'>): number {
  // A block for each small file, in two folders, and the records.
  return Math.max(...SIZES[size]) * 6 * 4096 * 2 + GIB / 4;
}

interface Row {
  readonly tool: string;
  readonly what: string;
  /** By number of nodes. */
  readonly outcomes: Map<number, Outcome>;
}

export async function run(options: BenchOptions): Promise<Section> {
  const sizes = SIZES[options.size];
  const rows: Row[] = [];
  const add = (tool: string, what: string, nodes: number, outcome: Outcome) => {
    const row = rows.find((one) => one.tool === tool && one.what === what);
    if (row) row.outcomes.set(nodes, outcome);
    else rows.push({ tool, what, outcomes: new Map([[nodes, outcome]]) });
  };
  for (const [i, nodes] of sizes.entries()) {
    // In tiny size others run only to show that they work.
    const peers = PEERS.filter(
      (one) => nodes <= one.most && usable(one) && (options.size !== 'tiny' || i === 0),
    );
    const graph = layeredGraph(nodes);
    await measureRes(graph, options, (what, outcome) => add('res', what, nodes, outcome));
    for (const peer of peers)
      await measurePeer(peer, graph, options, (what, outcome) => add(peer.tool, what, nodes, outcome));
  }

  const heads = sizes.map((nodes) => nodes.toLocaleString('en'));
  const [before = 0, largest = 0] = sizes.slice(-2);
  const touched = sizes.map((nodes) => layeredGraph(nodes).touchedByFirst);
  return {
    title: 'Scale',
    blocks: [
      `Layered graphs of small files, each joined from three others. Seconds by number of nodes; medians of ${options.runs}, full builds once. Where one source changed, ${touched.join(', ')} nodes are made anew. ${versions(PEERS.flatMap(({ tool, needs = [] }) => [tool, ...needs]))}.`,
      table(
        ['', ...heads, 'growth'],
        rows.map(({ tool, what, outcomes }) => [
          `${tool}: ${what}`,
          ...sizes.map((nodes) => cellsOf(outcomes.get(nodes), ({ ms }) => [seconds(ms)])[0] ?? ''),
          growth(outcomes, before, largest),
        ]),
      ),
      '"Growth" is the time per node of the largest graph by that of the one before it: 1 is linear, and what a start costs makes it less.',
      table(
        ['memory, MiB', ...heads],
        rows
          .filter(({ what }) => [NOTHING, CHANGED, EDITED].includes(what))
          .map(({ tool, what, outcomes }) => [
            `${tool}: ${what}`,
            ...sizes.map(
              (nodes) => cellsOf(outcomes.get(nodes), ({ peakBytes }) => [mib(peakBytes)])[0] ?? '',
            ),
          ]),
      ),
    ],
    goals: goalsOf(rows, sizes),
  };
}

const FULL = 'full build';
const NOTHING = 'nothing to do';
const CHANGED = 'one source changed';
const EDITED = 'status, manifest changed';

function usable({ tool, needs = [] }: Peer): boolean {
  return [tool, ...needs].every(installed);
}

type Add = (what: string, outcome: Outcome) => void;

function growth(outcomes: ReadonlyMap<number, Outcome>, before: number, largest: number): string {
  const [small, large] = [outcomes.get(before), outcomes.get(largest)];
  if (small === undefined || large === undefined || 'failed' in small || 'failed' in large) return '';
  return (large.ms / largest / (small.ms / before)).toFixed(2);
}

async function measureRes(graph: LayeredGraph, options: BenchOptions, add: Add): Promise<void> {
  const { folder, cache, runs, say } = options;
  const place = join(cache ?? folder, `scale-res-${graph.nodes}`);
  const build: Contender = {
    name: FULL,
    cwd: place,
    argv: [...RES, 'build', '-j', JOBS, '-q'],
    limitMs: BUILD_LIMIT_MS,
  };
  const kept = join(place, 'build.json');
  try {
    if (existsSync(kept)) {
      say(`${graph.nodes} nodes: a finished build from the cache`);
      add(FULL, JSON.parse(readFileSync(kept, 'utf8')));
      // Brings the state to what this version of the program keeps, and the first source to what it was.
      writeSource(place, 's0');
      await measure(build);
    } else {
      say(`${graph.nodes} nodes: building all of them`);
      rmSync(place, { recursive: true, force: true });
      mkdirSync(place, { recursive: true });
      writeGraph(place, graph, 'res');
      const full = await race([{ ...build, peer: true }], { runs: 1 });
      const outcome = full.get(FULL) ?? { failed: 'not run' };
      add(FULL, outcome);
      if ('failed' in outcome) return;
      writeFileSync(kept, JSON.stringify(outcome));
    }
    say(`${graph.nodes} nodes: res`);
    const look = (name: string, args: readonly string[]): Contender => ({
      name,
      cwd: place,
      argv: [...RES, ...args],
    });
    const contenders = [
      { ...build, name: NOTHING },
      look('status', ['status']),
      look('why', ['why', graph.ofFirst]),
      look('graph', ['graph']),
      look('plan', ['plan']),
    ];
    for (const [name, outcome] of await race(contenders, { runs })) add(name, outcome);
    add(CHANGED, await withChange(place, graph, { ...build, name: CHANGED }, { runs, tickMs: undefined }));
    const before = () => appendFileSync(join(place, 'resources.yaml'), '#\n');
    for (const [name, outcome] of await race([{ ...look(EDITED, ['status']), before }], { runs }))
      add(name, outcome);
  } finally {
    if (cache === undefined) rmSync(place, { recursive: true, force: true });
  }
}

async function measurePeer(peer: Peer, graph: LayeredGraph, options: BenchOptions, add: Add): Promise<void> {
  const { folder, runs, say } = options;
  const place = join(folder, `scale-${peer.tool}-${graph.nodes}`);
  const build: Contender = {
    name: FULL,
    cwd: place,
    argv: peer.build,
    // Snakemake and doit keep files in the user's folders.
    env: { HOME: place, XDG_CACHE_HOME: join(place, '.cache') },
    limitMs: PEER_LIMIT_MS,
    peer: true,
  };
  say(`${graph.nodes} nodes: ${peer.tool}`);
  try {
    mkdirSync(place, { recursive: true });
    writeGraph(place, graph, peer.tool);
    if (peer.prepare) await race([{ ...build, argv: peer.prepare }], { runs: 1 });
    await nextTick();
    const full = (await race([build], { runs: 1 })).get(FULL) ?? { failed: 'not run' };
    add(FULL, full);
    if ('failed' in full) return;
    const nothing = (await race([{ ...build, name: NOTHING }], { runs })).get(NOTHING);
    if (nothing) add(NOTHING, nothing);
    add(CHANGED, await withChange(place, graph, { ...build, name: CHANGED }, { runs, tickMs: peer.tickMs }));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Each run with another content of the first source. */
async function withChange(
  place: string,
  graph: LayeredGraph,
  build: Contender,
  { runs, tickMs }: { readonly runs: number; readonly tickMs: number | undefined },
): Promise<Outcome> {
  let version = 0;
  const before = async () => {
    await nextTick(tickMs);
    writeSource(place, 's0', ++version);
  };
  const outcome = (await race([{ ...build, before }], { runs })).get(build.name) ?? { failed: 'not run' };
  if ('failed' in outcome || hasVersion(place, graph, version)) return outcome;
  return { failed: 'the change is not in what is made of it' };
}

/** Seconds and MiB of a build with nothing to do, by number of nodes. */
const GOALS = [
  { nodes: 10_000, ms: 250 },
  { nodes: 100_000, ms: 1500, bytes: 400 * MIB },
] as const;

function goalsOf(rows: readonly Row[], sizes: readonly number[]): readonly Goal[] {
  const outcomes = rows.find(({ tool, what }) => tool === 'res' && what === NOTHING)?.outcomes ?? new Map();
  return GOALS.filter(({ nodes }) => sizes.includes(nodes)).flatMap((goal): readonly Goal[] => {
    const outcome: Outcome | undefined = outcomes.get(goal.nodes);
    const name = `nothing to do, ${goal.nodes.toLocaleString('en')} nodes`;
    if (outcome === undefined || 'failed' in outcome)
      return [{ goal: name, measured: 'not measured', met: false }];
    return [
      atMost(name, outcome.ms, goal.ms, (ms) => `${seconds(ms)} s`),
      ...('bytes' in goal
        ? [atMost(`${name}, memory`, outcome.peakBytes, goal.bytes, (bytes) => `${mib(bytes)} MiB`)]
        : []),
    ];
  });
}
