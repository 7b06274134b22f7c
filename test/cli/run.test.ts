// What a command line means, up to where the engine takes over.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { createProgram } from '../../src/cli/program.js';
import { RESERVED_FLAGS } from '../../src/manifest/params.js';
import { validator } from '../rig/schemas.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { res } from './in-process.js';
import { FakeTerminal } from './terminal.js';

const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64], description: of the machine }
  version: { default: v1 }
artifacts:
  notes: { path: "notes-\${arch}.txt" }
  kernel:
    path: notes-amd64.txt
    variants:
      - { when: { arch: amd64 }, label: one, state: stable, works-with: [qemu, gem5] }
      - { when: { arch: arm64 }, label: two, state: experimental, works-with: [qemu] }
targets:
  text: { copy: notes, output: "text-\${version}" }
  all: { group: [text, kernel] }
default: [all]
exports: { HERE: "\${output-dir}" }
`;

function workspace(): Workspace {
  return makeWorkspace({
    'resources.yaml': MANIFEST,
    'notes-amd64.txt': 'one\n',
    'notes-arm64.txt': 'two\n',
  });
}

afterEach(removeWorkspaces);

async function valueOfArch(args: readonly string[], env = {}): Promise<unknown> {
  const { stdout, stderr } = await res(['list', '--json', ...args], { cwd: workspace().dir, env });
  if (stdout === '') return stderr;
  const parsed: { params: { name: string; value: string }[] } = JSON.parse(stdout);
  return parsed.params.find(({ name }) => name === 'arch')?.value;
}

describe('a param is set', () => {
  it.each([
    ['by default', [], 'amd64'],
    ['by its flag', ['--arch', 'arm64'], 'arm64'],
    ['by its flag in one word', ['--arch=arm64'], 'arm64'],
    ['with --set', ['--set', 'arch=arm64'], 'arm64'],
    ['by the last of several', ['--arch', 'arm64', '--set', 'arch=amd64'], 'amd64'],
  ])('%s', async (_, args, value) => {
    expect(await valueOfArch(args)).toBe(value);
  });

  it('by its environment variable, and a flag wins over that', async () => {
    expect(await valueOfArch([], { RES_PARAM_ARCH: 'arm64' })).toBe('arm64');
    expect(await valueOfArch(['--arch', 'amd64'], { RES_PARAM_ARCH: 'arm64' })).toBe('amd64');
  });

  it('before the command too', async () => {
    const { stdout } = await res(['--arch', 'arm64', 'list', '--json'], { cwd: workspace().dir });
    expect(stdout).toContain('"value":"arm64"');
  });

  it('to a value that contains an equals sign', async () => {
    const { stdout } = await res(['env', '--set', 'version=a=b', '--json'], { cwd: workspace().dir });
    expect(stdout).toContain('text-a=b');
  });
});

describe('--version', () => {
  it('before a command is that of res', async () => {
    const { status, stdout } = await res(['--version'], { cwd: workspace().dir });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^res \d+\.\d+\.\d+\n$/) });
  });

  it('after a command is the param', async () => {
    const { stdout } = await res(['env', '--version', 'v0.3.0'], { cwd: workspace().dir });
    expect(stdout).toContain('text-v0.3.0');
  });
});

describe('bad usage', () => {
  it.each([
    ['an unknown command', ['statsu'], 'unknown command `statsu`', 'did you mean `status`?'],
    ['help for an unknown command', ['help', 'statsu'], 'unknown command `statsu`', 'did you mean `status`?'],
    ['a folder that is not there', ['-C', 'gone', 'status'], '-C: there is no folder', undefined],
    ['a file for a folder', ['status', '-C', 'resources.yaml'], '-C: there is no folder', undefined],
    ['an unknown flag', ['build', '--frozn'], 'unknown option `--frozn`', 'did you mean `--frozen`?'],
    ['an unknown param', ['build', '--arhc', 'x'], 'unknown option `--arhc`', 'did you mean `--arch`?'],
    ['a flag of another command', ['build', '--check'], 'unknown option `--check`', undefined],
    ['an unknown param with --set', ['list', '--set', 'arhc=x'], 'no param `arhc`', '`arch`'],
    [
      '--set without a value',
      ['list', '--set', 'arch'],
      '--set arch: a param is set as NAME=VALUE',
      undefined,
    ],
    ['a value that a param cannot have', ['list', '--arch', 'arm46'], 'cannot be `arm46`', '`arm64`'],
    ['a bad number', ['build', '-j', '0'], 'argument `0` is invalid', undefined],
    ['a bad choice', ['build', '--progress', 'fast'], 'argument `fast` is invalid', undefined],
    ['a flag without its value', ['build', '-j'], 'argument missing', undefined],
    ['a missing node', ['why'], 'missing required argument `NODE`', undefined],
    ['too many nodes', ['why', 'a', 'b'], 'too many arguments', undefined],
    ['an unknown node', ['status', 'txet'], 'no node is called `txet`', '`text`'],
    ['an unknown template', ['init', 'gme5'], 'there is no template gme5', '`gem5`'],
    [
      'no shell',
      ['completion'],
      'needs the name of a shell',
      'bash`, `res completion zsh` or `res completion fish',
    ],
    ['a manifest where none is needed', ['init', '-f', 'x'], 'unknown option `-f`', undefined],
    ['a flag that a plan has no use for', ['plan', '-j', '2'], 'unknown option `-j`', undefined],
    ['an unknown shell', ['completion', 'bsh'], 'there is no completion for bsh', '`bash`'],
  ])('%s', async (_, args, message, hint) => {
    const { status, stdout, stderr } = await res(args, { cwd: workspace().dir });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(message);
    if (hint !== undefined) expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it('no command at all gets the help, on stderr', async () => {
    const { status, stdout, stderr } = await res([], { cwd: workspace().dir });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: res COMMAND/);
  });
});

describe('help', () => {
  it('names every command', async () => {
    const { status, stdout } = await res(['--help'], { cwd: workspace().dir });
    expect(status).toBe(0);
    for (const { name } of commands) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  });

  it('of a command has its flags, and the params with values and default under a heading of their own', async () => {
    for (const args of [
      ['build', '--help'],
      ['help', 'build'],
    ]) {
      const { stdout } = await res(args, { cwd: workspace().dir });
      expect(stdout).toContain('--keep-going');
      expect(stdout).toMatch(
        /Params of the manifest:\n +--arch <VALUE> +of the machine \(amd64, arm64; default: amd64\)/,
      );
    }
  });

  it('of each command has its own flags first, then the common ones', async () => {
    for (const { name, flags, manifest } of commands) {
      const { stdout } = await res([name, '--help'], { cwd: workspace().dir });
      const groups = [...stdout.matchAll(/^(Options|Common flags|Params of the manifest):$/gm)];
      expect([name, ...groups.map(([, group]) => group)]).toEqual([
        name,
        ...(flags.some((flag) => flag !== 'matrix') ? ['Options'] : []),
        'Common flags',
        ...(manifest ? ['Params of the manifest'] : []),
      ]);
    }
  });

  it('fits into 80 columns', async () => {
    for (const args of [[], ...commands.map(({ name }) => [name])]) {
      const { stdout } = await res([...args, '--help'], { cwd: workspace().dir });
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    }
  });
});

describe('a manifest that cannot be read', () => {
  const broken = () => makeWorkspace({ 'resources.yaml': 'res: 1\ntargets: { a: { merge: b } }\nparams: [' });

  it.each([[['--help']], [['build', '--help']], [['completion', 'bash']], [['--version']]])(
    'does not break res %j',
    async (args) => {
      expect(await res(args, { cwd: broken().dir })).toMatchObject({ status: 0, stderr: '' });
    },
  );

  it('is a finding of doctor', async () => {
    const { status, stdout } = await res(['doctor', '--offline'], { cwd: broken().dir });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fail {2}manifest +resources\.yaml has \d+ errors?: resources\.yaml:\d+:/m);
  });

  it('is told instead of a param flag that it would have declared', async () => {
    const { status, stderr } = await res(['build', '--arch', 'arm64'], { cwd: broken().dir });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^resources\.yaml:\d+:\d+: error: /);
    expect(stderr).not.toContain('--arch');
  });

  it('that is not there is named, with what to do', async () => {
    const { dir } = makeWorkspace({});
    const { status, stderr } = await res(['status'], { cwd: dir });
    expect(status).toBe(2);
    expect(stderr).toContain(`no resources.yaml in ${dir} or above it`);
    expect(stderr).toContain('res init');
  });
});

describe('the manifest is found', () => {
  it('from a folder below', async () => {
    const space = workspace();
    mkdirSync(space.path('a/b'), { recursive: true });
    expect((await res(['list'], { cwd: space.path('a/b') })).status).toBe(0);
  });

  it('with -C and with -f, before the command and after it', async () => {
    const { dir } = workspace();
    for (const args of [
      ['-C', dir, 'list'],
      ['list', '-C', dir],
      ['list', '-f', `${dir}/resources.yaml`],
      ['-C', dir, '-f', 'resources.yaml', 'list', '--arch', 'arm64'],
    ]) {
      expect(await res(args, { cwd: '/' })).toMatchObject({ status: 0, stderr: '' });
    }
  });
});

it('no param can take the name of a flag of res', () => {
  const host = { stdout: new FakeTerminal(), stderr: new FakeTerminal() };
  const program = createProgram([], [], host, async () => undefined);
  const flags = [program, ...program.commands].flatMap(({ options }) =>
    options.flatMap(({ long }) => long?.slice(2) ?? []),
  );
  for (const flag of flags) if (flag !== 'version') expect([...RESERVED_FLAGS]).toContain(flag);
});

describe('an error with --json', () => {
  const check = validator('error');

  it.each(commands.filter(({ flags }) => flags.includes('json')).map(({ name }) => name))(
    'of %s is an object on stdout and words on stderr, with the same status',
    async (name) => {
      const { dir } = workspace();
      const words = await res([name, '--arhc', 'x'], { cwd: dir });
      const { status, stdout, stderr } = await res([name, '--json', '--arhc', 'x'], { cwd: dir });
      expect(check(JSON.parse(stdout))).toEqual([]);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        error: { code: 'usage', message: 'unknown option `--arhc`', hint: 'did you mean `--arch`?' },
      });
      expect({ status, stdout: '', stderr }).toEqual(words);
    },
  );

  it('has the places of all mistakes in a manifest', async () => {
    const { dir } = makeWorkspace({ 'resources.yaml': 'res: 1\nnmae: x\ntargets: { a: { merge: b } }\n' });
    const { status, stdout } = await res(['--color', 'never', 'status', '--json'], { cwd: dir });
    expect(status).toBe(2);
    expect(check(JSON.parse(stdout))).toEqual([]);
    expect(JSON.parse(stdout)).toMatchObject({
      error: {
        code: 'manifest-invalid',
        diagnostics: [
          { location: { file: 'resources.yaml', line: 2, column: 1 }, hint: 'did you mean `name`?' },
          { location: { line: 3 } },
        ],
      },
    });
  });

  it('is the last line behind the events, on stdout with --json and in place of the words without', async () => {
    const space = workspace();
    space.write('resources/text-v1', 'mine\n');
    const both = await res(['build', '--json', '--progress', 'json'], { cwd: space.dir });
    const last = both.stdout.trimEnd().split('\n').at(-1) ?? '';
    expect(validator('events')(JSON.parse(last))).toEqual([]);
    expect(JSON.parse(last)).toMatchObject({ ok: false, error: { code: 'output-foreign' } });
    expect(both.stderr).toMatch(/^error: /);
    const { status, stdout, stderr } = await res(['build', '--progress=json'], { cwd: space.dir });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line))
        .at(-1),
    ).toEqual(JSON.parse(last));
  });

  it('is not for commands and words that are not about it', async () => {
    const { dir } = workspace();
    expect((await res(['log', '--json'], { cwd: dir })).stdout).toBe('');
    expect((await res(['status', '--', '--json'], { cwd: dir })).stdout).toBe('');
  });
});

describe('what went wrong the last time', () => {
  const broken = () =>
    makeWorkspace({
      'resources.yaml':
        'res: 1\nartifacts: { a: { path: a } }\ntargets: { b: { decompress: a, output: b } }\n',
      a: 'no gzip',
    });

  it('is in status in a line, and whole in why and show', async () => {
    const { dir } = broken();
    await res(['build', '-q'], { cwd: dir });
    const { stdout } = await res(['status'], { cwd: dir });
    const line = /last run failed: (.+)$/m.exec(stdout)?.[1] ?? '';
    expect(line).not.toBe('');
    expect((await res(['why', 'b'], { cwd: dir })).stdout).toContain(`last run failed: ${line}`);
    expect((await res(['show', 'b'], { cwd: dir })).stdout).toMatch(/^last run failed, .* UTC\n {9}\S/m);
    const why = JSON.parse((await res(['why', 'b', '--json'], { cwd: dir })).stdout);
    expect(why).toMatchObject({ state: 'failed', error: expect.stringContaining(line) });
    expect(validator('why')(why)).toEqual([]);
    const show = JSON.parse((await res(['show', 'b', '--json'], { cwd: dir })).stdout);
    expect(show).toMatchObject({ last_run: { status: 'failed', error: why.error } });
  });
});

describe('plan', () => {
  it('says of an output that a build would stop at, and succeeds', async () => {
    const space = workspace();
    space.write('resources/text-v1', 'mine\n');
    const { status, stdout } = await res(['plan'], { cwd: space.dir });
    expect(status).toBe(0);
    expect(stdout).toContain(
      'a build would stop: resources/text-v1 was not made by res; --overwrite replaces it\n',
    );
    const json = async (...more: string[]) =>
      JSON.parse((await res(['plan', '--json', ...more], { cwd: space.dir })).stdout).blocked;
    expect(await json()).toEqual([{ node: 'text', path: space.path('resources/text-v1'), is: 'foreign' }]);
    expect(await json('--overwrite')).toEqual([]);
    await res(['build', '--overwrite'], { cwd: space.dir });
    space.write('resources/text-v1', 'mine again\n');
    expect((await res(['plan'], { cwd: space.dir })).stdout).toContain('was changed by hand');
  });
});

it('--frozen says once what to do about several missing entries', async () => {
  const { dir } = makeWorkspace({
    'resources.yaml': 'res: 1\nartifacts: { a: { url: "file:a" }, b: { url: "file:b" } }\n',
  });
  const { stderr } = await res(['build', '--frozen'], { cwd: dir });
  expect(stderr).toMatch(/^error: a: .*\n {2}b: .*\n {2}hint: .*without --frozen.*\n$/);
});

describe('commands that only look', () => {
  it('graph of a node has the states that the whole graph has', async () => {
    const { dir } = makeWorkspace({
      'resources.yaml':
        'res: 1\nartifacts: { a: { path: a } }\ntargets:\n  mid: { merge: [a, a] }\n  out: { merge: [mid], output: out }\n  all: { group: [out] }\ndefault: [all]\n',
      a: 'a',
    });
    await res(['build', '-q'], { cwd: dir });
    const states = async (...names: string[]) => {
      const { nodes } = JSON.parse((await res(['graph', '--json', ...names], { cwd: dir })).stdout);
      return nodes.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`);
    };
    expect(await states()).toEqual(['a fresh', 'mid fresh', 'out fresh', 'all fresh']);
    expect(await states('mid')).toEqual(['a fresh', 'mid fresh']);
    expect(await states('all')).toEqual(await states());
  });

  it('list has the support table', async () => {
    const { stdout } = await res(['list', '--arch', 'arm64'], { cwd: workspace().dir });
    expect(stdout).toMatch(/^\* +kernel +arm64 +two +experimental +qemu$/m);
  });

  it('env is evaluated by a shell to absolute paths, also from another folder', async () => {
    const space = workspace();
    const { stdout } = await res(['env'], { cwd: '/', env: {} }).then(() =>
      res(['-C', space.dir, 'env'], { cwd: '/' }),
    );
    const got = execFileSync('sh', ['-c', `${stdout}\nprintf '%s %s' "$HERE" "$RES_TEXT"`], {
      encoding: 'utf8',
    });
    expect(got).toBe(`${space.path('resources')} ${space.path('resources/text-v1')}`);
  });

  it('status --check is 3 when something asked for is not fresh', async () => {
    const { dir } = workspace();
    expect(await res(['status', '--check', '-q'], { cwd: dir })).toMatchObject({ status: 3, stdout: '' });
    expect(await res(['status'], { cwd: dir })).toMatchObject({ status: 0 });
  });

  it('log of a node that left none says so', async () => {
    const { status, stderr } = await res(['log', 'text'], { cwd: workspace().dir });
    expect(status).toBe(1);
    expect(stderr).toContain('there is no log of text');
  });

  it('graph in each format', async () => {
    const { dir } = workspace();
    for (const [format, begins] of [
      ['text', 'all  group'],
      ['dot', 'digraph res {'],
      ['mermaid', 'flowchart LR'],
      ['json', '{"nodes":['],
    ]) {
      const { status, stdout } = await res(['graph', '--format', format ?? ''], { cwd: dir });
      expect(status).toBe(0);
      expect(stdout.startsWith(begins ?? '')).toBe(true);
    }
  });
});

