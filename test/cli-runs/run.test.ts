// The kind `run` as a user meets it: real programs, real namespaces, and what goes wrong with them.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findSandbox } from '../../src/execute/sandbox.js';
import { isRunning, type RunResult } from '../rig/cli.js';
import { withWitness } from '../rig/witness.js';
import { openScene, type Scene } from './engine-scene.js';
import { expectFailed } from './site.js';

const hasSandbox = (await findSandbox(process.env)) !== undefined;

/** A manifest of targets alone, as YAML lines. */
function targets(...lines: readonly string[]): string {
  return `res: 1\ntargets:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function output(scene: Scene, name: string): string {
  return readFileSync(scene.work.path('resources', name), 'utf8');
}

function rewrite(scene: Scene, from: string, to: string): void {
  const text = readFileSync(scene.work.path('resources.yaml'), 'utf8');
  expect(text).toContain(from);
  writeFileSync(scene.work.path('resources.yaml'), text.replaceAll(from, to));
}

const scratches = (scene: Scene) =>
  existsSync(scene.work.path('.res/run'))
    ? readdirSync(scene.work.path('.res/run')).filter((name) => !name.startsWith('.'))
    : [];

describe('a program', () => {
  it('is given its inputs and leaves its output', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts:
  parts: { path: "parts/*" }
targets:
  all: { run: "cat \${in.parts} \${in.end} > \${out}; test -x \${in.tool}", inputs: { parts: parts, end: ./end.txt, tool: ./tool }, output: all.txt }
  listed: { run: [sh, -c, 'ls "$1" > "$2"', sh, "\${in.tree}", "\${out}"], inputs: { tree: ./tree }, output: listed }
`,
      'parts/b': 'B\n',
      'parts/a': 'A\n',
      'end.txt': 'end\n',
      'tree/one': '',
      'tree/two': '',
      tool: '#!/bin/sh\n',
    });
    chmodSync(scene.work.path('tool'), 0o755);
    await scene.built();
    expect(output(scene, 'all.txt')).toBe('A\nB\nend\n');
    expect(output(scene, 'listed')).toBe('one\ntwo\n');
    expect(scratches(scene)).toEqual([]);
    expect(scene.temporaries()).toEqual([]);
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('may leave a directory, whose content is hashed once', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `tree: { run: "mkdir -p \${out}/sub; for n in 1 2 3 4; do head -c 1000000 /dev/urandom > \${out}/sub/$n; done", output: tree }`,
      ),
    });
    const cold = withWitness();
    await scene.built([], { env: cold.env });
    expect(cold.testimony().hashedBytes).toBeGreaterThan(4_000_000);
    expect(cold.testimony().hashedBytes).toBeLessThan(6_000_000);
    const next = withWitness();
    expect((await scene.run(['build'], { env: next.env })).stdout).toBe('up to date\n');
    expect(next.testimony().hashedBytes).toBeLessThan(1_000_000);
    for (const witness of [cold, next]) witness.remove();
  });

  it('has a clean environment, a home and a temporary folder of its own', async () => {
    const scene = openScene(
      {
        'resources.yaml': targets(
          `env: { run: "env > \${out}; touch $HOME/x $TMPDIR/y", env: { OWN: "of \${out}" }, output: env }`,
        ),
      },
      { SECRET: 'no', LANG: 'de_DE', TMPDIR: '/tmp' },
    );
    await scene.built();
    const names = output(scene, 'env').replace(/=.*/g, '').trim().split('\n');
    expect(names.filter((name) => !['_', 'SHLVL', 'OLDPWD'].includes(name)).sort()).toEqual([
      'HOME',
      'LANG',
      'OWN',
      'PATH',
      'PWD',
      'TMPDIR',
    ]);
    const scratch = scene.work.path('.res/run/env');
    expect(output(scene, 'env')).toContain(`OWN=of ${scratch}/out\n`);
    expect(output(scene, 'env')).toContain(`HOME=${scratch}/.home\n`);
    expect(output(scene, 'env')).toContain('LANG=C.UTF-8\n');
  });

  it('finds nothing but its inputs, and does not reach what they were taken from', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `made: { run: "echo made > \${out}" }`,
        `try: { run: "find . -type f > \${out}; for f in \${in}; do chmod u+w $f; echo changed >> $f || true; done", inputs: { made: made, own: ./own.txt }, cwd: sub, output: try }`,
        `again: { run: "cat \${in} > \${out}", inputs: { made: made }, output: again }`,
      ),
      'own.txt': 'own\n',
      'other.txt': '',
    });
    await scene.built();
    expect(output(scene, 'try')).toBe('');
    expect(scene.work.text('own.txt')).toBe('own\n');
    expect(output(scene, 'again')).toBe('made\n');
  });

  it('is seen with -v, and its output is in the log', async () => {
    const scene = openScene({ 'resources.yaml': targets(`a: { run: "echo told; echo x > \${out}" }`) });
    const { stderr } = await scene.run(['build', 'a', '-v']);
    expect(stderr).toMatch(/^a \| told$/m);
    expect((await scene.run(['log', 'a'])).stdout).toMatch(/^\$ sh -eu -c .*\n(\(no sandbox.*\n)?told\n$/s);
  });

  it('may name one output of a node that has several', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `two: { run: "mkdir b; echo 1 > b/one; echo 22 > two.txt", outputs: { one: b/one, two: two.txt } }`,
        `copied: { copy: "two:two", output: copied }`,
        `joined: { merge: ["two:two", "two:one", two], output: joined }`,
        `read: { run: "cat \${in.x} > \${out}; cat \${in.y} >> \${out}", inputs: { x: "two:one", y: two }, output: read }`,
      ),
    });
    await scene.built();
    expect(output(scene, 'b/one')).toBe('1\n');
    expect(output(scene, 'copied')).toBe('22\n');
    expect(output(scene, 'joined')).toBe('22\n1\n1\n22\n');
    expect(output(scene, 'read')).toBe('1\n1\n22\n');
    const { outputs } = await scene.node('two');
    expect(outputs.map(({ path }) => path)).toEqual([
      scene.work.path('resources/b/one'),
      scene.work.path('resources/two.txt'),
    ]);
    expect(JSON.parse((await scene.run(['env', '--json'])).stdout)).toMatchObject({
      RES_TWO_ONE: scene.work.path('resources/b/one'),
      RES_TWO_TWO: scene.work.path('resources/two.txt'),
    });
    // Only what reads the output that has changed is made again.
    rewrite(scene, 'echo 1 > b/one', 'echo one > b/one');
    expect((await scene.built(['copied'])).ran).toEqual(['two']);
    expect((await scene.built()).ran).toEqual(['joined', 'read']);
    // One of them may be accepted as somebody has made it.
    scene.work.write('resources/two.txt', 'mine\n');
    expect((await scene.node('two')).state).toBe('modified');
    expect((await scene.built(['copied', '--as-is'])).ran).toEqual(['copied']);
    expect(output(scene, 'copied')).toBe('mine\n');
    expect(output(scene, 'b/one')).toBe('one\n');
    // What is gone comes back.
    await scene.run(['clean', 'two']);
    expect(existsSync(scene.work.path('resources/b/one'))).toBe(false);
    await scene.built(['two']);
    expect(output(scene, 'b/one')).toBe('one\n');
    expect((await scene.run(['verify'])).status).toBe(0);
  });
});

