// What a manifest says when it is right: params, vars, interpolation, and the other keys of its top.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: manifests have holes
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interpolate, type Scope } from '../../src/manifest/interpolate.js';
import { readParams } from '../../src/manifest/params.js';
import { errorOf, folder, type Given, load, loadIn } from './workspace.js';

const KNOBS = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64], description: the machine }
  os-version: { default: "\${env.OS:-focal}", enum: [focal, jammy] }
  version: { default: 1.10 }
vars:
  short: "\${os-version}-\${arch}"
  kernel: { select: os-version, focal: v5.4, jammy: v5.15 }
name: "\${short} \${kernel} \${version}"
`;

function nameOf(manifest: string, given?: Given): string | undefined {
  return load(manifest, given).manifest.name;
}

describe('params', () => {
  it('have their defaults', () => {
    expect(nameOf(KNOBS)).toBe('focal-amd64 v5.4 1.10');
  });

  it('take a value from a flag before the environment, and from there before the default', () => {
    const env = { RES_PARAM_ARCH: 'arm64', RES_PARAM_OS_VERSION: 'jammy', OS: 'nothing' };
    expect(nameOf(KNOBS, { env })).toBe('jammy-arm64 v5.15 1.10');
    expect(nameOf(KNOBS, { env, set: { 'os-version': 'focal' } })).toBe('focal-arm64 v5.4 1.10');
  });

  it('have a default from the environment', () => {
    expect(nameOf(KNOBS, { env: { OS: 'jammy' } })).toBe('jammy-amd64 v5.15 1.10');
  });

  it('are text, as written', () => {
    const { paramValues } = load(
      'res: 1\nparams:\n  a: { default: 1.10 }\n  b: { default: true }\n  c: { default: 0x1F }\n',
    ).manifest;
    expect(paramValues).toEqual({ a: '1.10', b: 'true', c: '0x1F' });
  });

  it('take numbers in an enum as they are written', () => {
    const manifest =
      'res: 1\nparams:\n  v: { default: 20.10, enum: [20.04, 20.10] }\nvars:\n  c: { select: v, 20.04: focal, 20.10: groovy }\nname: ${c}\n';
    expect(nameOf(manifest)).toBe('groovy');
    expect(nameOf(manifest, { set: { v: '20.04' } })).toBe('focal');
  });

  it('refuse a value that is not allowed, with the nearest one', () => {
    expect(errorOf(() => load(KNOBS, { set: { arch: 'arm46' } }))).toMatchObject({
      code: 'param-value',
      message: 'the param `arch` cannot be `arm46`',
      hint: 'did you mean `arm64`?',
      exitStatus: 2,
    });
    expect(errorOf(() => load(KNOBS, { env: { RES_PARAM_ARCH: 'riscv' } }))).toMatchObject({
      code: 'param-value',
      message: 'RES_PARAM_ARCH: the param `arch` cannot be `riscv`',
      hint: 'it can be `amd64` or `arm64`',
    });
  });

  it('are asked for by names that exist', () => {
    expect(errorOf(() => load(KNOBS, { set: { acrh: 'arm64' } }))).toMatchObject({
      code: 'unknown-param',
      message: 'this manifest has no param `acrh`',
      hint: 'did you mean `arch`?',
    });
    expect(errorOf(() => load(KNOBS, { set: { kernel: 'v6' } })).hint).toBe(
      '`kernel` is a var; it follows from the params',
    );
    expect(errorOf(() => load('res: 1\n', { set: { constructor: 'x' } }))).toMatchObject({
      code: 'unknown-param',
      hint: 'this manifest has no params',
    });
  });

  it('must have a value', () => {
    expect(errorOf(() => load('res: 1\nparams:\n  v:\n'))).toMatchObject({
      code: 'param-value',
      message: 'the param `v` has no value',
      hint: 'give it with --v VALUE, or set RES_PARAM_V',
    });
  });

  it('are all complained about in one error, together with the manifest', () => {
    const error = errorOf(() => load(`${KNOBS}nonsense: 1\n`, { set: { arch: 'x', foo: 'y' } }));
    expect(error.code).toBe('manifest-invalid');
    expect(error.diagnostics.map(({ message }) => message)).toEqual([
      'unknown key `nonsense`',
      'the param `arch` cannot be `x`',
      'this manifest has no param `foo`',
    ]);
  });

  it('can be read before there are values, also of a manifest with mistakes', () => {
    const dir = folder({
      'resources.yaml': `${KNOBS}include: [more.yaml]\nnonsense: 1\n`,
      'more.yaml': 'res: 1\nparams:\n  extra:\n  json:\n',
    });
    expect(readParams(join(dir, 'resources.yaml'))).toEqual([
      { name: 'arch', default: 'amd64', enum: ['amd64', 'arm64'], description: 'the machine' },
      { name: 'os-version', default: '${env.OS:-focal}', enum: ['focal', 'jammy'] },
      { name: 'version', default: '1.10' },
      { name: 'extra' },
    ]);
    expect(readParams(join(folder({ 'resources.yaml': '"' }), 'resources.yaml'))).toEqual([]);
  });
});

describe('interpolation', () => {
  const value = (text: string, env = {}) =>
    load(`res: 1\nparams: { p: { default: P } }\nvars: { v: V }\nexports:\n  X: ${JSON.stringify(text)}\n`, {
      env,
    }).manifest.exports.X;

  it.each([
    ['plain', 'plain'],
    ['$ $x $$ } {', '$ $x $$ } {'],
    ['a${p}b${v}c', 'aPbVc'],
    ['$${p}', '${p}'],
    ['$$${p}', '$${p}'],
    ['${env.E}', 'e'],
    ['${env.E:-x}', 'e'],
    ['${env.EMPTY}', ''],
    ['${env.EMPTY:-x}', 'x'],
    ['${env.NO:-}', ''],
    ['${env.NO:-a${p}b}', 'aPb'],
    ['${env.NO:-${env.NO2:-${v}}}', 'V'],
    ['${env.NO:-{a}}', '{a}'],
    ['${env.NO:-$${a}}', '${a}'],
    ['${env.HOLE}', '${p}'],
  ])('of %s gives %s', (text, expected) => {
    expect(value(text, { E: 'e', EMPTY: '', HOLE: '${p}' })).toBe(expected);
  });

  it('is done in no key', () => {
    const graph = load(
      'res: 1\nparams: { p: { default: P } }\nartifacts:\n  d: { path: x }\ntargets:\n  c: { convert: d, to: raw, options: { "${p}": "${p}" } }\n',
    );
    expect(graph.nodes.get('c')?.recipe).toEqual({ convert: 'd', to: 'raw', options: { '${p}': 'P' } });
  });

  it('reaches every text of a node, and leaves the others as they are', () => {
    const graph = load(
      'res: 1\nparams: { p: { default: raw }, n: { default: 2 }, b: { default: true } }\nartifacts:\n  a: { github: { repo: "o/${p}", release: v1, asset: "${p}.*" }, description: "the ${p}" }\n' +
        'targets:\n  x: { extract: a, strip: "${n}", output: "${p}/x", executable: "${b}" }\n  c: { convert: "${env.NODE:-x}", to: "${p}", compress: true }\n',
    );
    expect(graph.nodes.get('a')).toMatchObject({
      description: 'the raw',
      recipe: { github: { repo: 'o/raw', release: 'v1', asset: 'raw.*' } },
    });
    expect(graph.nodes.get('x')).toMatchObject({
      recipe: { extract: 'a', strip: 2 },
      output: 'raw/x',
      executable: true,
    });
    expect(graph.nodes.get('c')?.recipe).toEqual({ convert: 'x', to: 'raw', compress: true });
    expect(graph.nodes.get('c')?.references).toEqual([{ role: 'in', node: 'x' }]);
  });

  it('never evaluates what a hole gives', () => {
    const text = fc.string({ unit: fc.constantFrom('$', '{', '}', 'p', 'env.E', ':-', 'a'), maxLength: 12 });
    fc.assert(
      fc.property(text, text, fc.boolean(), (before, given, byEnv) => {
        const scope: Scope = {
          env: { E: given },
          names: () => ['p'],
          lookup: (name) => (name === 'p' ? { is: 'value', value: given } : { is: 'unknown' }),
        };
        const literal = before.split('${').join('$${');
        // A `$` before the hole would make it a plain `${`.
        fc.pre(!literal.endsWith('$'));
        const fail = () => {
          throw new Error('a complaint');
        };
        expect(interpolate(`${literal}${byEnv ? '${env.E}' : '${p}'}`, scope, fail)).toBe(before + given);
      }),
    );
  });

  it('gives text or complains, whatever the text', () => {
    const text = fc.string({
      unit: fc.constantFrom('$', '{', '}', 'p', 'env.', 'E', ':-', ' ', '%'),
      maxLength: 30,
    });
    fc.assert(
      fc.property(text, (template) => {
        let complaints = 0;
        const scope: Scope = { env: {}, names: () => [], lookup: () => ({ is: 'unknown' }) };
        const result = interpolate(template, scope, () => {
          complaints += 1;
        });
        expect(result === undefined).toBe(complaints > 0);
      }),
    );
  });
});

describe('vars', () => {
  it('may be written in any order, and depend on each other and on output-dir', () => {
    const manifest = load(
      'res: 1\noutput-dir: out-${a}\nvars:\n  c: "${b}!"\n  b: "${output-dir}/${a}"\n  a: x\nname: ${c}\n',
    ).manifest;
    expect(manifest.name).toBe(`${manifest.outputDir}/x!`);
    expect(manifest.outputDir).toBe(join(manifest.dir, 'out-x'));
  });

  it('do not ask for what the chosen case does not need', () => {
    expect(
      nameOf(
        'res: 1\nparams: { p: { default: a } }\nvars:\n  v: { select: p, a: x, b: "${env.UNSET}" }\nname: ${v}\n',
      ),
    ).toBe('x');
  });
});

describe('output-dir', () => {
  it('is `resources` beside the manifest', () => {
    const { outputDir, dir } = load('res: 1\n').manifest;
    expect(outputDir).toBe(join(dir, 'resources'));
  });

  it('may be absolute, and come from the environment', () => {
    const text =
      'res: 1\noutput-dir: ${env.RESOURCES:-resources}\nexports: { GEM5_DIR: "${env.GEM5_DIR:-${output-dir}/gem5}" }\n';
    expect(load(text, { env: { RESOURCES: '/scratch/r' } }).manifest).toMatchObject({
      outputDir: '/scratch/r',
      exports: { GEM5_DIR: '/scratch/r/gem5' },
    });
  });
});

describe('mirrors', () => {
  const text = 'res: 1\nmirrors:\n  - { from: https://a.org, to: [https://b.org, http://c.org/x] }\n';

  it('come from the environment first, then from the manifest', () => {
    const env = {
      RES_MIRRORS: 'https://a.org=https://d.org/?q=1,file:///mnt ; http://x.org/=http://y.org/;',
    };
    expect(load(text, { env }).manifest.mirrors).toEqual([
      { from: 'https://a.org', to: ['https://d.org/?q=1', 'file:///mnt'] },
      { from: 'http://x.org/', to: ['http://y.org/'] },
      { from: 'https://a.org', to: ['https://b.org', 'http://c.org/x'] },
    ]);
  });

  it.each([
    ['https://a.org', 'RES_MIRRORS: `https://a.org` has no `=`'],
    ['a.org=https://b.org', 'RES_MIRRORS: `a.org` is not an http, https or file URL'],
    ['https://ann:hunter2@a.org', 'RES_MIRRORS: `https://a.org` has no `=`'],
    ['https://a.org=', 'RES_MIRRORS: `` is not an http, https or file URL'],
  ])('are refused as %s', (mirrors, message) => {
    expect(errorOf(() => load(text, { env: { RES_MIRRORS: mirrors } }))).toMatchObject({
      code: 'config-invalid',
      message,
      exitStatus: 2,
    });
  });
});

