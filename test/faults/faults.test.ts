// Faults from outside, of every kind and at every stage: a build ends with the right bytes or in an error that a user can
// act on, nothing half-made stands under a final name, and the next build without the fault ends well.
// RES_TEST_LONG=1 runs ten seeds of each; RES_FAULTS_REPORT=FILE is where the figures are written then.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { unusedPort } from '../sources/harness.js';
import { applies, Campaign, type Case, STAGES } from './campaign.js';
import { type FaultKind, KINDS } from './kinds.js';

// As the real ones, with milliseconds for seconds between two attempts.
vi.mock('../../src/sources/retry.js', async (load) => ({
  ...(await load<typeof import('../../src/sources/retry.js')>()),
  DEFAULT_RETRY: { retries: 5, baseDelayMs: 2 },
}));

const isLong = process.env.RES_TEST_LONG === '1';
const SEEDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const PARTS = ['first part', 'middle part', 'last part'];
const LASTING = ['few', 'always'] as const;
const campaign = new Campaign(`http://127.0.0.1:${await unusedPort()}/`);
const endings = new Map<string, number>();

afterAll(async () => {
  await campaign.close();
  const report = process.env.RES_FAULTS_REPORT;
  const cases = [...endings.values()].reduce((sum, count) => sum + count, 0);
  const figures = {
    kinds: KINDS.length,
    stages: STAGES.length,
    seeds: isLong ? SEEDS.length : 1,
    cases,
    endings: Object.fromEntries(endings),
  };
  if (report) writeFileSync(report, `${JSON.stringify(figures, null, 2)}\n`);
  if (isLong) console.log(JSON.stringify(figures));
});

/** The short run takes one case of each kind at each stage (one of the parts): by turns a few faults or nothing but. */
function casesOf(kind: FaultKind, number: number): readonly Case[] {
  return STAGES.filter((stage) => applies(kind, stage)).flatMap((stage, place) => {
    if (!isLong && PARTS.includes(stage) && stage !== PARTS[number % 3]) return [];
    if (!isLong) return [{ kind, stage, seed: place % 3, lasting: LASTING[(number + place) % 2] ?? 'few' }];
    return SEEDS.flatMap((seed) => LASTING.map((lasting) => ({ kind, stage, seed, lasting })));
  });
}

describe.concurrent('a build whose server', () => {
  const kinds = KINDS.map((kind, number) => [kind.name, kind, number] as const);
  it.each(kinds)('%s', { timeout: isLong ? 1_800_000 : 60_000 }, async (_name, kind, number) => {
    const broken: string[] = [];
    const waiting = [...casesOf(kind, number)];
    const runner = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        try {
          const ending = await campaign.run(one);
          endings.set(ending, (endings.get(ending) ?? 0) + 1);
        } catch (error) {
          const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
          broken.push(`${one.stage}, seed ${one.seed}, ${one.lasting}: ${what}`);
        }
      }
    };
    // Much of it is waiting: for time-outs, and for the disk.
    await Promise.all(Array.from({ length: 4 }, runner));
    expect(broken.join('\n\n')).toBe('');
  });
});