describe('build', () => {
  it('refuses with --for what does not work with it, before anything is done, and names what does', async () => {
    const space = workspace();
    const { status, stderr } = await res(['build', '--arch', 'arm64', '--for', 'gem5'], { cwd: space.dir });
    expect(status).toBe(2);
    expect(stderr).toContain('not known to work with gem5');
    expect(stderr).toContain('--arch amd64');
    expect(space.exists('.res')).toBe(false);
  });

  it('warns once of what is experimental', async () => {
    const { stderr } = await res(['build', '--arch', 'arm64'], { cwd: workspace().dir });
    expect(stderr.match(/warning: experimental for arch=arm64: kernel \(two\)/g)).toHaveLength(1);
  });

  it('answers on stdout: one line, one object, or the events', async () => {
    const { dir } = workspace();
    expect((await res(['build'], { cwd: dir })).stdout).toMatch(/^1 ran, .*; \d+ ms\n$/);
    expect((await res(['build'], { cwd: dir })).stdout).toBe('up to date\n');
    expect(JSON.parse((await res(['build', '--json'], { cwd: dir })).stdout)).toMatchObject({
      ok: true,
      ran: [],
    });
    const { stdout, stderr } = await res(['build', '-B', '--json', '--progress', 'json'], { cwd: dir });
    const types = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line).type);
    expect(types.at(-1)).toBe('summary');
    expect(stderr).toBe('');
  });

  it('sends events to stderr when only the progress is to be JSON', async () => {
    const { stdout, stderr } = await res(['build', '--progress', 'json'], { cwd: workspace().dir });
    expect(stdout).toMatch(/^1 ran/);
    for (const line of stderr.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
  });

  it('is silent with -q', async () => {
    expect(await res(['build', '-q'], { cwd: workspace().dir })).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });

  it('with -n is plan, and touches nothing', async () => {
    const space = workspace();
    const { stdout } = await res(['build', '-n'], { cwd: space.dir });
    expect(stdout).toBe((await res(['plan'], { cwd: space.dir })).stdout);
    expect(stdout).toContain('text');
    expect(space.exists('.res')).toBe(false);
    expect(space.exists('resources')).toBe(false);
  });
});