describe('a node', () => {
  const graph = () =>
    load(`res: 1
params: { v: { default: 1.0 } }
artifacts:
  a: &a
    url: https://e.org/a
    sha256: ${'AB'.repeat(32)}
    output: ./bin//a/
    executable: true
    verify: { sha256: ${'CD'.repeat(32)} }
    variants: [{ when: { v: 1.0 }, label: 2.0, state: stable, works-with: [qemu] }, { when: {} }]
    description: it
targets:
  b: { copy: a, verify: { sums: a } }
`);

  it('has its common fields apart from its recipe', () => {
    const { locate: _, ...node } = graph().nodes.get('a') ?? {};
    expect(node).toEqual({
      name: 'a',
      section: 'artifact',
      kind: 'url',
      recipe: { url: 'https://e.org/a', sha256: 'AB'.repeat(32) },
      description: 'it',
      keep: 'auto',
      output: 'bin/a',
      executable: true,
      verify: { sha256: 'cd'.repeat(32) },
      variants: [{ when: { v: '1.0' }, label: '2.0', state: 'stable', worksWith: ['qemu'] }, { when: {} }],
      references: [],
    });
  });

  it('has `sums` as its last reference', () => {
    expect(graph().nodes.get('b')?.references).toEqual([
      { role: 'in', node: 'a' },
      { role: 'sums', node: 'a' },
    ]);
  });

  it('knows where it and its fields stand', () => {
    const node = graph().nodes.get('a');
    expect(node?.locate([])).toEqual({
      file: 'resources.yaml',
      line: 4,
      column: 3,
      text: '  a: &a',
      length: 1,
    });
    expect(node?.locate(['output'])).toMatchObject({ line: 7, column: 13, length: 9 });
    expect(node?.locate(['variants', 0, 'when', 'v'])).toMatchObject({ line: 10, column: 29, length: 3 });
    expect(node?.locate(['nothing'])).toMatchObject({ line: 4, column: 3 });
    expect(graph().manifest.locate(['targets', 'b', 'copy'])).toMatchObject({ line: 13, column: 14 });
  });

  it('may be an alias of another', () => {
    const nodes = load('res: 1\nartifacts:\n  a: &x { path: p }\n  b: *x\n').nodes;
    expect(nodes.get('b')).toMatchObject({ name: 'b', kind: 'path', recipe: { path: 'p' } });
    expect(nodes.get('b')?.locate(['path'])).toMatchObject({ line: 3, column: 17 });
  });
});

