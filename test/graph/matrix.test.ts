// Several combinations of params in one graph: what is the same in several of them is one node, what differs has a name that
// tells it apart, and each combination is in it as it would be alone.
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { loadGraph } from '../../src/graph/load.js';
import type { Matrix } from '../../src/graph/matrix.js';
import { namedNodes, selectNodes } from '../../src/graph/select.js';
import { checkVariants } from '../../src/graph/variants.js';
import type { Graph } from '../../src/model/graph.js';
import { plainName } from '../../src/model/node.js';
import { references } from '../../src/plan/registry.js';
import { complaintsOf, errorOf, load } from '../manifest/workspace.js';
import { makeWorkspace } from '../rig/workspace.js';

const PARAMS = `params:
  arch: { default: amd64, enum: [amd64, arm64] }
  os: { default: focal, enum: [focal, jammy] }
`;
const ALL: Matrix = { arch: ['amd64', 'arm64'], os: ['focal', 'jammy'] };

/** `<arch>` is `${arch}`. */
function holes(text: string): string {
  return text.replace(/<(\w+)>/g, `\${$1}`);
}

function united(nodes: string, matrix: Matrix = ALL): Graph {
  return load(holes(`res: 1\n${PARAMS}${nodes}`), { kinds: references, matrix });
}

function complaints(nodes: string, matrix: Matrix = ALL): string {
  return complaintsOf(holes(`res: 1\n${PARAMS}${nodes}`), { kinds: references, matrix });
}

describe('the names of nodes', () => {
  const scene = () =>
    united(`artifacts:
  tool: { path: tool }
  client: { path: "client-<arch>" }
  disk: { path: "disk-<os>-<arch>" }
targets:
  kernel: { merge: [client, tool], output: "kernel-<arch>" }
  image: { merge: [disk, tool], output: "<os>/<arch>", verify: { sums: client } }
  all: { group: [kernel, image, same] }
  same: { copy: tool, output: tool }
default: [all]
`);

  it('have just the params that tell them apart', () => {
    const graph = scene();
    expect([...graph.nodes.keys()]).toEqual([
      'tool',
      'client@arch=amd64',
      'client@arch=arm64',
      'disk@arch=amd64,os=focal',
      'disk@arch=amd64,os=jammy',
      'disk@arch=arm64,os=focal',
      'disk@arch=arm64,os=jammy',
      'kernel@arch=amd64',
      'kernel@arch=arm64',
      'image@arch=amd64,os=focal',
      'image@arch=amd64,os=jammy',
      'image@arch=arm64,os=focal',
      'image@arch=arm64,os=jammy',
      'all@arch=amd64,os=focal',
      'all@arch=amd64,os=jammy',
      'all@arch=arm64,os=focal',
      'all@arch=arm64,os=jammy',
      'same',
    ]);
  });

  it('stand in recipes, references and defaults', () => {
    const graph = scene();
    const image = graph.nodes.get('image@arch=arm64,os=jammy');
    expect(image?.recipe).toEqual({ merge: ['disk@arch=arm64,os=jammy', 'tool'] });
    expect(image?.verify).toEqual({ sums: 'client@arch=arm64' });
    expect(image?.references).toEqual([
      { role: 'in', node: 'disk@arch=arm64,os=jammy' },
      { role: 'in', node: 'tool' },
      { role: 'sums', node: 'client@arch=arm64' },
    ]);
    expect(graph.manifest.defaults).toHaveLength(4);
    expect(graph.manifest.paramValues).toEqual({ arch: 'amd64,arm64', os: 'focal,jammy' });
  });

  it('are typed whole, or for all combinations or some', () => {
    const graph = scene();
    expect(namedNodes(graph, ['kernel'])).toEqual(['kernel@arch=amd64', 'kernel@arch=arm64']);
    expect(namedNodes(graph, ['image@os=jammy'])).toEqual([
      'image@arch=amd64,os=jammy',
      'image@arch=arm64,os=jammy',
    ]);
    expect(namedNodes(graph, ['image@os=jammy,arch=arm64'])).toEqual(['image@arch=arm64,os=jammy']);
    expect(namedNodes(graph, ['tool@arch=arm64', 'same'])).toEqual(['tool', 'same']);
    expect(selectNodes(graph, ['all@arch=arm64,os=focal'])).toEqual([
      'kernel@arch=arm64',
      'image@arch=arm64,os=focal',
      'same',
    ]);
  });

  it.each([
    ['kernl', 'did you mean `kernel`?'],
    ['kernl@arch=arm64', 'did you mean `kernel`?'],
    ['kernel@arch=arm46', 'did you mean `kernel@arch=arm64`?'],
    ['kernel@', /kernel@arch=amd64/],
    ['kernel@arch=amd64,arch=arm64', /kernel@arch=amd64/],
  ])('%s is none', (name, hint) => {
    const error = errorOf(() => namedNodes(scene(), [name]));
    expect(error.message).toBe(`no node is called \`${name}\``);
    expect(error.hint).toMatch(hint);
  });

  it('with @ need --matrix', () => {
    const single = united('artifacts: { tool: { path: tool } }\n', {});
    expect(errorOf(() => namedNodes(single, ['tool@arch=arm64'])).hint).toMatch('with --matrix');
  });

  it('are plain where every value is one', () => {
    const one = united('artifacts:\n  a: { path: "a-<arch>" }\n', {
      arch: ['arm64'],
      os: ['focal', 'jammy'],
    });
    expect([...one.nodes.keys()]).toEqual(['a']);
    expect(one.nodes.get('a')?.recipe).toEqual({ path: 'a-arm64' });
  });

  it('can be names of files, whatever the values', () => {
    const text = 'res: 1\nparams: { v: { default: x } }\nartifacts:\n  a: { path: "a-<v>" }\n';
    const graph = load(holes(text), { kinds: references, matrix: { v: ['a/../b', 'ä b', '1.10'] } });
    expect([...graph.nodes.keys()]).toEqual(['a@v=a%2F..%2Fb', 'a@v=%C3%A4%20b', 'a@v=1.10']);
    const long = errorOf(() =>
      load(holes(text), { kinds: references, matrix: { v: ['x'.repeat(201), 'y'] } }),
    );
    expect(long.code).toBe('usage');
    expect(long.message).toMatch('too long a name');
  });
});