it('a download is named by its file, or by how many there are', async () => {
  const { dir } = makeWorkspace({
    'resources.yaml':
      'res: 1\nartifacts:\n  one: { url: "file:a.img" }\n  two: { parts: [{ url: "file:a.img" }, { url: "file:b.img" }] }\n',
    'a.img': 'a',
    'b.img': 'b',
  });
  const { stderr } = await res(['build'], { cwd: dir });
  expect(stderr).toContain('one: downloading a.img\n');
  expect(stderr).toContain('two: downloading 2 files\n');
});

it('what is fresh before a build is counted without what streams', async () => {
  const { dir } = makeWorkspace({
    'resources.yaml':
      'res: 1\nartifacts: { a: { path: a.txt } }\ntargets: { m: { merge: a }, n: { merge: m, output: n } }\n',
    'a.txt': 'a',
  });
  const { stderr, stdout } = await res(['build'], { cwd: dir });
  expect(stderr).toMatch(/^2 to run, 0 to restore, 1 fresh$/m);
  expect(stdout).toMatch(/^2 ran, 1 fresh; /);
});

it('several errors at once are all told, each with its hint', async () => {
  const { stderr } = await res(['list', '--arch', 'arm46', '--set', 'versoin=x'], { cwd: workspace().dir });
  expect(stderr.split('\n')).toEqual([
    'error: the param `arch` cannot be `arm46`',
    '  hint: did you mean `arm64`?',
    'error: this manifest has no param `versoin`',
    '  hint: did you mean `version`?',
    '',
  ]);
});

