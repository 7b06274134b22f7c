// What a recipe of `run` says before anything runs: what it reads, what decides its result, the command that it comes to.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makingOf } from '../../src/kinds/kind.js';
import { run } from '../../src/kinds/run.js';
import type { JsonObject } from '../../src/model/json.js';

const SCRATCH = '/scratch';

function programOf(recipe: JsonObject) {
  const making = makingOf(run, recipe);
  if (making.by !== 'running') throw new Error(making.by);
  return making.program(recipe);
}

/** The command with one file an input, at the places that the program says. */
function commandOf(recipe: JsonObject, scratch = SCRATCH) {
  const program = programOf(recipe);
  return program.command({
    inputs: program.inputs.map((place) => [`${scratch}/${place}`]),
    outputs: program.outputs.map(({ path }) => `${scratch}/${path}`),
  });
}

const key = (recipe: JsonObject) => JSON.stringify(run.keyed(recipe));

describe('inputs', () => {
  it('are nodes, outputs of nodes, and files of the workspace', () => {
    const inputs = { a: 'node', b: 'node:out.x', c: './conf/a.txt', d: 'conf/', e: '../up', f: '/etc/os' };
    expect(run.references({ run: 'true', inputs })).toEqual([
      { role: 'in.a', node: 'node', path: ['inputs', 'a'] },
      { role: 'in.b', node: 'node', item: 'out.x', path: ['inputs', 'b'] },
      file('c', './conf/a.txt', 'conf/a.txt'),
      file('d', './conf', 'conf'),
      file('e', '../up', '../up'),
      file('f', '/etc/os', '/etc/os'),
    ]);
    function file(name: string, node: string, path: string) {
      const implies = { section: 'artifact', kind: 'path', recipe: { path, literal: true } };
      return { role: `in.${name}`, node, path: ['inputs', name], implies };
    }
  });

  it('lie by their names, files of the workspace with the ending of theirs', () => {
    const inputs = { a: 'node', src: './main.c', 'b.c': './b.c', dir: './d.d/' };
    expect(programOf({ run: 'true', inputs }).inputs).toEqual(['in/a', 'in/src.c', 'in/b.c', 'in/dir.d']);
  });

  it('cannot lie at one place', () => {
    expect(() => run.check?.({ run: 'true', inputs: { a: './x.c', 'a.c': './y.c' } })).toThrow('in/a.c');
  });
});

describe('the command', () => {
  it('is run by sh -eu as a text, and as it is as a list', () => {
    expect(commandOf({ run: 'make' }).argv).toEqual(['sh', '-eu', '-c', 'make']);
    expect(commandOf({ run: ['make', '-j', 2] }).argv).toEqual(['make', '-j', '2']);
  });

  it('has paths for its holes', () => {
    const inputs = { a: 'x', b: './y.c' };
    const outputs = { one: 'o/1', two: 'o2' };
    expect(
      commandOf({ run: ['p', `\${in.a}`, `--b=\${in.b}`, `\${out.one}`], inputs, outputs }).argv,
    ).toEqual(['p', '/scratch/in/a', '--b=/scratch/in/b.c', '/scratch/o/1']);
    expect(commandOf({ run: `cp \${in} \${out}`, inputs }).argv[3]).toBe(
      'cp /scratch/in/a /scratch/in/b.c /scratch/out',
    );
    expect(commandOf({ run: ['p'], inputs, env: { A: `<\${in.a}>`, N: 1, T: true } }).env).toEqual({
      A: '</scratch/in/a>',
      N: '1',
      T: 'true',
    });
  });

  it('has a word for each file where a hole is a word', () => {
    const program = programOf({ run: ['cat', `\${in.a}`], inputs: { a: 'x' } });
    const { argv } = program.command({ inputs: [['/s/1', '/s/2']], outputs: [] });
    expect(argv).toEqual(['cat', '/s/1', '/s/2']);
  });

  it('leaves what interpolation was told to leave', () => {
    expect(commandOf({ run: `echo $\${HOME} $\${in} $HOME $(x)` }).argv[3]).toBe(
      `echo \${HOME} \${in} $HOME $(x)`,
    );
  });

  it.each([
    [`ls \${in.a}`, "ls '/it'\\''s $here/in/a'"],
    [`ls "\${in.a}"`, 'ls "/it\'s \\$here/in/a"'],
    [`ls '\${in.a}'`, "ls '/it'\\''s $here/in/a'"],
    [`ls \\"\${in.a}`, "ls \\\"'/it'\\''s $here/in/a'"],
  ])('is right in a folder of any name: %s', (script, expected) => {
    expect(commandOf({ run: script, inputs: { a: 'x' } }, "/it's $here").argv[3]).toBe(expected);
  });

  it('finds the folders of outputs that it is told of, and no others', () => {
    const { outputs } = programOf({ run: `cp x \${out.a}`, outputs: { a: 'a/a', b: 'b/b' } });
    expect(outputs).toEqual([
      { name: 'a', path: 'a/a', isTold: true },
      { name: 'b', path: 'b/b', isTold: false },
    ]);
  });
});