describe('what makes it run again', () => {
  it('is another command, another input, another version of a tool, and nothing else', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `a: { run: "tool; head -c 1 \${in.x} > \${out}", inputs: { x: ./x.txt }, tools: [tool], output: a }`,
        `b: { run: "cat \${in.a} > \${out}", inputs: { a: a }, output: b }`,
      ),
      'x.txt': '1a',
      'bin/tool': '#!/bin/sh\necho tool 1.0\n',
    });
    chmodSync(scene.work.path('bin/tool'), 0o755);
    const env = { PATH: `${scene.work.path('bin')}:${process.env.PATH}` };
    expect((await scene.built([], { env })).ran).toEqual(['a', 'b']);
    // The same first byte: what is made of it is left alone.
    scene.work.write('x.txt', '1b');
    expect((await scene.built([], { env })).ran).toEqual(['a']);
    writeFileSync(scene.work.path('bin/tool'), '#!/bin/sh\necho tool 2.0 \n');
    expect((await scene.status([], { env })).get('a')?.reasons).toEqual([
      { code: 'tool-changed', detail: 'tool: tool 1.0 -> tool 2.0' },
    ]);
    expect((await scene.built([], { env })).ran).toEqual(['a']);
    rewrite(scene, '  a: {', '  a: { timeout: 1m, cpus: 7, memory: 1M, description: d,');
    expect((await scene.built([], { env })).ran).toEqual([]);
    rewrite(scene, 'head -c 1', 'head -c 2');
    expect((await scene.built([], { env })).ran).toEqual(['a', 'b']);
    writeFileSync(scene.work.path('bin/tool'), '#!/bin/sh\nexit 1\n', { mode: 0o644 });
    chmodSync(scene.work.path('bin/tool'), 0o644);
    rewrite(scene, 'head -c 2', 'head -c 3');
    expectFailed(await scene.run(['build', 'a'], { env }), [/failed: a: tool: not installed/]);
  });

  it('is a file in a folder, and the name of one in a list', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts:
  list: { path: "list/*" }
targets:
  a: { run: "find \${in.d} | wc -l > \${out}", inputs: { d: ./dir }, output: a }
  b: { run: "basename \${in.l} > \${out}", inputs: { l: list }, output: b }
`,
      'dir/x': '',
      'list/one': 'same',
    });
    await scene.built();
    expect(output(scene, 'b')).toBe('one\n');
    mkdirSync(scene.work.path('dir/empty'));
    expect((await scene.built()).ran).toEqual(['a']);
    expect(output(scene, 'a').trim()).toBe('3');
    await scene.work.write('list/two', 'same');
    await scene.run(['clean']);
    const { renameSync } = await import('node:fs');
    renameSync(scene.work.path('list/two'), scene.work.path('list/one'));
    renameSync(scene.work.path('list/one'), scene.work.path('list/other'));
    expect((await scene.status()).get('b')?.reasons).toEqual([
      { code: 'input-changed', detail: 'names of list: one -> other' },
    ]);
    await scene.built();
    expect(output(scene, 'b')).toBe('other\n');
  });
});

describe('a directory as output', () => {
  const MANIFEST = `res: 1
params:
  flavour: { default: sweet, enum: [sweet, sour] }
targets:
  tree:
    run: |
      mkdir -p \${out}/d/empty
      echo \${flavour} > \${out}/d/file
      echo 'echo hi' > \${out}/prog; chmod 755 \${out}/prog
      chmod 444 \${out}/d/file; chmod 555 \${out}/d
      ln -s d/file \${out}/link; ln \${out}/prog \${out}/twin
    output: tree
  seen: { run: "cat \${in.t}/link > \${out}", inputs: { t: tree }, output: seen }
`;
  const shape = (scene: Scene) => {
    const at = (...parts: string[]) => scene.work.path('resources/tree', ...parts);
    return {
      entries: readdirSync(at(), { recursive: true }).sort(),
      file: readFileSync(at('d/file'), 'utf8'),
      link: readlinkSync(at('link')),
      programs: ['prog', 'twin', 'd/file'].filter((name) => (statSync(at(name)).mode & 0o100) !== 0),
      names: lstatSync(at('prog')).nlink,
    };
  };
  const sweet = {
    entries: ['d', 'd/empty', 'd/file', 'link', 'prog', 'twin'],
    file: 'sweet\n',
    link: 'd/file',
    programs: ['prog', 'twin'],
    names: 1,
  };

  it('is kept, exchanged for another variant and brought back without work', async () => {
    const scene = openScene({ 'resources.yaml': MANIFEST });
    await scene.built();
    expect(shape(scene)).toEqual(sweet);
    expect((await scene.built(['--flavour', 'sour'])).ran).toEqual(['tree', 'seen']);
    expect(shape(scene)).toEqual({ ...sweet, file: 'sour\n' });
    expect((await scene.built()).restored).toEqual(['tree', 'seen']);
    expect(shape(scene)).toEqual(sweet);
    expect((await scene.run(['verify'])).status).toBe(0);
    chmodSync(scene.work.path('resources/tree/prog'), 0o644);
    expect((await scene.node('tree')).state).toBe('modified');
    expect((await scene.run(['verify'])).status).toBe(1);
    chmodSync(scene.work.path('resources/tree/prog'), 0o755);
    await scene.run(['clean']);
    expect(existsSync(scene.work.path('resources'))).toBe(false);
  });
});

describe('a program that fails', () => {
  let scene: Scene;
  let result: RunResult;
  const failures: readonly (readonly [name: string, line: string, words: readonly (string | RegExp)[]])[] = [
    ['status', `run: "echo said; exit 3"`, ['sh failed with exit status 3', '| said']],
    ['signal', 'run: [sh, -c, "kill -SEGV $$"]', ['sh was ended by SIGSEGV']],
    ['late', 'run: [sleep, 60], timeout: 0.2s', ['sleep took longer than 0.2 s and was stopped']],
    [
      'missing',
      'run: "mkdir b; echo > b/other; echo > x", outputs: { a: b/a, x: x }',
      ['left no b/a', 'there is x, b/other'],
    ],
    ['link', `run: "ln -s /etc/hosts \${out}"`, ['the output out is a link, to /etc/hosts']],
    [
      'escape',
      `run: "mkdir -p \${out}/d; ln -s ../../x \${out}/d/l"`,
      ['the output out/d/l is a link out of the output, to ../../x'],
    ],
    ['fifo', `run: "mkfifo \${out}"`, ['the output out is neither a file nor a directory']],
    ['absent', 'run: [no-such-program]', ['the program no-such-program is not installed']],
    ['large', 'run: "true", memory: 99T', [/needs .* of memory, and this machine has/]],
  ];

  beforeAll(async () => {
    // Opened by hand: a scene of its own is closed after each test.
    const { makeWorkspace } = await import('../rig/workspace.js');
    const { sceneIn } = await import('./engine-scene.js');
    const lines = failures.map(([name, line]) => `${name}: { ${line} }`);
    scene = sceneIn(makeWorkspace({ 'resources.yaml': targets(...lines) }), {});
    result = await scene.run(['build', '-k', ...failures.map(([name]) => name)]);
  });

  it.each(failures)('says how: %s', (name, _, words) => {
    const start = result.stderr.indexOf(`failed: ${name}:`);
    const told = result.stderr.slice(start).split(/\nfailed: /)[0] ?? '';
    for (const word of words) expect(told).toMatch(word);
    expectFailed(result, words);
    const isRun = name !== 'large';
    if (isRun) expect(told).toContain(`Its scratch directory is kept: .res/run/${name}`);
    expect(existsSync(scene.work.path('.res/run', name))).toBe(isRun);
  });

  it('has its scratch directory removed by gc, and by a build that goes well', async () => {
    rewrite(scene, 'exit 3', `echo x > \${out}`);
    await scene.built(['status']);
    expect(scratches(scene)).not.toContain('status');
    expect(scratches(scene)).toContain('signal');
    const { stdout } = await scene.run(['gc']);
    expect(stdout).toContain('scratch directories');
    expect(scratches(scene)).toEqual([]);
    await scene.run(['build', 'signal']);
    expect(scratches(scene)).toEqual(['signal']);
    await scene.run(['clean', '--all']);
    expect(scratches(scene)).toEqual([]);
    scene.work.remove();
  });
});

it('an input folder cannot be one that a build writes to', async () => {
  const scene = openScene({
    'resources.yaml': targets(`a: { run: "ls \${in.x} > \${out}", inputs: { x: ./ } }`),
  });
  expectFailed(await scene.run(['build', 'a']), [/in that folder res keeps its records/], 2);
});

describe.skipIf(!hasSandbox)('in a sandbox', () => {
  it('nothing of the workspace is seen that was not declared, nor of its store and outputs', async () => {
    const scene = openScene(
      {
        'resources.yaml': targets(
          `dep: { run: "echo dep > \${out}", output: dep }`,
          `a: { run: "cat WORK/secret", inputs: { d: dep } }`,
          `b: { run: "ls STORE WORK WORK/resources || true; echo > WORK/new || true; echo x > \${out}", inputs: { d: dep } }`,
          `c: { run: "own > \${out}", output: c }`,
        ),
        secret: '',
        'bin/own': '#!/bin/sh\necho own\n',
      },
      { RES_STORE: undefined },
    );
    const store = openScene({ 'cas/aa/x': '' });
    chmodSync(scene.work.path('bin/own'), 0o755);
    rewrite(scene, 'WORK', scene.work.dir);
    rewrite(scene, 'STORE', store.work.dir);
    // Programs on PATH are seen wherever they lie.
    const env = { RES_STORE: store.work.dir, PATH: `${scene.work.path('bin')}:${process.env.PATH}` };
    expectFailed(await scene.run(['build', 'a'], { env }), [/secret: No such file/]);
    await scene.built(['b', 'c'], { env });
    const log = (await scene.run(['log', 'b'], { env })).stdout;
    expect(log).not.toMatch(/secret|cas|dep\n/);
    expect(scene.work.exists('new')).toBe(false);
    expect(output(scene, 'c')).toBe('own\n');
    // Without, all of it is there.
    expect((await scene.run(['build', 'a', '--sandbox', 'off'], { env })).stderr).toContain('left no out');
    expect((await scene.run(['log', 'a'], { env })).stdout).toContain('(no sandbox');
  });

  it('large inputs are mounted to be read only', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `a: { run: "wc -c < \${in.big} > \${out}; echo x >> \${in.big} || echo refused >> \${out}", inputs: { big: ./big }, output: a }`,
      ),
      big: Buffer.alloc(17 * 1024 * 1024),
    });
    await scene.built();
    expect(output(scene, 'a')).toMatch(/^\s*17825792\nrefused\n$/);
    expect(statSync(scene.work.path('big')).size).toBe(17825792);
  });

  it('network: false leaves no network', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const connect = `"${process.execPath}", -e, "require('node:net').connect(${port}, '127.0.0.1').on('connect', () => { require('node:fs').writeFileSync('out', 'met'); process.exit() })"`;
    const scene = openScene({
      'resources.yaml': targets(
        `with: { run: [${connect}] }`,
        `without: { run: [${connect}], network: false }`,
      ),
    });
    try {
      await scene.built(['with']);
      expectFailed(await scene.run(['build', 'without']), [/ECONNREFUSED|ENETUNREACH/]);
    } finally {
      server.close();
    }
  });

  it('res killed leaves nothing running, whatever the program has done to stay', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `a: { run: "setsid sh -c 'trap \\"\\" TERM INT HUP; touch WORK-up; sleep 987' & sleep 987" }`,
      ),
    });
    const flag = join(scene.work.dir, '..', `${scene.work.dir.split('/').at(-1)}-up`);
    rewrite(scene, 'WORK-up', flag);
    const run = scene.start(['build', 'a']);
    await eventually(() => existsSync(flag));
    const inside = processes(scene.work.path('.res/run/a'));
    expect(inside.length).toBeGreaterThan(1);
    run.signal('SIGKILL');
    await run.result;
    await eventually(() => inside.every((pid) => !isRunning(pid)));
    const { rmSync } = await import('node:fs');
    rmSync(flag);
  });

  it('require goes with one, and fails before any work where none works', async () => {
    const scene = openScene({
      'resources.yaml': targets(
        `first: { merge: own, output: first }`,
        `a: { run: "cat \${in} > \${out}", inputs: { first: first } }`,
      ).replace('targets:', 'artifacts:\n  own: { path: own.txt }\ntargets:'),
      'own.txt': 'own\n',
    });
    // Programs, but none that makes a sandbox.
    mkdirSync(scene.work.path('bin'));
    for (const name of ['sh', 'touch']) symlinkSync(`/bin/${name}`, scene.work.path('bin', name));
    const bare = { env: { PATH: scene.work.path('bin') } };
    expectFailed(await scene.run(['build', 'a', '--sandbox', 'require'], bare), [
      /a sandbox is required, and none works here/,
      /bubblewrap/,
    ]);
    expect(scene.work.exists('resources/first')).toBe(false);
    // What needs none is built all the same.
    await scene.built(['first', '--sandbox', 'require'], bare);
    const mistaken = await scene.run(['build', 'a'], { env: { RES_SANDBOX: 'perhaps' } });
    expectFailed(mistaken, [/RES_SANDBOX is perhaps/], 2);
    await scene.built(['a', '--sandbox', 'require']);
    const doctor = await scene.run(['doctor', '--offline'], bare);
    expect(doctor.stdout).toMatch(/^warn\s+sandbox\s+none works here/m);
    expect((await scene.run(['doctor', '--offline'])).stdout).toMatch(/^ok\s+sandbox\s+\w/m);
  });
});

describe('an interrupted build', () => {
  it.each(['auto', 'off'])(
    'stops the program and leaves no scratch directory (--sandbox %s)',
    async (how) => {
      const scene = openScene({ 'resources.yaml': targets(`a: { run: "sleep 986 & echo up; sleep 986" }`) });
      const run = scene.start(['build', 'a', '-v', '--sandbox', how]);
      await run.printed('| up');
      const inside = processes(scene.work.path('.res/run/a'));
      const asked = performance.now();
      run.signal('SIGINT');
      expect((await run.result).status).toBe(130);
      // The grace of a program that does not listen is 3 s.
      expect(performance.now() - asked).toBeLessThan(2500);
      await eventually(() => inside.every((pid) => !isRunning(pid)));
      expect(scratches(scene)).toEqual([]);
    },
  );
});

/** Processes whose working directory it is. */
function processes(folder: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`) === folder ? [Number(name)] : [];
    } catch {
      // It has ended.
      return [];
    }
  });
}

async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(holds()).toBe(true);
}
