// The quickstart: what is committed of it is a sound release, and res makes the raw image of it without the internet.
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runRes } from '../rig/cli.js';
import { REPO_ROOT } from '../rig/places.js';
import { has, tool } from '../rig/tools.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';

const QUICKSTART = join(REPO_ROOT, 'examples/quickstart');
/** What building may leave beside the files under version control; .gitignore names both. */
const MADE = ['.res', 'resources'];

let work: Workspace;
beforeAll(() => {
  work = makeWorkspace();
  cpSync(QUICKSTART, work.dir, { recursive: true });
  for (const name of MADE) rmSync(work.path(name), { recursive: true, force: true });
});
afterAll(() => work.remove());

describe.skipIf(!has('qemu-img', 'e2fsck', 'debugfs', 'tar'))('the quickstart', () => {
  let expected: Buffer;
  beforeAll(async () => {
    const script = `mkdir expected && cat release/*.tar.gz.* | tar -C expected -xz
      cd expected && sha256sum -c --quiet ../release/disk-image.qcow2.sums
      qemu-img convert -f qcow2 -O raw temp/disk-image.qcow2 disk-image.raw`;
    await tool(['sh', '-euc', script], { cwd: work.dir });
    expected = work.read('expected/disk-image.raw');
    rmSync(work.path('expected'), { recursive: true });
  });

  it('is a release in more than two parts, small enough for a repository', () => {
    const files = readdirSync(join(QUICKSTART, 'release'));
    expect(files.filter((name) => name.includes('.tar.gz.')).length).toBeGreaterThan(2);
    const bytes = files.reduce((sum, name) => sum + statSync(join(QUICKSTART, 'release', name)).size, 0);
    expect(bytes).toBeLessThan(512 * 1024);
  });

  it('becomes a raw image: the very bytes, sparse, a sound file system', async () => {
    const { status, stderr } = await runRes(['build', 'raw-disk'], { cwd: work.dir });
    expect(status, stderr).toBe(0);
    const raw = work.path('resources/disk-image.raw');
    expect(readFileSync(raw).equals(expected)).toBe(true);
    expect(statSync(raw).blocks * 512).toBeLessThan(expected.length / 2);
    await tool(['e2fsck', '-fn', raw]);
    expect(await tool(['debugfs', '-R', 'cat /README.txt', raw])).toContain('put together again by res');
  });

  it('is then up to date', async () => {
    const { status, stdout, stderr } = await runRes(['build', 'raw-disk'], { cwd: work.dir });
    expect(status).toBe(0);
    expect(`${stdout}${stderr}`).toContain('up to date');
  });

  it('leaves nothing that version control would see', () => {
    const ignored = readFileSync(join(QUICKSTART, '.gitignore'), 'utf8').trim().split('\n');
    expect(ignored.map((line) => line.replaceAll('/', '')).sort()).toEqual(MADE);
    const committed = readdirSync(QUICKSTART).filter((name) => !MADE.includes(name));
    expect(readdirSync(work.dir).sort()).toEqual([...committed, ...MADE].sort());
  });
});
