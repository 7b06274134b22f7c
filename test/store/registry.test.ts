import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/model/digest.js';
import { register, registrationPath, registrations, renew } from '../../src/store/registry.js';
import { tempDir } from './temp.js';

const [A, B, C] = ['a', 'b', 'c'].map((c): Digest => `sha256:${c.repeat(64)}`) as [Digest, Digest, Digest];

describe('the workspaces of a store', () => {
  it('say what they count on, and when they last used it', async () => {
    const root = join(tempDir(), 'store');
    expect(await registrations(root)).toEqual([]);
    const before = Date.now() - 1000;
    await register(root, { workspace: '/work/one', digests: [B, A, B], kept: [A] });
    await register(root, { workspace: '/work/two', digests: new Set<Digest>(), kept: [] });
    const all = [...(await registrations(root))].sort((a, b) => a.workspace.localeCompare(b.workspace));
    expect(all).toEqual([
      { workspace: '/work/one', host: hostname(), at: expect.any(Number), digests: [A, B], kept: [A] },
      { workspace: '/work/two', host: hostname(), at: expect.any(Number), digests: [], kept: [] },
    ]);
    for (const { at } of all) expect(at).toBeGreaterThan(before);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it('say it anew only when it changed; that they used it, each time', async () => {
    const root = tempDir();
    const said = { workspace: '/work/one', digests: [A, B], kept: [] };
    await register(root, said);
    const [name = ''] = readdirSync(join(root, 'workspaces'));
    const path = join(root, 'workspaces', name);
    const { ino } = statSync(path);
    utimesSync(path, 1000, 1000);
    expect((await registrations(root))[0]?.at).toBe(1_000_000);
    await register(root, { ...said, digests: [B, A] });
    expect(statSync(path).ino).toBe(ino);
    expect((await registrations(root))[0]?.at).toBeGreaterThan(1_000_000);
    await register(root, { ...said, digests: [C] });
    expect(await registrations(root)).toMatchObject([{ digests: [C] }]);
    expect(readdirSync(join(root, 'workspaces'))).toEqual([name]);
  });

  it('that still use it say so once a day, and not those that never said what they count on', async () => {
    const root = tempDir();
    await renew(root, '/work/one');
    expect(await registrations(root)).toEqual([]);
    await register(root, { workspace: '/work/one', digests: [A], kept: [] });
    const path = registrationPath(root, { workspace: '/work/one', host: hostname() });
    const hour = Date.now() / 1000 - 3600;
    utimesSync(path, hour, hour);
    await renew(root, '/work/one');
    expect(statSync(path).mtimeMs / 1000).toBeCloseTo(hour, 2);
    utimesSync(path, hour - 86_400, hour - 86_400);
    await renew(root, '/work/one');
    expect(statSync(path).mtimeMs / 1000).toBeGreaterThan(hour);
  });

  it('that are damaged are passed over, and are there again after their next use', async () => {
    const root = tempDir();
    const said = { workspace: '/work/one', digests: [A], kept: [] };
    await register(root, said);
    const [name = ''] = readdirSync(join(root, 'workspaces'));
    writeFileSync(join(root, 'workspaces', name), 'torn');
    expect(await registrations(root)).toEqual([]);
    await register(root, said);
    expect(await registrations(root)).toMatchObject([said]);
  });
});
