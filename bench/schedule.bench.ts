// What runs when: a long chain beside many short jobs on two processors, where starting the chain late costs time; and what each
// node costs beside its own work. Against ninja with the same commands.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compress } from '../test/rig/images.js';
import { layeredGraph, writeGraph } from './graph.js';
import { halfRandom } from './main-job.js';
import { type Contender, installed, measure, race, ran, seconds, versions } from './measure.js';
import { RES } from './peers.js';
import { type Span, spansOf } from './profile.js';
import {
  atMost,
  type BenchOptions,
  cellsOf,
  GIB,
  type Goal,
  MIB,
  percent,
  ratio,
  type Section,
  type Size,
  table,
} from './report.js';

interface Shape {
  /** Conversions one after the other. */
  readonly chain: number;
  readonly chainMiB: number;
  /** Files to be unpacked, none of which needs another. */
  readonly short: number;
  readonly shortMiB: number;
  /** Nodes with next to no work. */
  readonly tiny: number;
}

const SHAPES: Readonly<Record<Size, Shape>> = {
  tiny: { chain: 2, chainMiB: 2, short: 3, shortMiB: 2, tiny: 30 },
  small: { chain: 4, chainMiB: 32, short: 10, shortMiB: 64, tiny: 500 },
  full: { chain: 6, chainMiB: 96, short: 24, shortMiB: 192, tiny: 5000 },
};
const OVERHEAD_LIMIT_MS = 2;

export function diskNeeded({ size }: Pick<BenchOptions, 'size'>): number {
  const { chain, chainMiB, short, shortMiB } = SHAPES[size];
  return (chain * chainMiB + short * shortMiB) * MIB * 5 + GIB / 4;
}

export async function run(options: BenchOptions): Promise<Section> {
  const schedule = await scheduleOf(options);
  const overhead = await overheadOf(options);
  return {
    title: 'Scheduling',
    blocks: [...schedule, ...overhead.blocks],
    goals: [overhead.goal],
  };
}

const FIRST = 'res build -j2, first time';
const AGAIN = 'res build -j2, durations known';
const CHAIN_LAST = 'ninja -j2, chain last in the file';
const CHAIN_FIRST = 'ninja -j2, chain first in the file';
const IN_TURN = 'ninja -j1';

