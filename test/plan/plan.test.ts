// What is known before anything is done: the state of every node, why, what a build would do, and from what on.
import { readdirSync, rmSync, symlinkSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { planBuild } from '../../src/execute/build.js';
import { criticalPaths } from '../../src/execute/priority.js';
import { selectNodes } from '../../src/graph/select.js';
import type { NodePlan, Step } from '../../src/model/plan.js';
import { explain } from '../../src/plan/explain.js';
import { planFusion } from '../../src/plan/fusion.js';
import { planNodes } from '../../src/plan/plan.js';
import { LastRuns } from '../../src/plan/record.js';
import { type Engine, openEngine } from '../execute/engine.js';
import { removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const MANIFEST = `res: 1
artifacts:
  packed: { path: packed.gz }
  words: { path: words.txt }
targets:
  plain: { decompress: packed }
  joined: { merge: [plain, words] }
  out: { merge: [joined, words], output: out.txt }
  other: { merge: [words, words], output: other.txt }
default: [out, other]
`;
const open = (manifest = MANIFEST): Engine =>
  openEngine({ 'resources.yaml': manifest, 'words.txt': 'words\n', 'packed.gz': gzipSync('packed\n') });

const inShort = ({ state, reasons }: NodePlan) => [
  state,
  ...reasons.map(({ code, detail }) => `${code} ${detail}`.trim()),
];
const steps = (all: readonly Step[]) =>
  all.map(({ node, work, through }) => [work, ...through, node].join(' '));

/** Every node in short, and the steps. */
async function look(engine: Engine, names: readonly string[] = [], force = false) {
  const plan = await engine.plan(names, { force });
  const nodes = Object.fromEntries([...plan.nodes].map(([name, node]) => [name, inShort(node)]));
  return { nodes, steps: steps(plan.steps) };
}

describe('a plan', () => {
  it('of what was never built runs everything, and makes what only passes through on the way', async () => {
    const engine = open();
    const { nodes, steps } = await look(engine);
    expect(nodes).toEqual({
      packed: ['fresh'],
      words: ['fresh'],
      plain: ['stale', 'never-built'],
      joined: ['stale', 'never-built', 'input-stale plain'],
      out: ['stale', 'never-built', 'input-stale joined'],
      other: ['stale', 'never-built'],
    });
    expect(steps).toEqual(['execute plain joined out', 'execute other']);
    // To look makes nothing.
    expect(readdirSync(engine.work.dir).sort()).toEqual(['packed.gz', 'resources.yaml', 'words.txt']);
  });

  it('of what is built has nothing to do: intermediates that nobody needs are fresh, though they are not there', async () => {
    const engine = open();
    await engine.build();
    const plan = await engine.plan();
    expect([...plan.nodes.values()].map(({ state }) => state)).toEqual(Array(6).fill('fresh'));
    expect(plan.steps).toEqual([]);
    expect(plan.nodes.get('joined')).toMatchObject({ present: false, reasons: [] });
    expect(plan.nodes.get('joined')?.content).toHaveLength(1);
    expect(plan.nodes.get('out')).toMatchObject({ present: true });
    expect(plan.nodes.get('out')?.outputs).toMatchObject([
      { path: engine.work.path('resources/out.txt'), size: 19 },
    ]);
  });

  it('of an intermediate that is asked for by name makes it', async () => {
    const engine = open();
    await engine.build();
    expect(await look(engine, ['joined'])).toEqual({
      nodes: {
        packed: ['fresh'],
        words: ['fresh'],
        plain: ['fresh'],
        joined: ['stale', 'output-missing its bytes are gone'],
      },
      steps: ['execute plain joined'],
    });
  });

  it('of a changed input says so, and blames it for what is above', async () => {
    const engine = open();
    await engine.build();
    engine.work.write('packed.gz', gzipSync('other\n'));
    const { nodes, steps } = await look(engine);
    expect(nodes.plain).toEqual([
      'stale',
      expect.stringMatching(/^input-changed packed: sha256:\w{8}… -> sha256:\w{8}…$/),
    ]);
    expect(nodes.joined).toEqual(['stale', 'input-stale plain']);
    expect(nodes.out).toEqual(['stale', 'input-stale joined']);
    expect(nodes.other).toEqual(['fresh']);
    expect(steps).toEqual(['execute plain joined out']);
  });

  it('of a changed recipe names the field, before and after', async () => {
    const engine = open();
    await engine.build();
    engine.work.write(
      'resources.yaml',
      MANIFEST.replace('decompress: packed', 'decompress: packed, format: gzip'),
    );
    const plan = await engine.plan();
    expect(plan.nodes.get('plain')?.reasons).toEqual([
      {
        code: 'recipe-changed',
        detail: 'format: not set -> gzip',
        subject: 'format',
        was: 'not set',
        now: 'gzip',
      },
    ]);
  });

  it('of an output that is gone makes it from what is nearest', async () => {
    const engine = open();
    await engine.build();
    rmSync(engine.work.path('resources/out.txt'));
    const { nodes, steps } = await look(engine);
    expect(nodes.out).toEqual(['stale', 'output-missing its file is gone']);
    expect(nodes.other).toEqual(['fresh']);
    expect(steps).toEqual(['execute plain joined out']);
  });

  it('of content that is at hand puts it back, without work', async () => {
    const engine = open(
      `${MANIFEST.replace('default: [out, other]', '')}  twin: { copy: other, output: twin.txt }\n`,
    );
    await engine.build();
    rmSync(engine.work.path('resources/other.txt'));
    const { nodes, steps } = await look(engine);
    expect(nodes.other).toEqual(['cached', 'output-missing its file is gone']);
    expect(steps).toEqual(['restore other']);
  });

  it('of an output that somebody wrote to, or that was there before, says which', async () => {
    const engine = open();
    engine.work.write('resources/other.txt', 'mine');
    await engine.build(['out']);
    engine.work.write('resources/out.txt', 'mine');
    const { nodes } = await look(engine);
    expect(nodes.out).toEqual(['modified', 'output-modified changed by hand']);
    expect(nodes.other).toEqual(['modified', 'output-modified not made by res']);
    rmSync(engine.work.path('resources/out.txt'));
    symlinkSync('../words.txt', engine.work.path('resources/out.txt'));
    expect((await look(engine)).nodes.out?.[0]).toBe('modified');
  });

  it('with force runs every action of the closure, and nothing beside it', async () => {
    const engine = open();
    await engine.build();
    const { nodes, steps } = await look(engine, ['out'], true);
    expect(nodes).toMatchObject({
      words: ['fresh'],
      plain: ['stale', 'forced asked for'],
      out: ['stale', 'forced asked for'],
    });
    expect(steps).toEqual(['execute plain joined out']);
  });

  it('counts a failure of the present recipe as failed, and of another one not', async () => {
    const engine = open();
    engine.work.write('packed.gz', 'not compressed');
    await engine.build([], { keepGoing: true });
    expect((await look(engine)).nodes).toMatchObject({
      plain: ['failed', expect.anything()],
      out: ['stale', expect.anything(), expect.anything()],
    });
    engine.work.write('packed.gz', gzipSync('packed\n'));
    expect((await engine.node('plain', [])).state).toBe('stale');
  });

  it('knows by its trace what has another name now, and lies elsewhere', async () => {
    const engine = open();
    await engine.build();
    engine.work.write(
      'resources.yaml',
      MANIFEST.replaceAll('joined', 'renamed').replace('other.txt', 'moved.txt'),
    );
    const { nodes, steps } = await look(engine);
    expect(nodes).toMatchObject({ renamed: ['fresh'], out: ['fresh'], other: ['cached', expect.anything()] });
    expect(steps).toEqual(['restore other']);
  });

  it('gives a group the worst state of its members', async () => {
    const engine = open(`${MANIFEST}`.replace('default:', '  all: { group: [out, other] }\ndefault:'));
    const state = async () => {
      const workspace = engine.open();
      return inShort(
        (await planNodes(workspace, ['all'])).nodes.get('all') ??
          (() => {
            throw new Error('no group');
          })(),
      );
    };
    await engine.build(['other']);
    expect(await state()).toEqual(['stale', 'input-stale out is stale']);
    await engine.build();
    expect(await state()).toEqual(['fresh']);
    engine.work.write('resources/out.txt', 'mine');
    expect(await state()).toEqual(['modified', 'input-stale out is modified']);
  });

  it('expects what the last run took, and bytes as the kinds know them', async () => {
    const engine = open();
    await engine.build();
    const workspace = engine.open();
    const record = workspace.state.nodes.get('other');
    if (!record) throw new Error('no record');
    workspace.state.nodes.set('other', { ...record, durationMs: 4321 });
    await workspace.state.flush();
    engine.work.write('words.txt', 'w\n');
    const { steps } = (await planBuild(engine.open(), ['other'])).plan;
    expect(steps).toMatchObject([{ node: 'other', expectedMs: 4321, writeBytes: 4, downloadBytes: 0 }]);
  });
});

/** Of a node within the default ones. */
async function explained(engine: Engine, name: string, set: Readonly<Record<string, string>> = {}) {
  const workspace = engine.open(set);
  const plan = await planNodes(workspace, selectNodes(workspace.graph, []));
  return explain(plan, workspace.graph, name, (node, key) => new LastRuns(workspace).of(node, key));
}

describe('an explanation', () => {
  it('goes on through inputs that are fresh by now, to the field that a param changed', async () => {
    const engine = open(`res: 1
params: { which: { default: words } }
artifacts: { source: { url: "file:\${which}.txt" } }
targets:
  joined: { merge: [source, source] }
  out: { merge: [joined], output: out.txt }
`);
    engine.work.write('other.txt', 'other\n');
    await engine.build([], { set: { which: 'other' } });
    await engine.build();
    const { chain, state } = await explained(engine, 'out', { which: 'other' });
    expect(state).toBe('cached');
    expect(chain.map(({ node, reasons: [reason] }) => `${node}: ${reason?.code} ${reason?.subject}`)).toEqual(
      ['source: recipe-changed url', 'joined: input-changed source', 'out: input-changed joined'],
    );
  });

  it('goes from the root cause to the node', async () => {
    const engine = open();
    await engine.build();
    engine.work.write('packed.gz', gzipSync('other\n'));
    const { chain, state, reasons } = await explained(engine, 'out');
    expect(state).toBe('stale');
    expect(reasons).toMatchObject([{ code: 'input-stale', subject: 'joined' }]);
    expect(chain.map(({ node, reasons: [reason] }) => `${node}: ${reason?.code} ${reason?.subject}`)).toEqual(
      ['plain: input-changed packed', 'joined: input-stale plain', 'out: input-stale joined'],
    );
  });

  it('is the node alone when the cause is its own, or there is none', async () => {
    const engine = open();
    await engine.build();
    expect((await explained(engine, 'out')).chain).toEqual([{ node: 'out', reasons: [] }]);
    rmSync(engine.work.path('resources/out.txt'));
    expect((await explained(engine, 'out')).chain).toMatchObject([
      { node: 'out', reasons: [{ code: 'output-missing' }] },
    ]);
  });
});

describe('an intermediate streams into its user', () => {
  const joins = (targets: string, input: string, user: string, requested: readonly string[] = ['out']) => {
    const { graph } = open(`res: 1
artifacts: { packed: { path: packed.gz }, words: { path: words.txt } }
targets:
${targets}`).open();
    return planFusion(graph, graph.order, new Set(requested)).joins(input, user);
  };
  const mid = '  mid: { decompress: packed }\n';

  it('when both pass bytes on, and nobody else wants it', () => {
    expect(joins(`${mid}  out: { merge: [mid, words], output: out }\n`, 'mid', 'out')).toBe(true);
    expect(joins(`${mid}  out: { extract: mid, output: out }\n`, 'mid', 'out')).toBe(true);
  });

  it.each([
    ['it has two users', `${mid}  out: { merge: mid, output: out }\n  more: { merge: mid, output: more }\n`],
    ['it is used twice', `${mid}  out: { merge: [mid, mid], output: out }\n`],
    [
      'it has a place of its own',
      `  mid: { decompress: packed, output: mid }\n  out: { merge: mid, output: out }\n`,
    ],
    ['its user needs a file', `${mid}  out: { convert: mid, to: raw, output: out }\n`],
    ['its user has its very content', `${mid}  out: { copy: mid, output: out }\n`],
    ['it is the list of sums', `${mid}  out: { merge: words, output: out, verify: { sums: mid } }\n`],
    ['it is no stream', `  mid: { extract: packed }\n  out: { merge: mid, output: out }\n`],
  ])('but not when %s', (_, targets) => {
    expect(joins(targets, 'mid', 'out')).toBe(false);
  });

  it('but not when it was asked for, and not an artifact', () => {
    const targets = `${mid}  out: { merge: [mid, words], output: out }\n`;
    expect(joins(targets, 'mid', 'out', ['out', 'mid'])).toBe(false);
    expect(joins(targets, 'words', 'out')).toBe(false);
    expect(joins(targets, 'packed', 'mid')).toBe(false);
  });
});

describe('the most urgent node', () => {
  it('is the one with the longest way to the end, by what the last runs took', async () => {
    const engine = open();
    await engine.build();
    const workspace = engine.open();
    const takes = { words: 1, packed: 1, plain: 10, joined: 20, out: 30, other: 40 };
    for (const [name, durationMs] of Object.entries(takes)) {
      const record = workspace.state.nodes.get(name);
      workspace.state.nodes.set(name, {
        key: '',
        action: null,
        status: 'done',
        at: 0,
        ...record,
        durationMs,
      });
    }
    const priority = criticalPaths(workspace, workspace.graph.order);
    expect(Object.fromEntries(Object.keys(takes).map((name) => [name, priority(name)]))).toEqual({
      out: 30,
      other: 40,
      joined: 50,
      plain: 60,
      packed: 61,
      words: 51,
    });
  });

  it('is the deepest one where nothing ran before', () => {
    const workspace = open().open();
    const priority = criticalPaths(workspace, workspace.graph.order);
    expect(priority('packed')).toBeGreaterThan(priority('plain'));
    expect(priority('plain')).toBeGreaterThan(priority('out'));
    expect(priority('out')).toBe(priority('other'));
  });
});
