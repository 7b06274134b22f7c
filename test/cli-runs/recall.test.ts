// The program itself: a question asked again is answered without most of it, whatever the number of nodes; and an answer
// rests on all that a run looks at.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { decodeAnswer } from '../../src/cli/answer/file.js';
import { readKeptFile } from '../../src/store/kept-file.js';
import { withLookout } from '../rig/lookout.js';
import { MAIN } from '../rig/places.js';
import { withWitness } from '../rig/witness.js';
import { atEnd, openScene, type Scene } from './engine-scene.js';

const DIST = dirname(dirname(MAIN));

/** Targets of three inputs each, of which few have been made. */
function manifestOf(nodes: number): Record<string, string> {
  const sources = Array.from({ length: nodes / 10 }, (_, i) => `s${i}`);
  const targets = Array.from({ length: nodes - sources.length }, (_, i) => {
    const inputs = [0, 1, 2].map((k) => sources[(i * 7 + k * 13) % sources.length]);
    return `  t${i}: { merge: [${inputs.join(', ')}], output: out/t${i} }\n`;
  });
  return {
    'resources.yaml': `res: 1\nartifacts:\n${sources.map((name) => `  ${name}: { path: in/${name} }\n`).join('')}targets:\n${targets.join('')}`,
    ...Object.fromEntries(sources.map((name) => [`in/${name}`, name])),
  };
}

/** What a run of these words looks at, opens and reads, and what it prints. */
async function watched(scene: Scene, args: readonly string[]) {
  const lookout = withLookout();
  atEnd(() => lookout.remove());
  const { stdout, status, stderr } = await scene.run(args, { env: lookout.env });
  expect(stderr).toBe('');
  const isOurs = (path: string) => !path.startsWith(DIST) && !path.startsWith(join(DIST, '../node_modules'));
  return {
    stdout,
    status,
    paths: [...lookout.paths()].filter(isOurs),
    opened: [...lookout.opened()].filter((path) => path.startsWith(scene.work.dir)),
    bytes: lookout.bytes(),
  };
}

describe('a question asked again', () => {
  it('opens one file and parses nothing, however many nodes there are', async () => {
    const scene = openScene(manifestOf(3000));
    expect((await scene.run(['build', 't0'])).status).toBe(0);
    await sleep(50);
    const first = await watched(scene, ['status']);
    await sleep(50);
    const second = await watched(scene, ['status']);
    const third = await watched(scene, ['status']);
    expect(third).toMatchObject({ stdout: first.stdout, status: first.status });
    expect(second.stdout).toBe(first.stdout);
    expect(third.opened).toHaveLength(1);
    expect(third.bytes).toBeLessThan(2_000_000);
    // Every output and every source, and little else.
    expect(third.paths.length).toBeLessThan(3000 + 50);

    const witness = withWitness();
    atEnd(() => witness.remove());
    await scene.run(['status'], { env: witness.env });
    // No key of a node is computed: all that is hashed are the variables of the environment.
    expect(witness.testimony().hashes).toBeLessThanOrEqual(2);
  });

  it('a graph is parsed once, not once a run: other questions about it find it', async () => {
    const scene = openScene(manifestOf(3000));
    await scene.run(['build', 't0']);
    const { opened } = await watched(scene, ['why', 't1']);
    expect(opened).toContain(scene.work.path('.res/cache/graph-resources.yaml'));
  });

  it('an answer rests on all that a run looks at', async () => {
    const scene = openScene({
      'resources.yaml':
        'res: 1\ninclude: [more.yaml]\nartifacts:\n  s: { path: in/s }\n  g: { path: "in/**/*.dat" }\ntargets:\n  c: { copy: s, output: c }\n  m: { merge: g, output: m }\n  i: { convert: s, to: raw, output: i }\n  x: { extract: s }\n',
      'more.yaml': 'res: 1\ntargets:\n  d: { copy: s }\n',
      'in/s': 's',
      'in/a.dat': 'a',
      'in/below/b.dat': 'b',
    });
    await scene.run(['build', 'c', 'm']);
    for (const args of [
      ['build', 'c', 'm'],
      ['status'],
      ['status', 'i'],
      ['why', 'c'],
      ['graph'],
      ['list'],
    ]) {
      await sleep(50);
      await scene.run(args);
      await sleep(50);
      const before = new Set(answersOf(scene));
      // The same question in other words, so that it is found out.
      const run = await watched(scene, [...args, '--color', 'never']);
      const [made] = answersOf(scene).filter((name) => !before.has(name));
      expect(made, args.join(' ')).toBeDefined();
      const kept = readKeptFile(scene.work.path('.res/cache', made ?? ''));
      const answer = kept && decodeAnswer(kept);
      const noted = new Set([...(answer?.paths ?? []), ...(answer?.reals ?? []).map(([path]) => path)]);
      // Its own notes, and the clock that it asks.
      const own = (path: string) =>
        path.startsWith(scene.work.path('.res/cache')) ||
        path.startsWith(scene.work.path('.res/tmp')) ||
        path === scene.work.path('.res/state') ||
        path.includes('/.res/state/.clock.') ||
        path.startsWith('/proc/') ||
        scene.work.dir.startsWith(path) ||
        path.endsWith('package.json');
      expect(run.paths.filter((path) => !noted.has(path) && !own(path))).toEqual([]);
    }
  });
});

function answersOf(scene: Scene): readonly string[] {
  return readdirSync(scene.work.path('.res/cache')).filter((name) => name.startsWith('answer-'));
}
