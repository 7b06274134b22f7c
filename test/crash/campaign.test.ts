// res is killed at random moments of whatever it does, and nothing is lost: a short campaign here, a long one with
// `npm run test:crash`.
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { again, campaign, campaignRounds, campaignSeed, isLinux, summaryLine } from '../rig/crash.js';
import { has } from '../rig/tools.js';

const SHORT = 25;
/** Longest time for one kill and the builds after it, ms. */
const EACH = 10_000;

it.skipIf(!has('qemu-img', 'mke2fs') || !isLinux())(
  'killed at any moment, the next build puts all right and nothing is left behind',
  { timeout: 60_000 + campaignRounds(SHORT) * EACH },
  async () => {
    const seed = campaignSeed();
    const kills = campaignRounds(SHORT);
    let told = 0;
    const summary = await campaign({
      seed,
      kills,
      onRound(soFar) {
        if (soFar.kills - told < 100) return;
        told = soFar.kills;
        console.log(summaryLine(soFar));
      },
    });
    const report = process.env.RES_CRASH_REPORT;
    if (report !== undefined) writeFileSync(report, `${JSON.stringify(summary, null, 2)}\n`);
    if (report !== undefined || kills !== SHORT) console.log(summaryLine(summary));
    expect(summary.failures.join('\n\n'), again(seed, kills)).toBe('');
    expect(summary.kills).toBeGreaterThanOrEqual(kills);
  },
);