describe('the key', () => {
  const recipe = { run: 'x', inputs: { a: 'n', b: './f.c' }, outputs: { o: 'o' }, env: { E: '1' }, cwd: 'w' };

  it.each<[string, JsonObject]>([
    ['the command', { run: 'y' }],
    ['a command without a shell', { run: ['x'] }],
    ['the name of an input', { inputs: { c: 'n', b: './f.c' } }],
    ['the ending of a file', { inputs: { a: 'n', b: './f.h' } }],
    ['where an output lies', { outputs: { o: 'p' } }],
    ['the name of an output', { outputs: { p: 'o' } }],
    ['the environment', { env: { E: '2' } }],
    ['where it starts', { cwd: '.' }],
    ['the network', { network: false }],
  ])('has %s', (_, change) => {
    expect(key({ ...recipe, ...change })).not.toBe(key(recipe));
  });

  it('has nothing of names of nodes and files, nor of what the machine is to give', () => {
    const change = { inputs: { a: 'm', b: './g.c' }, timeout: '1m', cpus: 2, memory: '1G', tools: ['cc'] };
    expect(key({ ...recipe, ...change })).toBe(key(recipe));
  });
});

it('takes what it asks for of the machine', () => {
  expect(run.demand?.({ run: 'x' })).toEqual({ cpus: 1 });
  expect(run.demand?.({ run: 'x', cpus: 3, memory: '2G' })).toEqual({ cpus: 3, memory: 2 * 1024 ** 3 });
});

it.each([
  ['30', 30_000],
  ['0.5s', 500],
  ['10m', 600_000],
  ['2h', 7_200_000],
])('a timeout of %s is %d ms', (timeout, ms) => {
  expect(programOf({ run: 'x', timeout }).timeoutMs).toBe(ms);
});

it('a path is one word of a shell, whatever is in it', async () => {
  const { execFileSync } = await import('node:child_process');
  const quotes = fc.constantFrom('', '"', "'");
  const name = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !/[\0\n]/.test(text));
  fc.assert(
    fc.property(fc.array(fc.tuple(quotes, name), { minLength: 4, maxLength: 4 }), (cases) => {
      const script = cases.map(([quote]) => `printf '%s\\n' ${quote}\${in.a}${quote}`);
      const printed = cases.map(([, folder], i) => {
        const { argv } = commandOf({ run: script[i] ?? '', inputs: { a: 'x' } }, `/${folder}`);
        return argv[3] ?? '';
      });
      const out = execFileSync('sh', ['-c', printed.join('\n')], { encoding: 'utf8' });
      expect(out).toBe(cases.map(([, folder]) => `/${folder}/in/a\n`).join(''));
    }),
    { numRuns: 25 },
  );
});
