// `keep`: what becomes of content while nothing needs it in its place.
import { existsSync, rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { removeWorkspaces } from '../rig/workspace.js';
import { openEngine, outcome } from './engine.js';

afterEach(removeWorkspaces);

function open(keep: { readonly download?: string; readonly plain?: string; readonly out?: string }) {
  const engine = openEngine({ 'one.gz': gzipSync('one'), 'two.gz': gzipSync('two') });
  engine.work.write(
    'resources.yaml',
    `res: 1
name: keep
params:
  half: { default: one, enum: [one, two] }
artifacts:
  packed: { url: "file://${engine.work.dir}/\${half}.gz", keep: ${keep.download ?? 'auto'} }
targets:
  plain: { decompress: packed, keep: ${keep.plain ?? 'auto'} }
  out: { merge: [plain], output: out.txt, keep: ${keep.out ?? 'auto'} }
default: [out]
`,
  );
  return engine;
}

/** Nodes of the closure whose bytes are in the store. */
async function stored(engine: ReturnType<typeof open>, set = {}): Promise<readonly string[]> {
  const { store } = engine.open();
  const { nodes } = await engine.plan([], { set });
  return [...nodes.values()].flatMap(({ name, content }) =>
    content?.some(({ digest, type }) => existsSync(store.path(digest, type))) ? [name] : [],
  );
}

describe('keep', () => {
  it('auto: downloads and replaced outputs stay, intermediates do not', async () => {
    const engine = open({});
    await engine.build();
    expect(await stored(engine)).toEqual(['packed']);
    await engine.build([], { set: { half: 'two' } });
    // Its content is that of the intermediate too.
    expect(await stored(engine)).toEqual(['packed', 'plain', 'out']);
  });

  it('never: a download goes when it was used, and is fetched again when it is needed again', async () => {
    const engine = open({ download: 'never' });
    await engine.build();
    expect(await stored(engine)).toEqual([]);
    expect(outcome(await engine.build())).toEqual({ fresh: ['packed', 'plain', 'out'] });
    rmSync(engine.work.path('resources/out.txt'));
    expect(outcome(await engine.build()).ran).toEqual(expect.arrayContaining(['packed', 'out']));
    expect(engine.work.text('resources/out.txt')).toBe('one');
    expect(await stored(engine)).toEqual([]);
  });

  it('never: one that was asked for stays', async () => {
    const engine = open({ download: 'never' });
    await engine.build(['packed']);
    expect(await stored(engine)).toEqual(['packed']);
  });

  it('never: a replaced output goes', async () => {
    const engine = open({ out: 'never' });
    await engine.build();
    await engine.build([], { set: { half: 'two' } });
    expect(engine.work.text('resources/out.txt')).toBe('two');
    expect(await stored(engine)).toEqual(['packed']);
    expect(outcome(await engine.build()).ran).toContain('out');
    expect(engine.work.text('resources/out.txt')).toBe('one');
  });

  it('always: an intermediate stays, and is remembered as one to keep', async () => {
    const engine = open({ plain: 'always' });
    await engine.build();
    expect(await stored(engine)).toEqual(['packed', 'plain', 'out']);
    await engine.build([], { set: { half: 'two' } });
    expect(await stored(engine, { half: 'two' })).toEqual(['packed', 'plain', 'out']);
    expect([...engine.open().state.kept.entries()].map(([, node]) => node)).toEqual(['plain', 'plain']);
  });

  it('is not part of the key', async () => {
    const engine = open({});
    await engine.build();
    engine.work.write(
      'resources.yaml',
      engine.work.text('resources.yaml').replaceAll('keep: auto', 'keep: never'),
    );
    expect(outcome(await engine.build())).toEqual({ fresh: ['packed', 'plain', 'out'] });
  });
});
