// The examples that compile a kernel and boot it, by the commands of their READMEs. A kernel takes minutes: the second example finds
// in the store what the first one has compiled, and compiles it once more to compare with RES_TEST_LONG=1 only.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { REPO_ROOT, runFolder } from '../rig/places.js';

const runFile = promisify(execFile);

const isLong = process.env.RES_TEST_LONG === '1';

/** Longest time for the commands of a block, ms: two minutes where nothing else runs, and many times that where much does. */
const LONG = 60 * 60 * 1000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(runFolder(), 'slow-'));
});

/** The repository, as far as the examples know it. */
class Checkout {
  readonly #root: string;

  constructor(name: string) {
    this.#root = join(folder, name);
    mkdirSync(this.#root);
    symlinkSync(join(REPO_ROOT, 'res'), join(this.#root, 'res'));
    for (const example of ['kernel', 'boot'])
      cpSync(join(REPO_ROOT, 'examples', example), join(this.#root, 'examples', example), {
        recursive: true,
        filter: (path) => !/\/(\.res|resources)$/.test(path),
      });
  }

  text(path: string): string {
    return readFileSync(join(this.#root, 'examples', path), 'utf8');
  }

  /** Runs a block of the README and gives what it printed; the first of one begins where the reader is, and the others go on there. */
  async run(example: string, block: number): Promise<string> {
    const blocks = [...this.text(`${example}/README.md`).matchAll(/^```sh\n(.*?)^```$/gms)];
    const script = blocks[block]?.[1];
    if (script === undefined) throw new Error(`the README of ${example} has no block ${block}`);
    const { PATH } = process.env;
    const { stdout, stderr } = await runFile('sh', ['-euc', script], {
      cwd: block === 0 ? this.#root : join(this.#root, 'examples', example),
      env: { PATH, HOME: folder, LANG: 'C.UTF-8', RES_STORE: join(folder, 'store') },
      timeout: LONG,
      maxBuffer: 1 << 24,
    });
    return `${stdout}${stderr}`;
  }
}

/** The nodes that a build had to make. */
function made(printed: string): readonly string[] {
  return [...printed.matchAll(/^([\w-]+): made /gm)].map(([, name = '']) => name).sort();
}

const MOUNTED = /^EXT4-fs \(vda\): mounted filesystem.*^VFS: Mounted root \(ext4 filesystem\)/ms;
const DISK = ['disk', 'machine-disk', 'qcow2', 'root'];

describe('a kernel from source, and a machine that boots it', () => {
  let checkout: Checkout;
  beforeAll(() => {
    checkout = new Checkout('boot');
  });

  it('are built; the kernel mounts the disk and runs init', { timeout: LONG }, async () => {
    const printed = await checkout.run('boot', 0);
    expect(made(printed)).toEqual(['boot', ...DISK, 'kernel', 'kernel-config', 'linux-tree'].sort());
    const log = checkout.text('boot/resources/boot.log');
    expect(log).toMatch(MOUNTED);
    expect(log).toMatch(/^Run \/init as init process$/m);
    expect(log).toMatch(/^init: process 1 on Linux \d+\.\d+/m);
    expect(log).toMatch(/^init: root is \/dev\/root \/ ext4 rw/m);
    expect(log).toMatch(/^init: the disk can be written to$/m);
    expect(printed).toContain(log.trim());
  });

  it('are then up to date', { timeout: LONG }, async () => {
    expect(await checkout.run('boot', 1)).toMatch(/^up to date$/m);
  });

  it('follow another init with another disk, and the same kernel', { timeout: LONG }, async () => {
    const printed = await checkout.run('boot', 2);
    expect(made(printed)).toEqual(['boot', ...DISK].sort());
    expect(printed).toMatch(/^init: hello from process 1 on Linux/m);
    expect(checkout.text('boot/resources/boot.log')).toMatch(MOUNTED);
  });

  it('follow another option with another kernel, and the same disk', { timeout: LONG }, async () => {
    const printed = await checkout.run('boot', 3);
    expect(printed).toContain('linux.config');
    expect(made(printed)).toEqual(['boot', 'kernel', 'kernel-config']);
    const log = checkout.text('boot/resources/boot.log');
    expect(log).toMatch(MOUNTED);
    expect(log).toMatch(/^init: hello from process 1 on Linux/m);
  });

  it('have a disk that is the same whenever it is made', { timeout: LONG }, async () => {
    const printed = await checkout.run('boot', 4);
    for (const name of ['root', 'qcow2', 'disk'])
      expect(printed).toMatch(new RegExp(`^${name}: the same, `, 'm'));
  });

  describe('in another workspace', () => {
    let other: Checkout;
    beforeAll(() => {
      other = new Checkout('kernel');
    });

    it('have their kernel from the store', { timeout: LONG }, async () => {
      const printed = await other.run('kernel', 0);
      expect(made(printed)).toEqual([]);
      expect(printed).toMatch(/resources\/vmlinux$/m);
    });

    it.runIf(isLong)(
      'have a kernel that is the same when compiled once more',
      { timeout: LONG },
      async () => {
        expect(await other.run('kernel', 1)).toMatch(/^kernel: the same, /m);
      },
    );
  });
});
