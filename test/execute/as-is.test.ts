// `build --as-is`: what a person made of an output counts as what its node has, and what is made of it follows.
import { rmSync, symlinkSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { removeWorkspaces } from '../rig/workspace.js';
import { openEngine, outcome } from './engine.js';

const MANIFEST = `res: 1
name: as-is
params:
  half: { default: one, enum: [one, two] }
artifacts:
  packed: { path: "\${half}.gz" }
  remote: { url: "file:REMOTE", output: remote.txt }
targets:
  plain: { decompress: packed, output: plain.txt }
  both: { merge: [plain, plain], output: both.txt }
  mine: { copy: plain, output: mine.txt }
  checked: { copy: plain, output: checked.txt, verify: { sha256: "SUM" } }
default: [both, mine]
`;
const ONE_SUM = '8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92';

afterEach(removeWorkspaces);

function open() {
  const engine = openEngine({
    'resources.yaml': MANIFEST.replace('SUM', ONE_SUM),
    'one.gz': gzipSync('123456'),
    'two.gz': gzipSync('two'),
    'far.txt': 'far',
  });
  engine.work.write(
    'resources.yaml',
    engine.work.text('resources.yaml').replace('REMOTE', `//${engine.work.path('far.txt')}`),
  );
  return engine;
}

describe('--as-is', () => {
  it('accepts an output that was changed, and makes anew what is made of it', async () => {
    const { work, build, node } = open();
    await build();
    work.write('resources/plain.txt', 'by hand');
    expect((await node('plain')).state).toBe('modified');
    expect(outcome(await build([], { asIs: true })).ran).toEqual(expect.arrayContaining(['both', 'mine']));
    expect(work.text('resources/plain.txt')).toBe('by hand');
    expect(work.text('resources/both.txt')).toBe('by handby hand');
    expect(work.text('resources/mine.txt')).toBe('by hand');
    expect((await node('plain')).state).toBe('fresh');
    expect(outcome(await build())).toEqual({ fresh: ['packed', 'plain', 'both', 'mine'] });
  });

  it('accepts the last one of a chain, and one that shares the content of another', async () => {
    const { work, build, node } = open();
    await build();
    work.write('resources/both.txt', 'written by a machine');
    work.write('resources/mine.txt', 'mine indeed');
    await expect(build()).rejects.toMatchObject({ code: 'output-modified' });
    const { fresh } = await build([], { asIs: true });
    expect(fresh).toEqual(['packed', 'plain', 'both', 'mine']);
    expect((await node('mine')).state).toBe('fresh');
    expect(work.text('resources/both.txt')).toBe('written by a machine');
    expect(outcome(await build())).toEqual({ fresh: ['packed', 'plain', 'both', 'mine'] });
  });

  it.each(['both', 'mine'])(
    'what was accepted of %s and then removed is made as the manifest says',
    async (name) => {
      const { work, build } = open();
      await build();
      work.write(`resources/${name}.txt`, 'by hand');
      await build([name], { asIs: true });
      rmSync(work.path(`resources/${name}.txt`));
      expect(await build()).toMatchObject({ ok: true });
      expect(work.text(`resources/${name}.txt`)).toBe(name === 'both' ? '123456123456' : '123456');
      expect(outcome(await build())).toEqual({ fresh: ['packed', 'plain', 'both', 'mine'] });
    },
  );

  it('what was accepted is kept while another variant is in its place', async () => {
    const { work, build } = open();
    await build();
    work.write('resources/both.txt', 'by hand');
    await build([], { asIs: true });
    await build([], { set: { half: 'two' } });
    expect(work.text('resources/both.txt')).toBe('twotwo');
    expect(outcome(await build()).ran ?? []).not.toContain('both');
    expect(work.text('resources/both.txt')).toBe('by hand');
  });

  it('takes over a file that res did not make', async () => {
    const { work, build } = open();
    await build(['plain']);
    work.write('resources/both.txt', 'had it before');
    await expect(build(['both'])).rejects.toMatchObject({ code: 'output-foreign' });
    expect(outcome(await build(['both'], { asIs: true })).ran).toBeUndefined();
    expect(work.text('resources/both.txt')).toBe('had it before');
  });

  it.each([
    ['a download, which the lock fixes', 'remote', /lock/],
    ['what has a sum to be verified by', 'checked', /verify/],
  ])('does not accept %s', async (_, name, message) => {
    const { work, build } = open();
    await build([name]);
    work.write(`resources/${name}.txt`, 'by hand');
    await expect(build([name], { asIs: true })).rejects.toMatchObject({
      code: 'output-modified',
      message: expect.stringMatching(message),
    });
    expect(work.text(`resources/${name}.txt`)).toBe('by hand');
  });

  it('does not accept a link, which others may point elsewhere', async () => {
    const { work, build } = open();
    await build();
    rmSync(work.path('resources/both.txt'));
    symlinkSync('../far.txt', work.path('resources/both.txt'));
    await expect(build([], { asIs: true })).rejects.toMatchObject({ code: 'output-modified' });
    expect(work.text('far.txt')).toBe('far');
  });

  it('does not accept what is made of something unknown', async () => {
    const { work, build } = open();
    work.write('resources/both.txt', 'had it before');
    await expect(build(['both'], { asIs: true })).rejects.toMatchObject({
      code: 'output-modified',
      message: expect.stringContaining('not known yet'),
    });
    expect(work.text('resources/both.txt')).toBe('had it before');
  });
});
