// The crash campaign: res is killed with its whole process group at a random moment of something that it does, over and over in
// the same folders, so that what one kill leaves is there at the next. After each kill a plain build must put all right.
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ARCHS, type Arch, type Arena, below, type Fault, flipBit, openArena, type Site } from './arena.js';
import type { Run } from './cli.js';
import { RIG } from './places.js';
import { randomNumbers } from './random.js';

export interface CampaignOptions {
  readonly seed: string;
  /** How many processes are to be killed. */
  readonly kills: number;
  /** Called after each round. */
  readonly onRound?: (summary: Summary) => void;
}

export interface Summary {
  readonly seed: string;
  readonly runs: number;
  readonly kills: number;
  /** Runs that were to be killed and had ended before. */
  readonly tooLate: number;
  /** Wrong bytes in an output or an object, or a `verify` that was not content. */
  readonly losses: number;
  /** Builds that did not succeed by themselves after a kill. */
  readonly manualRepairs: number;
  /** Temporaries, locks, partial downloads or processes that were left behind. */
  readonly leaks: number;
  readonly seconds: number;
  readonly byScenario: Readonly<Record<string, number>>;
  /** What went wrong, each with its round and how to get there again. */
  readonly failures: readonly string[];
}

interface Deed {
  /** Index of the site, and what is run there. */
  readonly site: number;
  readonly args: readonly string[];
}

interface Scenario {
  readonly name: string;
  readonly weight: number;
  /** Puts things up and says what is run, all at the same time. */
  readonly prepare: (arena: Arena, random: Random) => Promise<readonly Deed[]> | readonly Deed[];
  /** What a user does before the next build. */
  readonly after?: (arena: Arena, deeds: readonly Deed[]) => Promise<void>;
}

type Random = () => number;

function pick<T>(random: Random, from: readonly T[]): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error('nothing to choose from');
  return one;
}

function build(site: number, arch: Arch): Deed {
  return { site, args: ['build', '--arch', arch] };
}

const anyArch = (random: Random) => pick(random, ARCHS);
const anySite = (arena: Arena, random: Random) => Math.floor(random() * arena.sites.length);

function emptied(arena: Arena, site: number): void {
  const work = arena.sites[site]?.work;
  for (const name of ['.res', 'resources', 'resources.lock.yaml'])
    if (work) rmSync(work.path(name), { recursive: true, force: true });
}

/** Flips a bit in some of the files that res made, in their places and in the store. */
function damage(arena: Arena, site: number, random: Random): void {
  const work = arena.sites[site]?.work;
  if (!work) return;
  const store = arena.store ?? work.path('.res/store');
  const made = [work.path('resources'), ...['cas', 'tree', 'dir'].map((shelf) => join(store, shelf))].flatMap(
    (folder) => below(folder),
  );
  for (const path of made) if (random() < 0.2 && statSync(path).size > 0) flipBit(path, random);
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'cold build',
    weight: 3,
    prepare(arena, random) {
      const site = anySite(arena, random);
      emptied(arena, site);
      return [build(site, anyArch(random))];
    },
  },
  {
    name: 'rebuild',
    weight: 2,
    prepare(arena, random) {
      const site = anySite(arena, random);
      arena.sites[site]?.setNotes(Math.floor(random() * 3));
      return [build(site, anyArch(random))];
    },
  },
  {
    name: 'variant switch',
    weight: 3,
    prepare: (arena, random) => [build(anySite(arena, random), anyArch(random))],
  },
  {
    name: 'two builds',
    weight: 3,
    prepare(arena, random) {
      const site = anySite(arena, random);
      if (random() < 0.4) emptied(arena, site);
      else arena.sites[site]?.setNotes(Math.floor(random() * 3));
      return [build(site, anyArch(random)), build(anySite(arena, random), anyArch(random))];
    },
  },
  {
    name: 'update',
    weight: 1,
    prepare: (arena, random) => [{ site: anySite(arena, random), args: ['update'] }],
  },
  {
    name: 'clean',
    weight: 1,
    prepare: (arena, random) => [
      { site: anySite(arena, random), args: ['clean', ...(random() < 0.5 ? ['--all'] : [])] },
    ],
  },
  {
    name: 'gc',
    weight: 2,
    prepare(arena, random) {
      const gc = { site: anySite(arena, random), args: ['gc', '--keep-days', '0'] };
      return random() < 0.5 ? [gc] : [gc, build(anySite(arena, random), anyArch(random))];
    },
  },
  {
    name: 'repair',
    weight: 1,
    prepare(arena, random) {
      const site = anySite(arena, random);
      damage(arena, site, random);
      return [{ site, args: ['verify', '--repair', '--overwrite'] }];
    },
    // Damage is for repair to mend: a build does not overwrite what it did not make.
    async after(arena, [deed]) {
      if (deed) await arena.sites[deed.site]?.run(deed.args);
    },
  },
];

