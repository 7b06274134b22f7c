// The launcher ./res in checkouts of its own: real shell, real Node, real esbuild; only npm and the program are small.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REPO_ROOT } from './rig/places.js';

const MAIN = `import { word } from '../word.js';
console.log(word, ...process.argv.slice(2));
process.exitCode = process.argv[2] === 'fail' ? 7 : 0;
`;
/** Fills node_modules with links to the real packages, as `npm ci` fills it from the registry. */
const NPM = `#!/bin/sh
echo "$*" >> "$NPM_LOG"
if [ -n "\${NPM_FAILS:-}" ]; then mkdir -p node_modules/esbuild; echo "npm error network is down" >&2; exit 1; fi
sleep \${NPM_SLEEPS:-0}
rm -rf node_modules
mkdir -p node_modules
ln -s "$REAL/esbuild" "$REAL/@esbuild" node_modules/
case "$*" in *--include=dev*) ln -s "$REAL/vitest" node_modules/ ;; esac
cp package-lock.json node_modules/.package-lock.json
`;

let folder: string;
let root: string;
let res: string;
let env: Record<string, string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'res-launcher-'));
  root = join(folder, 'a checkout');
  res = join(root, 'res');
  await mkdir(join(root, 'src/cli'), { recursive: true });
  await mkdir(join(root, 'src/store'), { recursive: true });
  await mkdir(join(root, 'schemas'));
  await mkdir(join(folder, 'bin'));
  await copyFile(join(REPO_ROOT, 'res'), res);
  await cp(join(REPO_ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  await writeFile(join(root, 'scripts/validators.mjs'), 'export async function generateValidators() {}\n');
  await writeFile(join(root, 'scripts/web.mjs'), 'export async function generateWebAssets() {}\n');
  await writeFile(join(root, 'src/word.ts'), "export const word: string = 'hello';\n");
  await writeFile(join(root, 'src/index.ts'), "export { word } from './word.js';\n");
  await writeFile(join(root, 'src/cli/main.ts'), MAIN);
  await writeFile(join(root, 'src/store/hash-worker.ts'), '');
  await writeFile(join(root, 'package.json'), '{ "type": "module" }\n');
  await writeFile(join(root, 'package-lock.json'), await smallLock());
  await writeFile(join(folder, 'bin/npm'), NPM, { mode: 0o755 });
  env = {
    PATH: [join(folder, 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
    NPM_LOG: join(folder, 'npm.log'),
    REAL: join(REPO_ROOT, 'node_modules'),
  };
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('on first use', () => {
  it('installs without development tools, compiles, and runs the command', async () => {
    const { status, stdout, stderr } = run(res, ['two words', '*']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'hello two words *\n' });
    expect(stderr).toMatch(/^res: installing packages \(npm ci\) and compiling in .*\n$/);
    expect(await npmCalls()).toEqual(['ci --omit=dev --no-audit --no-fund --ignore-scripts --no-progress']);
  });

  it('does it once when started twice at the same time', async () => {
    env.NPM_SLEEPS = '0.5';
    const both = await Promise.all([start(['one']), start(['two'])]);
    expect(both.map(({ status, stdout }) => [status, stdout])).toEqual([
      [0, 'hello one\n'],
      [0, 'hello two\n'],
    ]);
    expect(await npmCalls()).toHaveLength(1);
  });

  it('says what npm said when npm fails, and starts over the next time', async () => {
    const failed = run(res, [], { NPM_FAILS: '1' });
    expect(failed.status).toBe(1);
    expect(failed.stdout).toBe('');
    expect(failed.stderr).toContain('npm error network is down');
    expect(failed.stderr).not.toContain('    at ');
    expect(run(res, []).stdout).toBe('hello\n');
    expect(await npmCalls()).toHaveLength(2);
  });

  it('says so when npm is missing', async () => {
    await rm(join(folder, 'bin/npm'));
    env.PATH = await pathWithout('npm');
    const { status, stderr } = run(res, []);
    expect(status).toBe(1);
    expect(stderr).toContain('npm is missing');
  });

  it('says where a source does not compile, and runs nothing', async () => {
    await writeFile(join(root, 'src/word.ts'), 'export const word = ;\n');
    const { status, stdout, stderr } = run(res, []);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('src/word.ts:1:20');
  });

  it('takes over from a first use that was killed', async () => {
    const dead = spawnSync('true').pid;
    await mkdir(join(root, 'dist/.lock'), { recursive: true });
    await writeFile(join(root, 'dist/.lock/holder'), `${hostname()} ${dead}`);
    expect(run(res, []).stdout).toBe('hello\n');
  });
});

describe('once built', () => {
  beforeEach(() => {
    expect(run(res, []).status).toBe(0);
  });

  it('needs two processes beside the program: no npm, no build, nothing on stderr', async () => {
    const log = join(folder, 'node.log');
    await writeFile(
      join(folder, 'bin/node'),
      `#!/bin/sh\necho "$*" >> ${log}\nexec '${process.execPath}' "$@"\n`,
      {
        mode: 0o755,
      },
    );
    expect(run(res, ['x'])).toMatchObject({ status: 0, stdout: 'hello x\n', stderr: '' });
    expect(await lines(log)).toEqual(['--version', `${root}/dist/cli/main.js x`]);
    expect(await npmCalls()).toHaveLength(1);
  });

  it('hands over the exit status', () => {
    expect(run(res, ['fail']).status).toBe(7);
  });

  it('runs without node_modules', async () => {
    await rm(join(root, 'node_modules'), { recursive: true });
    expect(run(res, []).stdout).toBe('hello\n');
  });

  it('is found through symlinks, relative ones too, from any folder', async () => {
    await mkdir(join(folder, 'links'));
    await symlink('../a checkout/res', join(folder, 'links/inner'));
    await symlink('inner', join(folder, 'links/outer'));
    await symlink(join(folder, 'links/outer'), join(folder, 'bin/res-by-path'));
    expect(run(join(folder, 'links/outer'), []).stdout).toBe('hello\n');
    expect(run('res-by-path', []).stdout).toBe('hello\n');
    expect(run('sh', ['res', 'x'], {}, root).stdout).toBe('hello x\n');
  });

  it('compiles again when a source changed, and installs nothing', async () => {
    await writeFile(join(root, 'src/word.ts'), "export const word = 'changed';\n");
    const { stdout, stderr } = run(res, []);
    expect(stdout).toBe('changed\n');
    expect(stderr).toMatch(/^res: compiling in .*\n$/);
    expect(await npmCalls()).toHaveLength(1);
  });

  it('compiles again after a build that failed', async () => {
    await writeFile(join(root, 'src/word.ts'), 'broken(');
    expect(run(res, []).status).toBe(1);
    expect(run(res, []).status).toBe(1);
    await writeFile(join(root, 'src/word.ts'), "export const word = 'mended';\n");
    expect(run(res, []).stdout).toBe('mended\n');
  });

  it('does not compile again for new times with the same content', async () => {
    const before = await stat(join(root, 'dist/cli/app.js'));
    const later = new Date();
    await utimes(join(root, 'src/word.ts'), later, later);
    expect(run(res, [])).toMatchObject({ stdout: 'hello\n', stderr: '' });
    expect((await stat(join(root, 'dist/cli/app.js'))).ino).toBe(before.ino);
  });

  it('looks at the times of everything that the build is made from', async () => {
    const listed = /SOURCES = \[(.*)\]/.exec(
      await readFile(join(REPO_ROOT, 'scripts/stamp.mjs'), 'utf8'),
    )?.[1];
    const names = [...(listed ?? '').matchAll(/'([^']+)'/g)].map(([, name]) => name);
    const launcher = await readFile(res, 'utf8');
    const looked = [...launcher.slice(launcher.indexOf('$(find ')).matchAll(/"\$root\/([\w.-]+)"/g)].map(
      ([, n]) => n,
    );
    expect(names.length).toBeGreaterThan(0);
    expect(looked.slice(0, names.length)).toEqual(names);
  });

  it('installs again when package-lock.json asks for other packages', async () => {
    const lock = (await smallLock()).replace(
      '"node_modules/esbuild"',
      '"node_modules/other": { "version": "1.0.0" }, "node_modules/esbuild"',
    );
    await writeFile(join(root, 'package-lock.json'), lock);
    expect(run(res, []).status).toBe(0);
    expect(await npmCalls()).toHaveLength(2);
  });

  it('keeps chunks that a running process of the former build may still load', async () => {
    const chunk = join(root, 'dist/chunks/of-before.js');
    await writeFile(chunk, '');
    await writeFile(join(root, 'src/word.ts'), "export const word = 'changed';\n");
    expect(run(res, []).status).toBe(0);
    await stat(chunk);
  });

  it('is not fooled by a source that is edited while it compiles', async () => {
    await writeFile(
      join(root, 'scripts/validators.mjs'),
      `import { writeFileSync } from 'node:fs';
       export async function generateValidators() {
         writeFileSync(new URL('../schemas/late.json', import.meta.url), '{}');
       }`,
    );
    expect(run(res, []).stderr).toContain('compiling');
    expect(run(res, []).stderr).toContain('compiling');
    expect(run(res, []).stderr).toBe('');
  });
});

describe('with the development tools installed', () => {
  it('an installation for ./res keeps them', async () => {
    expect(run('node', ['scripts/ensure.mjs'], {}, root).status).toBe(0);
    await writeFile(join(root, 'node_modules/.package-lock.json'), '{ "packages": {} }');
    await rm(join(root, 'dist'), { recursive: true });
    await mkdir(join(root, 'node_modules/vitest'), { recursive: true });
    expect(run(res, []).status).toBe(0);
    const calls = await npmCalls();
    expect(calls).toHaveLength(2);
    for (const call of calls) expect(call).toContain('--include=dev');
  });
});

describe('before the tests', () => {
  const ensure = () => run('node', ['scripts/ensure.mjs'], {}, root);

  it('nothing is installed for a package that npm left out, as what needs it is for another machine', async () => {
    expect(ensure().status).toBe(0);
    const left = '"node_modules/wasm": { "version": "1.0.0", "optional": true }, "node_modules/esbuild"';
    await writeFile(
      join(root, 'package-lock.json'),
      (await smallLock()).replace('"node_modules/esbuild"', left),
    );
    await rm(join(root, 'dist'), { recursive: true });
    expect(ensure().stderr).toMatch(/^res: compiling in /);
    expect(await npmCalls()).toHaveLength(1);
  });

  it('what ./res installed is completed with the development tools', async () => {
    expect(run(res, []).status).toBe(0);
    const dev = '"node_modules/vitest": { "version": "1.0.0", "dev": true }, "node_modules/esbuild"';
    await writeFile(
      join(root, 'package-lock.json'),
      (await smallLock()).replace('"node_modules/esbuild"', dev),
    );
    expect(run(res, []).stderr).toMatch(/^res: compiling/);
    expect(ensure().stderr).toMatch(/^res: installing packages \(npm ci\) in /);
    expect(ensure().stderr).toBe('');
    expect(await npmCalls()).toHaveLength(2);
  });
});

describe('without a Node that will do', () => {
  it('says that Node is missing and where to get it', async () => {
    env.PATH = await pathWithout('node');
    const { status, stderr } = run(res, ['--version']);
    expect(status).toBe(1);
    expect(stderr).toContain('Node.js is missing; res needs version 20.19 or newer');
    expect(stderr).toContain('https://nodejs.org');
  });

  it.each(['v18.20.4', 'v20.18.9', 'v8.0.0'])('says that %s is too old', async (version) => {
    await fakeNode(version);
    const { status, stderr } = run(res, ['--version']);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `Node.js ${version} is too old (${folder}/bin/node); res needs version 20.19 or newer`,
    );
  });

  it.each(['v20.19.0', 'v22.0.0', 'v100.1.0-nightly20300101'])('takes %s', async (version) => {
    await fakeNode(version);
    expect(run(res, ['--version']).stderr).not.toContain('too old');
  });
});

it('in an installed package there is nothing to check: what was shipped runs', async () => {
  expect(run(res, []).status).toBe(0);
  for (const name of ['src', 'scripts', 'dist/.stamp', 'node_modules', 'package-lock.json']) {
    await rm(join(root, name), { recursive: true });
  }
  expect(run(res, ['x'])).toMatchObject({ status: 0, stdout: 'hello x\n', stderr: '' });
});

it.skipIf(process.getuid?.() === 0)(
  'in a checkout that cannot be written, a build runs, and a missing one is named',
  async () => {
    await chmod(root, 0o555);
    try {
      expect(run(res, []).stderr).toContain(`${root} cannot be written`);
      await chmod(root, 0o755);
      expect(run(res, []).status).toBe(0);
      await utimes(join(root, 'src/word.ts'), new Date(), new Date());
      for (const name of ['dist', '.']) await chmod(join(root, name), 0o555);
      expect(run(res, [])).toMatchObject({ status: 0, stdout: 'hello\n', stderr: '' });
    } finally {
      for (const name of ['.', 'dist']) await chmod(join(root, name), 0o755);
    }
  },
);

function run(program: string, args: readonly string[], extra: Record<string, string> = {}, cwd = folder) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { ...env, ...extra },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

function start(
  args: readonly string[],
): Promise<{ readonly status: number | null; readonly stdout: string }> {
  const child = spawn(res, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout }));
  });
}

