// The guide is worked through, page by page, as a reader would: its files are written, its commands run in their order, and
// what they print is what the page shows. Downloads come from a server of this machine that has small stand-ins.
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../src/cli/commands.js';
import {
  type Block,
  commandsOf,
  DOCS,
  type Document,
  linksOf,
  normalise,
  readDocument,
  readDocuments,
  replaceBlock,
  runSession,
} from './rig/documents.js';
import { type GitRepository, gitRepository } from './rig/git.js';
import { vswarmRelease } from './rig/images.js';
import { MAIN, REPO_ROOT, runFolder } from './rig/places.js';
import { randomNumbers, seededBytes } from './rig/random.js';
import { type ReleaseServer, startReleaseServer } from './rig/release-server.js';
import { tarBytes } from './rig/tar.js';
import { startRunners } from './rig/workflow.js';

const runFile = promisify(execFile);

const PAGES = readDocuments('guide');
const INDEX = 'guide/README.md';
const HOME = '/home/ada';

/** What a page may have in fences. `file=` and `console` are about paths below the reader's home. */
const SORTS = {
  /** Written there, when its turn comes. */
  file: /^\w+ file=(\S+)$/,
  /** The text of a file of docs/guide/. */
  from: /^\w+ from=(\S+)$/,
  /** Run in that folder. */
  console: /^console(?: (?!not-run$)(\S+))?$/,
  /** What GitHub's runners log when the repository that this workflow is in is pushed as it is. */
  pushed: /^text pushed=(([^\s/]+)\/\S+)$/,
  /** Of a cluster, or of the internet: parsed only, and the page says so. */
  notRun: /^(?:sh|make|text|console) not-run$/,
};

let bin: string;
let server: ReleaseServer;
let linux: GitRepository;
const homes: string[] = [];

beforeAll(async () => {
  server = await startReleaseServer({});
  const { assets } = await vswarmRelease({ size: { sizeMiB: 16, dataMiB: 2 } });
  await server.release('vhive-serverless/vSwarm-u', 'v0.3.0', assets);
  await server.file('pub/linux/kernel/v5.x/linux-5.15.59.tar', kernelSource());
  linux = linuxRepository();
  await server.file('disk-image.tar.gz', gzipSync(diskArchive(), { level: 0 }));
  bin = mkdtempSync(join(runFolder(), 'guide-bin-'));
  // A cross compiler need not be there.
  for (const tool of ['gcc', 'ld']) program(`aarch64-linux-gnu-${tool}`, `exec ${tool} "$@"`);
  program('res', `exec '${process.execPath}' '${MAIN}' "$@"`);
  // Of a cluster: the job is run at once, with what Slurm sets for it.
  program(
    'sbatch',
    [
      'export SLURM_JOB_ID=4711 SLURM_CPUS_PER_TASK=2',
      'echo "Submitted batch job $SLURM_JOB_ID"',
      'sh "$@" > "slurm-$SLURM_JOB_ID.out" 2>&1',
    ].join('\n'),
  );
});

afterAll(async () => {
  await server.close();
  linux.remove();
  for (const dir of [...homes, bin]) rmSync(dir, { recursive: true, force: true });
});

