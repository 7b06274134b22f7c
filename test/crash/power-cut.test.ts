// The power goes at any operation on the file system, and the disk holds what it must and perhaps more: the next build puts all
// right. What is cut, and how a disk may look then, is in test/rig/power-cut.ts.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ARCHS, type Arena, openArena, type Site } from '../rig/arena.js';
import { again, campaignRounds, campaignSeed, isLinux } from '../rig/crash.js';
import { runFolder } from '../rig/places.js';
import { openDisk } from '../rig/power-cut.js';
import { randomNumbers } from '../rig/random.js';
import { has, tool } from '../rig/tools.js';

/** Cuts a scenario here; `npm run test:crash` takes more. */
const SHORT = 2;
const CUTS = Math.ceil(campaignRounds(SHORT * 10) / 10);

interface Scenario {
  readonly name: string;
  /** `both`: both variants are built, amd64 is in place; `cleaned`: and its outputs were removed then. */
  readonly from: 'nothing' | 'both' | 'cleaned';
  readonly run: readonly string[];
  /** Operations, about. */
  readonly length: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'cold build', from: 'nothing', run: ['build'], length: 260 },
  { name: 'switch of the variant', from: 'both', run: ['build', '--arch', 'arm64'], length: 110 },
  { name: 'restore after clean', from: 'cleaned', run: ['build'], length: 180 },
  { name: 'clean', from: 'both', run: ['clean'], length: 40 },
  { name: 'clean --all', from: 'both', run: ['clean', '--all'], length: 65 },
  { name: 'update', from: 'both', run: ['update'], length: 15 },
  { name: 'gc', from: 'both', run: ['gc', '--keep-days', '0'], length: 40 },
];

describe.skipIf(!has('qemu-img', 'mke2fs') || !isLinux())('the power goes in a', () => {
  let arena: Arena;
  const saved = new Map<Scenario['from'], string>();

  function siteOf({ sites: [site] }: Arena): Site {
    if (!site) throw new Error('no site');
    return site;
  }

  async function save(name: Scenario['from']): Promise<void> {
    const copy = mkdtempSync(join(runFolder(), 'saved-'));
    await tool(['cp', '-a', `${siteOf(arena).work.dir}/.`, copy]);
    saved.set(name, copy);
  }

  async function setUp(name: Scenario['from']): Promise<void> {
    const { work } = siteOf(arena);
    for (const entry of readdirSync(work.dir)) rmSync(work.path(entry), { recursive: true, force: true });
    await tool(['cp', '-a', `${saved.get(name)}/.`, work.dir]);
  }

  beforeAll(async () => {
    arena = await openArena();
    const site = siteOf(arena);
    await save('nothing');
    for (const arch of ARCHS.toReversed()) await site.run(['build', '--arch', arch]);
    await save('both');
    await site.run(['clean']);
    await save('cleaned');
  }, 120_000);

  afterAll(async () => {
    for (const copy of saved.values()) rmSync(copy, { recursive: true, force: true });
    await arena.close();
  });

  it.each(SCENARIOS)('$name', { timeout: 60_000 + CUTS * 20_000 }, async ({ name, from, run, length }) => {
    const seed = campaignSeed();
    const random = randomNumbers(`${seed} ${name}`);
    const site = siteOf(arena);
    const start = random();
    for (let cut = 0; cut < CUTS; cut++) {
      // Spread evenly, however many there are (multiples of the golden ratio).
      const moment = 1 + Math.floor(((start + cut * 0.618034) % 1) * length);
      await setUp(from);
      const disk = openDisk(site.work.dir);
      const { signal, status } = await site.start(run, disk.env(moment)).result;
      const onDisk = disk.cut(random);
      disk.close();
      const how = signal === null ? `after its end with status ${status}` : `at operation ${moment}`;
      const order = random() < 0.5 ? ARCHS : ARCHS.toReversed();
      const faults = await arena.faults(order);
      const where = `cut ${how}; on disk: ${onDisk}; then built: ${order}`;
      expect(faults, `${where}\n${again(seed, CUTS * 10)}`).toEqual([]);
    }
  });
});