/** Rounds until so many processes were killed, two at a time in places of their own. Rejects only when a set-up fails. */
export async function campaign(o: CampaignOptions): Promise<Summary> {
  const began = performance.now();
  const count = { runs: 0, kills: 0, tooLate: 0, losses: 0, manualRepairs: 0, leaks: 0 };
  const byScenario: Record<string, number> = {};
  const failures: string[] = [];
  const summary = (): Summary => ({
    seed: o.seed,
    ...count,
    seconds: Math.round((performance.now() - began) / 1000),
    byScenario,
    failures,
  });
  const lane = async (name: string, setups: readonly Setup[], kills: number) => {
    const rounds = new Lane(`${o.seed} ${name}`, setups);
    try {
      for (let done = 0; done < kills; ) {
        const told = await rounds.next();
        done += told.kills;
        count.runs += told.runs;
        count.kills += told.kills;
        count.tooLate += told.tooLate;
        byScenario[told.scenario] = (byScenario[told.scenario] ?? 0) + told.kills;
        for (const { kind, text } of told.faults) {
          if (kind === 'loss') count.losses++;
          else if (kind === 'manual') count.manualRepairs++;
          else count.leaks++;
          failures.push(`${name}, ${told.where}: ${kind}: ${text}`);
        }
        o.onRound?.(summary());
      }
    } finally {
      await rounds.close();
    }
  };
  const half = Math.ceil(o.kills / 2);
  await Promise.all([
    lane('first lane', [{ sites: 1 }], half),
    lane(
      'second lane',
      [{ sites: 1 }, { sites: 2, shared: true }, { sites: 2, shared: true }],
      o.kills - half,
    ),
  ]);
  return summary();
}

interface Setup {
  readonly sites: number;
  readonly shared?: boolean;
}

interface Round extends Outcome {
  readonly scenario: string;
  /** For people: which round it was, and what was done in it. */
  readonly where: string;
  readonly runs: number;
}

/** Rounds one after another, with what the last one left. */
class Lane {
  readonly #random: Random;
  readonly #setups: readonly Setup[];
  readonly #arenas = new Map<number, Arena>();
  readonly #measured: Measured = { durations: new Map(), steps: new Map() };
  #round = 0;

  constructor(seed: string, setups: readonly Setup[]) {
    this.#random = randomNumbers(seed);
    this.#setups = setups;
  }