describe('a section with nothing in it', () => {
  it('is as if it were not there', () => {
    const { manifest } = load(
      'res: 1\nparams:\nvars:\nartifacts:\ntargets:\ndefault:\nexports:\npools:\nmirrors:\ninclude:\nname:\n',
    );
    expect(manifest).toMatchObject({
      params: [],
      nodes: [],
      defaults: [],
      exports: {},
      pools: {},
      mirrors: [],
    });
  });
});

describe('pools', () => {
  it('are numbers, also from a param', () => {
    expect(
      load('res: 1\nparams: { n: { default: 3 } }\npools: { network: "${n}", disk: 2 }\n').manifest.pools,
    ).toEqual({ network: 3, disk: 2 });
  });
});

describe('include', () => {
  const parent =
    'res: 1\ninclude: [sub/more.yaml]\nparams: { arch: { default: amd64 } }\nartifacts:\n  a: { path: "x-${arch}-${more}" }\n';
  const more =
    'res: 1\nvars: { more: "m-${arch}" }\nartifacts:\n  b: { path: "${arch}" }\ntargets:\n  c: { merge: [a, b] }\ndefault: [c]\noutput-dir: ${env.UNSET}\n';

  it('shares nodes, params and vars both ways, and nothing else', () => {
    const graph = load({ 'resources.yaml': parent, 'sub/more.yaml': more });
    expect(graph.order).toEqual(['a', 'b', 'c']);
    expect(graph.nodes.get('a')?.recipe).toEqual({ path: 'x-amd64-m-amd64' });
    expect(graph.nodes.get('b')?.recipe).toEqual({ path: 'amd64' });
    expect(graph.manifest.defaults).toEqual([]);
    expect(graph.manifest.outputDir).toBe(join(graph.manifest.dir, 'resources'));
  });

  it('takes a file once that is included twice', () => {
    const leaf = 'res: 1\nartifacts:\n  leaf: { path: x }\n';
    const graph = load({
      'resources.yaml': 'res: 1\ninclude: [a.yaml, ./b.yaml]\n',
      'a.yaml': 'res: 1\ninclude: [leaf.yaml]\n',
      'b.yaml': 'res: 1\ninclude: [leaf.yaml]\n',
      'leaf.yaml': leaf,
    });
    expect(graph.order).toEqual(['leaf']);
  });

  const complaints = (files: Record<string, string>) =>
    errorOf(() => load(files)).diagnostics.map(({ message, hint, location }) => ({
      at: `${location?.file}:${location?.line}:${location?.column}`,
      message,
      ...(hint === undefined ? {} : { hint }),
    }));

  it('names both places of a clash', () => {
    const clashing =
      'res: 1\nparams: { arch: { default: x } }\nvars: { arch: y }\nartifacts:\n  a: { path: x }\n';
    expect(
      complaints({ 'resources.yaml': parent.replace('-${more}', ''), 'sub/more.yaml': clashing }),
    ).toEqual([
      {
        at: 'sub/more.yaml:2:11',
        message: 'there is a second param `arch`',
        hint: 'the first one is at resources.yaml:3:11',
      },
      {
        at: 'sub/more.yaml:3:9',
        message: '`arch` is a param already',
        hint: 'the first one is at resources.yaml:3:11',
      },
      {
        at: 'sub/more.yaml:5:3',
        message: 'there is a second node `a`',
        hint: 'the first one is at resources.yaml:5:3',
      },
    ]);
  });

  it('complains of cycles with all files in them', () => {
    const files = {
      'resources.yaml': 'res: 1\ninclude: [a.yaml]\n',
      'a.yaml': 'res: 1\ninclude: [b.yaml]\n',
      'b.yaml': 'res: 1\ninclude: [a.yaml]\n',
    };
    expect(complaints(files)).toEqual([
      { at: 'b.yaml:2:11', message: 'files include each other: a.yaml -> b.yaml -> a.yaml' },
    ]);
    expect(complaints({ 'resources.yaml': 'res: 1\ninclude: [resources.yaml]\n' })).toEqual([
      { at: 'resources.yaml:2:11', message: 'files include each other: resources.yaml -> resources.yaml' },
    ]);
  });

  it('complains of what is wrong in the included file, at its place', () => {
    const files = {
      'resources.yaml': 'res: 1\ninclude: [a.yaml, b.yaml, "${x}.yaml"]\nnmae: x\n',
      'a.yaml': 'artifacts:\n  x: { pth: y }\n',
      'b.yaml': '"',
    };
    expect(complaints(files)).toEqual([
      { at: 'resources.yaml:2:27', message: 'the name of an included file is not interpolated' },
      { at: 'resources.yaml:3:1', message: 'unknown key `nmae`', hint: 'did you mean `name`?' },
      {
        at: 'a.yaml:1:1',
        message: 'a manifest needs `res`',
        hint: '`res`: this version of res reads format 1',
      },
      { at: 'a.yaml:2:8', message: 'unknown key `pth`', hint: 'did you mean `path`?' },
      { at: 'b.yaml:1:1', message: 'a quote is not closed' },
    ]);
  });
});

describe('loading again', () => {
  it('sees what changed in the file', async () => {
    const { writeFileSync } = await import('node:fs');
    const dir = folder({ 'resources.yaml': 'res: 1\nname: one\n' });
    expect(loadIn(dir).manifest.name).toBe('one');
    writeFileSync(join(dir, 'resources.yaml'), 'res: 1\nname: two\n');
    expect(loadIn(dir).manifest.name).toBe('two');
  });
});