async function scheduleOf({ folder, size, runs, say }: BenchOptions): Promise<readonly string[]> {
  const shape = SHAPES[size];
  const place = join(folder, 'schedule');
  const work = {
    res: join(place, 'res'),
    last: join(place, 'last'),
    first: join(place, 'first'),
    turn: join(place, 'turn'),
  };
  try {
    say('making images and packed files');
    for (const dir of Object.values(work)) mkdirSync(dir, { recursive: true });
    await writeInputs(place, shape);
    const steps = stepsOf(shape);
    writeFileSync(join(work.res, 'resources.yaml'), manifestOf(steps));
    writeFileSync(join(work.last, 'build.ninja'), ninjaOf(steps));
    writeFileSync(join(work.turn, 'build.ninja'), ninjaOf(steps));
    writeFileSync(
      join(work.first, 'build.ninja'),
      ninjaOf(steps.toSorted((a, b) => Number(b.chain) - Number(a.chain))),
    );
    const traces = { first: join(place, 'first.json'), again: join(place, 'again.json') };
    const ninja = (name: string, cwd: string, jobs = 2): Contender => ({
      name,
      cwd,
      argv: ['ninja', `-j${jobs}`, '--quiet'],
      before: () => {
        for (const { output } of steps) rmSync(join(cwd, output), { force: true });
        rmSync(join(cwd, '.ninja_log'), { force: true });
      },
      peer: true,
    });
    const ninjas = installed('ninja')
      ? [ninja(CHAIN_LAST, work.last), ninja(CHAIN_FIRST, work.first), ninja(IN_TURN, work.turn, 1)]
      : [];
    const contenders: readonly Contender[] = [
      {
        name: FIRST,
        cwd: work.res,
        argv: [...RES, 'build', '-j2', '-q', '--trace', traces.first],
        before: () => {
          for (const made of ['.res', 'resources'])
            rmSync(join(work.res, made), { recursive: true, force: true });
        },
      },
      // Straight after the first one, whose durations it has.
      { name: AGAIN, cwd: work.res, argv: [...RES, 'build', '-j2', '-q', '-B', '--trace', traces.again] },
      ...ninjas,
    ];
    say(`${steps.length} nodes on two processors`);
    const outcomes = await race(contenders, { runs });
    const spans = new Map([
      [FIRST, spansOf(traces.first)],
      [AGAIN, spansOf(traces.again)],
      ...ninjas
        .filter(({ name }) => !('failed' in (outcomes.get(name) ?? { failed: '' })))
        .map(({ name, cwd }) => [name, spansOfNinja(join(cwd, '.ninja_log'), steps)] as const),
    ]);
    const inTurn = spans.get(IN_TURN);
    const least = inTurn && leastOf(inTurn, steps);
    const base = ran(outcomes, AGAIN).ms;
    return [
      `A chain of ${shape.chain} conversions (${shape.chainMiB} MiB each, to compressed vmdk and back, one core) beside ${shape.short} files of ${shape.shortMiB} MiB to gunzip, the chain named last. Medians of ${runs}. ${versions(['ninja', 'qemu-img', 'gzip'])}.`,
      table(
        ['', 'seconds', `of ${AGAIN}`, 'spread', 'chain begins, s', 'of the least'],
        contenders.map(({ name }) => [
          name,
          ...cellsOf(outcomes.get(name), (of) => [
            seconds(of.ms),
            ratio(of.ms, base),
            percent(of.spread),
            seconds(spans.get(name)?.find(({ node }) => node === 'chain-0')?.begin ?? Number.NaN),
            least === undefined ? '' : ratio(of.ms, least),
          ]),
        ]),
      ),
      ...(least === undefined
        ? []
        : [
            `"The least" is what no order of these commands can beat on two processors: half of all that they take one after the other, or what the chain takes, whichever is more; here ${seconds(least)} s. res checksums and syncs every output besides.`,
          ]),
    ];
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

interface Step {
  readonly name: string;
  readonly input: string;
  /** Name of the step that makes the input, or undefined where a file is the input. */
  readonly after: string | undefined;
  readonly output: string;
  readonly chain: boolean;
  /** Fields of the node in the manifest besides input and output; `INPUT` stands for the input. */
  readonly recipe: string;
  readonly command: string;
}

/** Short ones first. */
function stepsOf(shape: Shape): readonly Step[] {
  const short = Array.from({ length: shape.short }, (_, i): Step => {
    const input = `../in/short-${i}.gz`;
    return {
      name: `short-${i}`,
      input,
      after: undefined,
      output: `short-${i}`,
      chain: false,
      recipe: 'decompress: INPUT',
      command: 'gzip -dc $in > $out',
    };
  });
  const chain: Step[] = [];
  for (let i = 0; i < shape.chain; i++) {
    const before = chain.at(-1);
    // An option that changes no more than some digits, for else every second step would be the same one.
    const packing = `subformat=streamOptimized,toolsversion=${100 + i}`;
    const pack = i % 2 === 0;
    chain.push({
      name: `chain-${i}`,
      input: before?.output ?? '../in/chain.raw',
      after: before?.name,
      output: `chain-${i}.${pack ? 'vmdk' : 'raw'}`,
      chain: true,
      recipe: pack
        ? `convert: INPUT, from: raw, to: vmdk, compress: true, options: { ${packing.replaceAll('=', ': ').replaceAll(',', ', ')} }`
        : 'convert: INPUT, from: vmdk, to: raw',
      command: pack
        ? `qemu-img convert -f raw -O vmdk -c -o ${packing} $in $out`
        : 'qemu-img convert -f vmdk -O raw -W $in $out',
    });
  }
  return [...short, ...chain];
}

function manifestOf(steps: readonly Step[]): string {
  const files = steps.filter(({ after }) => after === undefined);
  return [
    'res: 1',
    'artifacts:',
    ...files.map(({ name, input }) => `  ${name}-in: { path: ${input} }`),
    'targets:',
    ...steps.map(
      ({ name, after, output, recipe }) =>
        `  ${name}: { ${recipe.replace('INPUT', after ?? `${name}-in`)}, output: ${output} }`,
    ),
    `  all: { group: [${steps.map(({ name }) => name).join(', ')}] }`,
    'default: [all]',
    '',
  ].join('\n');
}

function ninjaOf(steps: readonly Step[]): string {
  return steps
    .map(
      ({ name, input, output, command }) =>
        `rule ${name}\n  command = ${command}\nbuild ${output}: ${name} ${input}\n`,
    )
    .join('');
}

async function writeInputs(place: string, { chainMiB, short, shortMiB }: Shape): Promise<void> {
  const inputs = join(place, 'in');
  mkdirSync(inputs);
  const content = (seed: string, sizeMiB: number) =>
    Buffer.concat(Array.from({ length: sizeMiB }, (_, i) => halfRandom(`${seed} ${i}`)));
  writeFileSync(join(inputs, 'chain.raw'), content('chain', chainMiB));
  for (let i = 0; i < short; i++) {
    const plain = join(inputs, `short-${i}`);
    writeFileSync(plain, content(`short ${i}`, shortMiB));
    await compress(plain, 'gzip', `${plain}.gz`);
    rmSync(plain);
  }
}

/** ms; the least that steps can take on two processors of which these ran one after the other. */
function leastOf(spans: readonly Span[], steps: readonly Step[]): number {
  const chain = new Set(steps.filter((step) => step.chain).map(({ name }) => name));
  const sum = (some: readonly Span[]) => some.reduce((all, { took }) => all + took, 0);
  return Math.max(sum(spans) / 2, sum(spans.filter(({ node }) => chain.has(node))));
}

/** Lines of begin, end, time of the output, output, hash of the command. */
function spansOfNinja(path: string, steps: readonly Step[]): readonly Span[] {
  const names = new Map(steps.map(({ output, name }) => [output, name]));
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [begin = '', end = '', , output = ''] = line.split('\t');
      return { node: names.get(output) ?? output, begin: Number(begin), took: Number(end) - Number(begin) };
    });
}