/** A lock file with what compiling needs, as the real one has it. */
async function smallLock(): Promise<string> {
  const lock: { packages: Record<string, unknown> } = JSON.parse(
    await readFile(join(REPO_ROOT, 'package-lock.json'), 'utf8'),
  );
  const names = Object.keys(lock.packages).filter((name) =>
    /^node_modules\/(@esbuild\/|esbuild$)/.test(name),
  );
  const packages = Object.fromEntries(
    names
      .sort()
      .reverse()
      .map((name) => [name, lock.packages[name]]),
  );
  return JSON.stringify({ lockfileVersion: 3, packages });
}

async function fakeNode(version: string): Promise<void> {
  const script = `#!/bin/sh\nif [ "$*" = --version ]; then echo ${version}; else exit 9; fi\n`;
  await writeFile(join(folder, 'bin/node'), script, { mode: 0o755 });
}

/** A PATH of one folder with everything that the launcher calls but one program. */
async function pathWithout(missing: string): Promise<string> {
  const bin = join(folder, 'few');
  await mkdir(bin);
  const programs = {
    node: process.execPath,
    sh: '/bin/sh',
    find: '/usr/bin/find',
    readlink: '/usr/bin/readlink',
  };
  for (const [name, path] of Object.entries(programs)) {
    if (name !== missing) await symlink(path, join(bin, name));
  }
  return bin;
}

async function npmCalls(): Promise<readonly string[]> {
  return lines(join(folder, 'npm.log'));
}

async function lines(file: string): Promise<readonly string[]> {
  return (await readFile(file, 'utf8')).trimEnd().split('\n');
}
