// `res report` on the command line: which build, and where the page goes.
import { statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildIds } from '../../src/store/build-records.js';
import { validator } from '../rig/schemas.js';
import { openScene } from './engine-scene.js';

const MANIFEST = `res: 1
name: one file
artifacts:
  a: { path: a.txt }
targets:
  out: { copy: a, output: out.txt }
`;
const open = () => openScene({ 'resources.yaml': MANIFEST, 'a.txt': 'a\n' });

describe('res report', () => {
  it('is about the newest build, or the one whose id begins as is said', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('a.txt', 'b\n');
    await scene.built();
    const [second = '', first = ''] = await buildIds(scene.work.path('.res/builds'));
    expect((await scene.run(['report'])).stdout).toContain(
      `<title>Build report: one file, ${second}</title>`,
    );
    expect((await scene.run(['report', first.slice(0, -1)])).stdout).toContain(`one file, ${first}`);
    const json = await scene.run(['report', first, '--json']);
    expect(validator('build-record')(JSON.parse(json.stdout))).toEqual([]);
    expect(JSON.parse(json.stdout)).toMatchObject({ id: first });
    const both = await scene.run(['report', first.slice(0, 4)]);
    expect(both.status).toBe(2);
    expect(both.stderr).toContain(
      `2 builds begin with ${first.slice(0, 4)}\n  hint: One of ${second}, ${first}`,
    );
    const none = await scene.run(['report', 'nothing']);
    expect(none).toMatchObject({ status: 2, stdout: '' });
    expect(none.stderr).toContain('there is no record of a build nothing\n  hint: `res history` lists');
    scene.work.write(`.res/builds/${first}.json`, '{"version": 1');
    expect((await scene.run(['report', first])).stderr).toContain(
      `the record of the build ${first} is damaged`,
    );
  });

  it('says what to do before there was a build', async () => {
    const { status, stderr } = await open().run(['report']);
    expect(status).toBe(1);
    expect(stderr).toContain('no build has left a record here\n  hint: `res history` lists');
  });

  it('writes into a file, in place of a report that is there, and of nothing else', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('notes.html', '<!doctype html><p>mine</p>');
    const refused = await scene.run(['report', '-o', 'notes.html']);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/notes\.html is there, and is no report of res\n {2}hint: Remove it/);
    expect(scene.work.text('notes.html')).toBe('<!doctype html><p>mine</p>');
    for (let i = 0; i < 2; i++) {
      const { status, stderr } = await scene.run(['report', '-o', 'report.html']);
      expect({ status, stderr }).toEqual({ status: 0, stderr: 'wrote report.html\n' });
    }
    expect(scene.work.text('report.html')).toMatch(/^<!doctype html>.*<\/html>\n$/s);
    expect((await scene.run(['report', '-o', 'no/such/folder.html'])).stderr).toMatch(
      /^error: cannot write .*folder\.html/,
    );
    expect(statSync(scene.work.path('report.html')).size).toBeGreaterThan(5000);
  });
});
