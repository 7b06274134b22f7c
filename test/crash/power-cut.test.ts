// The power goes at any operation on the file system, and the disk holds what it must and perhaps more: the next build puts all
// right. What is cut, and how a disk may look then, is in test/rig/power-cut.ts.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ARCHS, openArena } from '../rig/arena.js';
import { again, campaignRounds, campaignSeed, isLinux } from '../rig/crash.js';
import { runFolder } from '../rig/places.js';
import { openDisk } from '../rig/power-cut.js';
import { randomNumbers } from '../rig/random.js';
import { has, tool } from '../rig/tools.js';

/** Cuts a scenario here; `npm run test:crash` takes more. */
const SHORT = 2;
const CUTS = Math.max(SHORT, Math.ceil(campaignRounds(SHORT * 10) / 10));

interface Scenario {
  readonly name: string;
  /** Runs before it, in a folder that has both variants built, `amd64` in place. */
  readonly before: readonly (readonly string[])[];
  readonly run: readonly string[];
  readonly cold?: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'cold build', before: [], run: ['build'], cold: true },
  {
    name: 'switch of the variant',
    before: [['build', '--arch', 'amd64']],
    run: ['build', '--arch', 'arm64'],
  },
  { name: 'restore after clean', before: [['clean']], run: ['build'] },
  { name: 'clean', before: [], run: ['clean'] },
  { name: 'clean --all', before: [], run: ['clean', '--all'] },
  { name: 'update', before: [], run: ['update'] },
  { name: 'gc', before: [], run: ['gc', '--keep-days', '0'] },
];

describe.skipIf(!has('qemu-img', 'mke2fs') || !isLinux())('the power goes in a', () => {
  it.each(SCENARIOS)('$name', { timeout: 60_000 + CUTS * 20_000 }, async ({ name, before, run, cold }) => {
    const seed = campaignSeed();
    const random = randomNumbers(`${seed} ${name}`);
    const arena = await openArena();
    const [site] = arena.sites;
    if (!site) throw new Error('no site');
    if (!cold) {
      await site.run(['build', '--arch', 'arm64']);
      await site.run(['build', '--arch', 'amd64']);
      for (const args of before) await site.run(args);
    }
    const ready = mkdtempSync(join(runFolder(), 'ready-'));
    await tool(['cp', '-a', `${site.work.dir}/.`, ready]);
    const setUp = async () => {
      for (const name of readdirSync(site.work.dir))
        rmSync(site.work.path(name), { recursive: true, force: true });
      await tool(['cp', '-a', `${ready}/.`, site.work.dir]);
    };
    const watched = async (killAt: number) => {
      const disk = openDisk(site.work.dir);
      const { signal, status } = await site.start(run, disk.env(killAt)).result;
      return { disk, signal, status };
    };
    try {
      const whole = await watched(0);
      expect(whole.status).toBe(0);
      whole.disk.keep();
      const { operations } = whole.disk;
      whole.disk.close();
      expect(operations).toBeGreaterThan(0);
      // At every one when there are enough cuts to take, else at some by chance.
      const moments =
        CUTS >= operations
          ? Array.from({ length: CUTS }, (_, i) => (i % operations) + 1)
          : Array.from({ length: CUTS }, () => 1 + Math.floor(random() * operations));
      for (const moment of moments) {
        await setUp();
        const { disk, signal } = await watched(moment);
        const told = disk.cut(random);
        disk.close();
        const order = random() < 0.5 ? ARCHS : ARCHS.toReversed();
        const faults = await arena.faults(order);
        const where = `cut at operation ${moment} of ${operations} (${signal ?? 'it had ended'}); then ${order}; on disk: ${told}`;
        expect(faults, `${where}\n${again(seed, CUTS * 10)}`).toEqual([]);
      }
    } finally {
      rmSync(ready, { recursive: true, force: true });
      await arena.close();
    }
  });
});