describe('doctor', () => {
  it('says how a qemu-img that does not run ended', async () => {
    const space = workspace();
    mkdirSync(space.path('bin'));
    space.write('bin/qemu-img', '#!/bin/sh\nexit 3\n');
    chmodSync(space.path('bin/qemu-img'), 0o755);
    const env = { PATH: space.path('bin') };
    const { status, stdout } = await res(['doctor', '--offline'], { cwd: space.dir, env });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fail {2}qemu-img +.*bin\/qemu-img does not run: exit status 3$/m);
  });

  it('says whether there is a lock', async () => {
    const space = makeWorkspace({
      'resources.yaml': 'res: 1\nartifacts: { a: { url: "file:a" } }\n',
      a: 'a',
    });
    const lock = async () =>
      /^ok {4}lock +(.*)$/m.exec((await res(['doctor', '--offline'], { cwd: space.dir })).stdout)?.[1];
    expect(await lock()).toBe('there is no resources.lock.yaml yet');
    await res(['build', '-q'], { cwd: space.dir });
    expect(await lock()).toBe('1 source in resources.lock.yaml');
  });

  it('shows no secret', async () => {
    const env = { GITHUB_TOKEN: 'ghp_secret', HTTPS_PROXY: 'http://ann:hunter2@proxy.example.org:3128' };
    const { stdout } = await res(['doctor', '--offline'], { cwd: workspace().dir, env });
    expect(stdout).toMatch(/^ok {4}token +GITHUB_TOKEN is set$/m);
    expect(stdout).toMatch(/^ok {4}proxy +proxy\.example\.org:3128 for api\.github\.com$/m);
    expect(stdout).not.toMatch(/ghp_secret|hunter2/);
  });

  it('tries the file system and leaves nothing behind', async () => {
    const space = workspace();
    const before = execFileSync('ls', ['-A', space.dir], { encoding: 'utf8' });
    const { stdout } = await res(['doctor', '--offline'], { cwd: space.dir });
    expect(stdout).toMatch(/sparse files: (?:yes|no); clones \(reflink\): (?:yes|no)/);
    expect(execFileSync('ls', ['-A', space.dir], { encoding: 'utf8' })).toBe(before);
  });

  it('with --fix installs qemu-img, after saying how', async () => {
    const space = workspace();
    mkdirSync(space.path('bin'));
    symlinkSync('/bin/sh', space.path('bin/sh'));
    const qemu = '#!/bin/sh\\necho qemu-img version 9.1.0';
    space.write(
      'bin/dnf',
      `#!/bin/sh\nprintf '${qemu}\\n' > '${space.path('bin/qemu-img')}'\n/bin/chmod +x '${space.path('bin/qemu-img')}'\n`,
    );
    chmodSync(space.path('bin/dnf'), 0o755);
    const env = { PATH: space.path('bin') };
    const before = await res(['doctor', '--offline'], { cwd: space.dir, env });
    expect(before.stdout).toMatch(/qemu-img +not on PATH; this manifest does not need it/);
    const { status, stdout, stderr } = await res(['doctor', '--fix', '--offline'], { cwd: space.dir, env });
    expect(stderr).toContain('dnf install -y qemu-img');
    expect(stdout).toMatch(/^ok {4}qemu-img +9\.1\.0/m);
    expect(status).toBe(0);
  });
});