async function overheadOf({
  folder,
  size,
  runs,
  say,
}: BenchOptions): Promise<{ readonly blocks: readonly string[]; readonly goal: Goal }> {
  const graph = layeredGraph(SHAPES[size].tiny);
  const place = join(folder, 'overhead');
  const fresh = (tool: 'res' | 'ninja') => () => {
    rmSync(join(place, tool), { recursive: true, force: true });
    mkdirSync(join(place, tool), { recursive: true });
    writeGraph(join(place, tool), graph, tool);
  };
  const [full, nothing, ninja] = ['res build -j2', 'res build -j2, nothing to do', 'ninja -j2'];
  try {
    say(`${graph.nodes} tiny nodes`);
    const res = { cwd: join(place, 'res'), argv: [...RES, 'build', '-j2', '-q'] as const };
    const contenders: readonly Contender[] = [
      { name: full, ...res, before: fresh('res') },
      { name: nothing, ...res },
      ...(installed('ninja')
        ? [
            {
              name: ninja,
              cwd: join(place, 'ninja'),
              argv: ['ninja', '-j2', '--quiet'] as const,
              before: fresh('ninja'),
              peer: true,
            },
          ]
        : []),
    ];
    // Of a process of its own before anything is timed: what both read of the system is then in memory.
    await measure({ argv: [process.execPath, '-e', '0'], cwd: folder });
    const outcomes = await race(contenders, { runs });
    const idle = ran(outcomes, nothing).ms;
    const count = graph.rules.length;
    const each = (ms: number) => (ms / count).toFixed(2);
    return {
      blocks: [
        `What a node costs that has next to no work: ${count.toLocaleString('en')} nodes that each join three files of a few bytes.`,
        table(
          ['', 'seconds', 'ms a node', 'CPU ms a node'],
          contenders.map(({ name }) => [
            name,
            ...cellsOf(outcomes.get(name), ({ ms, cpuMs }) => [seconds(ms), each(ms), each(cpuMs)]),
          ]),
        ),
      ],
      goal: atMost(
        'a node of next to no work, beyond a build with nothing to do',
        (ran(outcomes, full).ms - idle) / count,
        OVERHEAD_LIMIT_MS,
        (ms) => `${ms.toFixed(2)} ms`,
      ),
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