function program(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** Of the shape of Linux: `make olddefconfig`, then `make vmlinux`. */
function kernelSource(): Buffer {
  const makefile = [
    'VERSION = 5.15.59',
    'olddefconfig:',
    '\tsort -o .config .config',
    'vmlinux: .config',
    '\t( echo "stand-in for Linux $(VERSION)"; cat .config ) > $@',
    '',
  ].join('\n');
  return tarBytes([
    { name: 'linux-5.15.59/', type: '5', mode: 0o755 },
    { name: 'linux-5.15.59/Makefile', body: makefile },
  ]);
}

/** Of the shape of Linux, too, and compiled: configurations by architecture, a fragment added, a build outside of the source. */
function linuxRepository(): GitRepository {
  const repository = gitRepository();
  repository.commit({
    Makefile: LINUX_MAKEFILE,
    'arch/x86_64/configs/defconfig': 'CONFIG_X86_64=y\nCONFIG_PCI=y\n',
    'arch/arm64/configs/defconfig': 'CONFIG_ARM64=y\nCONFIG_PCI=y\n',
    'init/main.c': 'const char banner[] = "Linux version 5.15.59 (" USER "@" HOST ") " TIMESTAMP;\n',
    'drivers/virtio_blk.c': 'const char virtio_blk[1 << 20] = {1};\n',
    'fs/9p_fs.c': 'const char v9fs[2 << 20] = {9};\n',
  });
  repository.git('tag', 'v5.15.59');
  return repository;
}

const LINUX_MAKEFILE = `
names = USER HOST TIMESTAMP
CFLAGS = $(foreach name,$(names),'-D$(name)="$(KBUILD_BUILD_$(name))"')
sources = init/main.c $(shell sed -n 's/^CONFIG_\\(.*\\)=y$$/\\L*\\/\\1.c/p' $(O)/.config)
objects = $(patsubst %.c,$(O)/%.o,$(wildcard $(sources)))
vmlinux: $(objects)
	$(CROSS_COMPILE)ld -r -o $(O)/vmlinux $^
$(O)/%.o: %.c
	@mkdir -p $(dir $@)
	$(CROSS_COMPILE)gcc $(CFLAGS) -c -o $@ $<
defconfig:
	mkdir -p $(O) && cp arch/$(ARCH)/configs/defconfig $(O)/.config
olddefconfig:
	sed -n '/^CONFIG_/p' $(O)/.config | sort -t = -k 1,1 -u -o $(O)/.config
`;

/** A disk with blocks of data here and there. How well it is compressed would differ from zlib to zlib. */
function diskArchive(): Buffer {
  const disk = Buffer.alloc(16 << 20);
  const places = randomNumbers('places');
  for (let block = 0; block < 200; block += 1)
    disk.set(seededBytes(`block ${block}`, 4096), 4096 * Math.floor((places() * disk.length) / 4096));
  return tarBytes([{ name: 'images/disk.img', body: disk }]);
}

function newHome(): string {
  const home = realpathSync(mkdtempSync(join(runFolder(), 'guide-')));
  homes.push(home);
  cpSync(join(REPO_ROOT, 'examples', 'quickstart'), join(home, 'quickstart'), {
    recursive: true,
    filter: (path) => !/\/(?:\.res|resources)$/.test(path),
  });
  return home;
}

/** @param programs folders on the PATH before those of the machine */
function environment(home: string, programs: readonly string[] = [bin]): Readonly<Record<string, string>> {
  return {
    PATH: [...programs, process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(':'),
    HOME: home,
    LANG: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
    GITHUB_API_URL: server.apiUrl,
    RES_MIRRORS: [
      ...['https://cdn.kernel.org', 'https://example.org'].map((host) => `${host}=${server.url}/files`),
      `https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git=file://${linux.dir}`,
    ].join(';'),
  };
}

describe.each(PAGES.map((page) => [page.file, page] as const))('the page %s', (_, page) => {
  it('has no block that nobody looks at', () => {
    for (const { info, line } of page.blocks) {
      const sorts = Object.values(SORTS).filter((sort) => sort.test(info));
      expect(sorts, `${page.file}:${line}: ${info}`).toHaveLength(1);
    }
  });

  it('says what happens (`vitest run test/guide.test.ts -u` renews it)', { timeout: 120_000 }, async () => {
    const home = newHome();
    const runners = startRunners(join(home, '.github-runners'), environment(home, []));
    let text = page.text;
    const manifests = new Set<string>();
    for (const block of page.blocks) {
      const file = SORTS.file.exec(block.info)?.[1];
      if (file !== undefined) {
        write(home, file, block);
        if (basename(file) === 'resources.yaml') manifests.add(dirname(file));
      }
      const from = SORTS.from.exec(block.info)?.[1];
      if (from !== undefined)
        text = replaceBlock(text, block, readFileSync(join(DOCS, 'guide', from), 'utf8'));
      const folder = SORTS.console.exec(block.info);
      if (folder) {
        const session = await runIn(home, folder[1] ?? '.', block);
        if (comparable(session) !== comparable(block.text)) text = replaceBlock(text, block, session);
      }
      const pushed = SORTS.pushed.exec(block.info);
      if (pushed) {
        const log = shown(home, await runners.push(join(home, pushed[2] ?? ''), join(home, pushed[1] ?? '')));
        if (comparable(log) !== comparable(block.text)) text = replaceBlock(text, block, log);
      }
    }
    for (const folder of manifests) await expectPlanned(home, folder);
    await expect(text).toMatchFileSnapshot(join(DOCS, page.file));
  });

  it('says so where it is not run, and what stands there is understood', () => {
    for (const block of page.blocks.filter(({ info }) => SORTS.notRun.test(info))) {
      const place = `${page.file}:${block.line}`;
      const above = page.text
        .split('\n')
        .slice(0, block.line - 1)
        .join('\n')
        .trimEnd();
      expect(above.slice(above.lastIndexOf('\n\n')), place).toContain('not run');
      const script = block.info.startsWith('console') ? commandsOf(block).join('\n') : block.text;
      if (/^(?:sh|console)/.test(block.info)) expectUnderstood(script, place);
    }
  });
});

function write(home: string, file: string, { text }: Block): void {
  const path = join(home, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  if (text.startsWith('#!')) chmodSync(path, 0o755);
}

async function runIn(home: string, folder: string, block: Block): Promise<string> {
  const dir = join(home, folder);
  mkdirSync(dir, { recursive: true });
  return shown(home, await runSession(commandsOf(block), dir, environment(home)));
}

function shown(home: string, text: string): string {
  return text.replaceAll(home, HOME).replaceAll(server.url, 'https://github.com');
}

/** What runs side by side is told in any order. */
function comparable(session: string): string {
  return normalise(session).split('\n').sort().join('\n');
}

/** Rejects when its manifest has a mistake, or a source cannot be found. */
async function expectPlanned(home: string, folder: string): Promise<void> {
  const cwd = join(home, folder);
  await runFile(join(bin, 'res'), ['plan'], { cwd, env: environment(home), timeout: 60_000 });
}

/** By the shell, and `res` by its help: commands and flags that there are. */
function expectUnderstood(script: string, place: string): void {
  execFileSync('sh', ['-n'], { input: script });
  for (const [, name = '', rest = ''] of script.matchAll(/(?<=^|\$\(|&& |; )res ([a-z]+)(.*)$/gm)) {
    expect(
      commands.map((command) => command.name),
      place,
    ).toContain(name);
    const help = execFileSync(join(bin, 'res'), [name, '--help'], { cwd: bin, encoding: 'utf8' });
    for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(help, `${place}: ${name}`).toContain(flag);
  }
}

describe('the guide', () => {
  it('has every page in its index, and the index in the README', () => {
    const linked = new Set(linksOf(readDocument(INDEX)));
    for (const { file } of PAGES) if (file !== INDEX) expect(linked).toContain(basename(file));
    expect(
      linksOf({ ...readDocument(INDEX), text: readFileSync(join(REPO_ROOT, 'README.md'), 'utf8') }),
    ).toContain(`docs/${INDEX}`);
  });

  it.each(PAGES.filter(({ file }) => file !== INDEX).map((page) => [page.file, page] as const))(
    '%s leads on to the reference',
    (_, page: Document) => {
      const links = linksOf(page).map((link) => link.replace(/#.*/, ''));
      expect(links).toEqual(expect.arrayContaining(['../cli.md', '../manifest.md']));
      expect(page.text).toContain('\n## What goes wrong\n');
    },
  );
});