describe('variants', () => {
  it('are looked up for every combination of a shared node', () => {
    const graph = united(`artifacts:
  a:
    path: a
    variants:
      - { when: { arch: amd64, os: focal }, state: stable }
      - { when: { arch: arm64 }, state: experimental, works-with: [qemu] }
`);
    expect(checkVariants(graph, ['a'])).toEqual([
      'nobody has tried arch=amd64 os=jammy: a',
      'experimental for arch=arm64: a',
    ]);
    expect(errorOf(() => checkVariants(graph, ['a'], 'gem5')).code).toBe('variant-unsupported');
  });
});

describe('an output path of several nodes', () => {
  it.each([
    ['output: disk.img', 'output: "disk-<arch>-<os>.img"'],
    ["output: 'a/b.tar.gz'", 'output: "a/b-<arch>-<os>.tar.gz"'],
    ['output: "disk-<os>"', 'output: "disk-<os>-<arch>"'],
    ['output: "<os>.d/disk"', 'output: "<os>.d/disk-<arch>"'],
  ])('%s', (written, right) => {
    const said = complaints(
      `artifacts:\n  d: { path: "<arch><os>" }\ntargets:\n  t:\n    copy: d\n    ${written}\n`,
    );
    expect(said).toMatch(/would be the output of `t@/);
    expect(said).toContain(holes(right));
    // What it says to write is right.
    united(`artifacts:\n  d: { path: "<arch><os>" }\ntargets:\n  t:\n    copy: d\n    ${right}\n`);
  });

  it('is told of each node, with what tells those of one path apart', () => {
    const said = complaints(
      'artifacts:\n  d: { path: "<arch>" }\ntargets:\n  t: { copy: d, output: t }\n  u: { copy: d, output: u }\n',
    );
    expect(said.match(/error: /g)).toHaveLength(2);
    expect(said).toContain(holes('output: "t-<arch>"'));
    expect(said).not.toContain('os');
  });

  it.each([
    ['t: { copy: d, output: "t-<arch>" }', 'u: { copy: d, output: "t-<other>" }'],
    ['t: { copy: d, output: "t-<arch>" }', 'u: { copy: d, output: "t-<other>/u" }'],
  ])('is told of two names too', (one, two) => {
    const vars = 'vars: { other: { select: arch, amd64: arm64, arm64: amd64 } }\n';
    const nodes = `${vars}artifacts:\n  d: { path: "<arch>" }\ntargets:\n  ${one}\n  ${two}\n`;
    expect(() => united(nodes, {})).not.toThrow();
    expect(complaints(nodes)).toMatch(/`t@arch=arm64`[\s\S]*begin them with different words/);
  });

  it('is none where the nodes are one', () => {
    expect(united('artifacts:\n  d: { url: "https://example.org/d", output: d }\n').nodes.size).toBe(1);
  });
});

describe('a manifest that', () => {
  it('has another output-dir for other values is refused', () => {
    const text = `output-dir: "out/<arch>"\nartifacts: { d: { path: d } }\n`;
    expect(complaints(text)).toMatch(/one output-dir.*arch=arm64[\s\S]*put \$\{arch\} into the `output`/);
  });

  it('is wrong for some values says for which', () => {
    const text = 'vars: { x: { select: os, focal: a } }\nartifacts: { d: { path: "<x>" } }\n';
    const open = text.replace('res: 1\n', '');
    const params = 'res: 1\nparams: { os: { default: focal } }\n';
    const said = complaintsOf(holes(params + open), {
      kinds: references,
      matrix: { os: ['focal', 'jammy'] },
    });
    expect(said).toMatch(/no case for `jammy`.*, with os=jammy/);
  });

  it('is wrong whatever the values says it once', () => {
    const said = complaints('artifacts: { d: { pth: d } }\n');
    expect(said.match(/error: /g)).toHaveLength(1);
    expect(said).not.toContain('with arch');
  });

  it('has too many combinations is refused before it is read', () => {
    const values = Array.from({ length: 40 }, (_, i) => String(i));
    const error = errorOf(() => united('artifacts: { d: { path: d } }\n', { arch: values, os: values }));
    expect(error.message).toMatch('1600 combinations');
  });

  it.each([
    [{ arhc: ['a', 'b'] }, 'unknown-param', 'did you mean `arch`?'],
    [{ arch: ['amd64', 'arm46'] }, 'param-value', 'did you mean `arm64`?'],
  ])('has no %j says so as for a flag', (matrix, code, hint) => {
    const error = errorOf(() => united('artifacts: { d: { path: d } }\n', matrix));
    expect([error.code, error.hint]).toEqual([code, hint]);
  });
});

describe('any manifest', () => {
  const work = makeWorkspace('');
  afterAll(() => rmSync(work.dir, { recursive: true, force: true }));

  it('has each combination in it as it would be alone, and no node twice', () => {
    const hole = fc.constantFrom('', '<p>', '<q>', '<r>', '<p><r>', '<v>');
    const node = fc.record({ hole, inputs: fc.uniqueArray(fc.nat(7), { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 8 }), (nodes) => {
        const targets = nodes.map(({ hole, inputs }, i) => {
          const below = inputs.filter((input) => input < i).map((input) => `n${input}`);
          const merged = below.length === 0 ? ['s'] : below;
          return `  n${i}: { merge: [${merged.join(', ')}], description: "${hole}" }`;
        });
        work.write(
          'resources.yaml',
          holes(
            `res: 1\nparams: { p: { default: a }, q: { default: a }, r: { default: a } }\nvars: { v: { select: p, a: one, b: one, c: two } }\nartifacts: { s: { path: s } }\ntargets:\n${targets.join('\n')}\n`,
          ),
        );
        const load = (set: Record<string, string>, matrix: Matrix) =>
          loadGraph({
            file: work.path('resources.yaml'),
            cwd: work.dir,
            set,
            env: {},
            kinds: references,
            matrix,
          });
        const matrix = { p: ['a', 'b', 'c'], q: ['a', 'b'], r: ['x', 'y'] };
        const graph = load({}, matrix);
        const rank = new Map(graph.order.map((name, i) => [name, i]));
        const seen = new Set<string>();
        for (const p of matrix.p)
          for (const q of matrix.q)
            for (const r of matrix.r) {
              const alone = load({ p, q, r }, {});
              const key = JSON.stringify({ p, q, r });
              for (const node of alone.nodes.values()) {
                const found = [...graph.nodes.values()].filter(
                  (each) =>
                    plainName(each.name) === node.name &&
                    each.combinations?.some((values) => JSON.stringify(values) === key),
                );
                expect(found).toHaveLength(1);
                const [own] = found;
                expect(own?.description).toBe(node.description);
                expect(own?.references.map((each) => plainName(each.node))).toEqual(
                  node.references.map((each) => each.node),
                );
                for (const { node: input } of own?.references ?? []) {
                  expect(rank.get(input)).toBeLessThan(rank.get(own?.name ?? '') ?? -1);
                  expect(
                    graph.nodes.get(input)?.combinations?.some((values) => JSON.stringify(values) === key),
                  ).toBe(true);
                }
              }
            }
        for (const { name, description, references } of graph.nodes.values()) {
          const identity = JSON.stringify([plainName(name), description, references]);
          expect(seen).not.toContain(identity);
          seen.add(identity);
        }
      }),
      { numRuns: 40 },
    );
  });
});
