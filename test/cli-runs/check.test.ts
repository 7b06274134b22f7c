// `res check`: what is made a second time comes out the same, or a table says what does not.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CheckJson } from '../../src/report/check.js';
import { validator } from '../rig/schemas.js';
import { openScene, type Scene } from './engine-scene.js';
import { expectFailed } from './site.js';

const MANIFEST = `res: 1
artifacts:
  words: { path: words.txt }
targets:
  middle: { run: "rev \${in.w} > \${out}", inputs: { w: words } }
  same: { run: "mkdir \${out}; cat \${in.m} > \${out}/a; ln -s a \${out}/l", inputs: { m: middle }, output: same }
  clock: { run: "echo constant > \${out}; date +%s >> \${out}", output: clock }
  tree:
    run: |
      mkdir -p \${out}/d; date +%s > \${out}/d/time; touch \${out}/at-$(date +%s); echo fixed > \${out}/fixed
      printf %s $PWD > \${out}/place
  several: { run: "echo a > a; date +%s > b", outputs: { a: a, b: b } }
  flaky: { run: "test -e \${in.flag}/no && exit 7; echo x > \${out}", inputs: { flag: ./flag } }
  joined: { merge: [words, words] }
  copied: { copy: words, output: copied }
`;

function open(): Scene {
  return openScene({ 'resources.yaml': MANIFEST, 'words.txt': 'one\ntwo\n', 'flag/yes': '' });
}

async function checkJson(scene: Scene, ...names: readonly string[]): Promise<CheckJson> {
  const { stdout } = await scene.run(['check', '--json', ...names]);
  expect(validator('check')(JSON.parse(stdout))).toEqual([]);
  return JSON.parse(stdout);
}

describe('res check', () => {
  it('says what is the same, of every kind that makes something, and touches nothing', async () => {
    const scene = open();
    await scene.built(['same', 'joined']);
    const before = [scene.objects(), readdirSync(scene.work.path('.res/state')), await records(scene)];
    const { status, stdout } = await scene.run(['check', 'same', 'joined']);
    expect(stdout).toMatch(
      /^same: the same, made a second time in .*\njoined: the same, .*\n2 nodes: 2 the same\n$/,
    );
    expect(status).toBe(0);
    expect([scene.objects(), readdirSync(scene.work.path('.res/state')), await records(scene)]).toEqual(
      before,
    );
    expect(scene.temporaries()).toEqual([]);
    expect(readdirSync(scene.work.path('.res/run')).filter((name) => !name.startsWith('.'))).toEqual([]);
    expect((await scene.run(['build', 'same', 'joined'])).stdout).toBe('up to date\n');
  });

  it('has a row for what differs: output, file, sizes, first byte', async () => {
    const scene = open();
    const { ok, nodes } = await checkJson(scene, 'clock', 'tree', 'several', 'same');
    expect(ok).toBe(false);
    expect(nodes.map(({ name, result }) => [name, result])).toEqual([
      ['clock', 'different'],
      ['tree', 'different'],
      ['several', 'different'],
      ['same', 'same'],
    ]);
    const [clock, tree, several, same] = nodes;
    expect(clock?.differences).toEqual([
      {
        output: 'clock',
        file: '',
        how: 'content',
        size_before: 20,
        size_after: 20,
        offset: expect.anything(),
      },
    ]);
    expect(clock?.differences[0]?.offset).toBeGreaterThanOrEqual('constant\n'.length);
    expect(tree?.differences.map(({ file, how }) => `${how} ${file.replace(/\d+/, 'N')}`)).toEqual([
      'missing at-N',
      'new at-N',
      'content d/time',
      'content place',
    ]);
    expect(several?.differences.map(({ output, how }) => `${how} ${output}`)).toEqual(['content b']);
    expect(several?.outputs.map(({ name, before, after }) => [name, before === after])).toEqual([
      ['a', true],
      ['b', false],
    ]);
    expect(same?.differences).toEqual([]);
    const { status, stdout } = await scene.run(['check', 'clock']);
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^clock: different.*\nOUTPUT\s+DIFFERS IN\s+BYTES BEFORE.*\nclock\s+content\s+20\s+20\s+\d+\n$/,
    );
  });

  it('leaves the output as it was, and the log of its run', async () => {
    const scene = open();
    await scene.built(['clock']);
    const before = scene.work.text('resources/clock');
    const log = readFileSync(scene.work.path('.res/logs/clock.log'), 'utf8');
    await scene.run(['check', 'clock']);
    expect(scene.work.text('resources/clock')).toBe(before);
    expect(readFileSync(scene.work.path('.res/logs/clock.log'), 'utf8')).toBe(log);
  });

  it('fails where a node cannot be made, and where nothing is made', async () => {
    const scene = open();
    scene.work.write('flag/no', '');
    const failed = await scene.run(['check', 'flaky']);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('failed: flaky: sh failed with exit status 7');
    expect(failed.stdout).toBe('flaky: could not be made\n');
    expectFailed(await scene.run(['check', 'words', 'copied']), [/nothing is done to make words, copied/], 2);
    expectFailed(await scene.run(['check', 'wrods']), [/no node is called `wrods`/], 2);
  });
});

async function records(scene: Scene) {
  const { stdout } = await scene.run(['status', '--json', 'same', 'joined']);
  return stdout;
}