  async next(): Promise<Round> {
    this.#round++;
    const random = this.#random;
    const which = Math.floor(random() * this.#setups.length);
    const arena = this.#arenas.get(which) ?? (await openArena(this.#setups[which]));
    this.#arenas.set(which, arena);
    const scenario = pick(
      random,
      SCENARIOS.flatMap((one) => Array.from({ length: one.weight }, () => one)),
    );
    const deeds = await scenario.prepare(arena, random);
    const told = await killed(arena, { deeds, of: scenario.name }, random, this.#measured);
    await scenario.after?.(arena, deeds).catch((error: unknown) => {
      told.faults.push({ kind: 'manual', text: String(error) });
    });
    const archs = ARCHS.filter((arch) => deeds.some(({ args }) => args.includes(arch)));
    // The others are looked at now and then: what they have in common is the store.
    const concerned = arena.sites
      .map((_, i) => i)
      .filter((i) => deeds.some(({ site }) => site === i) || random() < 0.3);
    const checked = archs.length > 0 ? archs : [anyArch(random)];
    // Where nothing was killed there is nothing new to be seen.
    const found = told.kills > 0 ? await arena.faults(checked, concerned) : [];
    const faults = [...told.faults, ...found];
    if (faults.length > 0) {
      // What is broken would be told again and again.
      await arena.close();
      this.#arenas.delete(which);
    }
    const where = `round ${this.#round}, ${scenario.name} in ${JSON.stringify(this.#setups[which])} (${told.how})`;
    return { ...told, faults, scenario: scenario.name, where, runs: deeds.length };
  }

  async close(): Promise<void> {
    for (const arena of this.#arenas.values()) await arena.close();
  }
}

interface Outcome {
  readonly kills: number;
  readonly tooLate: number;
  readonly how: string;
  readonly faults: Fault[];
}

/** How long runs are, as far as can be told from when they could still be killed; by what is run. */
interface Measured {
  /** ms */
  readonly durations: Map<string, number>;
  /** Operations of the file system. */
  readonly steps: Map<string, number>;
}

/** Runs all at once and kills at least one of them: after a random time, or at a random operation of the file system. */
async function killed(
  arena: Arena,
  { deeds, of }: { readonly deeds: readonly Deed[]; readonly of: string },
  random: Random,
  { durations, steps }: Measured,
): Promise<Outcome> {
  const victims = deeds.length === 1 || random() < 0.6 ? deeds.length : 1;
  const how: string[] = [];
  const ends = deeds.map(async (deed, i) => {
    const site = arena.sites[deed.site];
    if (!site) throw new Error(`no site ${deed.site}`);
    const command = deed.args.join(' ');
    // How much there is to do in the same words depends on what was before.
    const key = `${of}: ${command}`;
    const moment = random() * (durations.get(key) ?? 600);
    const step = 1 + Math.floor(random() * (steps.get(key) ?? 60));
    if (i >= victims) {
      how.push(`${command} goes on`);
      return { run: site.start(deed.args), command };
    }
    if (random() < 0.5) {
      how.push(`${command} killed at operation ${step}`);
      return {
        run: site.start(deed.args, stepEnv(site, arena, step)),
        command,
        aim: { at: step, of: steps, key },
      };
    }
    how.push(`${command} killed after ${Math.round(moment)} ms`);
    const run = site.start(deed.args);
    await delay(moment);
    await run.kill();
    return { run, command, aim: { at: moment, of: durations, key } };
  });
  const faults: Fault[] = [];
  let kills = 0;
  let tooLate = 0;
  for (const { run, command, aim } of await Promise.all(ends)) {
    const { status, signal } = await run.result;
    if (signal === null && status !== 0)
      faults.push({ kind: 'manual', text: `${command}: exit status ${status}\n${transcript(run)}` });
    if (!aim) continue;
    if (signal === 'SIGKILL') kills++;
    else tooLate++;
    // The end of the range that is aimed at is where runs end.
    const reach = signal === null ? aim.at * 0.9 : Math.max(aim.of.get(aim.key) ?? 0, aim.at * 1.25);
    aim.of.set(aim.key, Math.max(8, reach));
  }
  return { kills, tooLate, how: how.join(', '), faults };
}

/** Makes a run kill itself at its operation number `step` below the folder of the site or below the store. */
function stepEnv(site: Site, arena: Arena, step: number): Readonly<Record<string, string>> {
  return {
    NODE_OPTIONS: `--require=${JSON.stringify(join(RIG, 'disk.cjs'))}`,
    RES_DISK_ROOT: arena.store !== undefined && step % 3 === 0 ? arena.store : site.work.dir,
    RES_DISK_KILL: String(step),
  };
}

function transcript(run: Run): string {
  return `${run.stdout}\n${run.stderr}`.trim();
}

/** One line for people. */
export function summaryLine(s: Summary): string {
  return `crash campaign ${s.seed}: ${s.runs} runs, ${s.kills} kills (${s.tooLate} came too late), ${s.losses} losses, ${s.manualRepairs} manual repairs, ${s.leaks} leaks, ${s.seconds} s`;
}

/** A seed from the environment, or a new one. */
export function campaignSeed(): string {
  return process.env.RES_CRASH_SEED ?? String(Math.floor(Math.random() * 1e9));
}

export function campaignRounds(short: number): number {
  const text = process.env.RES_CRASH_ROUNDS;
  return text === undefined ? short : Number(text);
}

/** For messages: what to set to get the same again. */
export function again(seed: string, rounds: number): string {
  return `again: RES_CRASH_SEED=${seed} RES_CRASH_ROUNDS=${rounds} npm run test:crash`;
}

export function isLinux(): boolean {
  return existsSync('/proc/self/stat') && readFileSync('/proc/self/stat', 'utf8') !== '';
}
