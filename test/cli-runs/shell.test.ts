// `res shell`: a shell where a node's command runs. Given a script on its standard input it is no terminal's, and the same otherwise.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findSandbox } from '../../src/execute/sandbox.js';
import { MAIN } from '../rig/places.js';
import { openScene, type Scene } from './engine-scene.js';
import { expectFailed } from './site.js';

const hasSandbox = (await findSandbox(process.env)) !== undefined;

const MANIFEST = `res: 1
targets:
  dep: { run: "echo dep > \${out}" }
  good: { run: "cat \${in} > \${out}; echo $OWN >> \${out}", inputs: { d: dep, big: ./big }, env: { OWN: own }, cwd: sub, output: good }
  bad: { run: "echo half > part; cat \${in} | wc -c; exit 9", inputs: { d: dep, big: ./big } }
  copied: { copy: good, output: copied }
`;

function open(): Scene {
  return openScene({ 'resources.yaml': MANIFEST, big: Buffer.alloc(17 * 1024 * 1024), secret: 's' });
}

/** What a script prints in the shell of a node. */
async function shell(scene: Scene, args: readonly string[], script: string) {
  const env = { PATH: process.env.PATH, HOME: scene.work.dir, SHELL: '/bin/sh', NO_COLOR: '1' };
  const child = spawn(process.execPath, [MAIN, 'shell', ...args], { cwd: scene.work.dir, env });
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.stderr += text;
  });
  child.stdin.end(script);
  const status = await new Promise((resolve) => child.on('close', resolve));
  return { status, ...printed };
}

const scratches = (scene: Scene) =>
  readdirSync(scene.work.path('.res/run')).filter((name) => !name.startsWith('.'));

describe('res shell', () => {
  it('has the inputs and the environment of the node, and runs its command by hand', async () => {
    const scene = open();
    const { status, stdout, stderr } = await shell(
      scene,
      ['good'],
      'pwd; echo $OWN; ls ../in; sh ../.command; wc -c < ../out; tail -c 4 ../out; exit 5',
    );
    expect(stderr).toContain('to run the command of good: sh ../.command');
    expect(stderr).toMatch(/scratch directory: \.res\/run\/good\+\d+ \(removed when the shell ends\)/);
    expect(stdout).toMatch(/run\/good\+\d+\/sub\nown\nbig\nd\n\s*17825800\nown\n$/);
    expect(status).toBe(5);
    expect(scratches(scene)).toEqual([]);
    expect(scene.work.exists('resources/good')).toBe(false);
    // What was made for it alone is gone again.
    expect(scene.objects()).toEqual([]);
  });

  it('opens the one that a run which failed has left, and leaves it', async () => {
    const scene = open();
    await scene.run(['build', 'bad']);
    for (const how of ['auto', 'off']) {
      const { stdout, stderr } = await shell(scene, ['bad', '--sandbox', how], 'cat part; sh .command');
      expect(stderr).toContain('.res/run/bad (as its last run, which failed, left it)');
      expect(stdout).toMatch(/^half\n\s*17825796\n$/);
      expect(scratches(scene)).toEqual(['bad']);
    }
    expect(existsSync(scene.work.path('.res/run/bad/part'))).toBe(true);
  });

  it.skipIf(!hasSandbox)('is confined as the program is', async () => {
    const scene = open();
    const script = `cat ${scene.work.path('secret')} && echo seen; true`;
    expect((await shell(scene, ['good'], script)).stdout).not.toContain('seen');
    const free = await shell(scene, ['good', '--sandbox', 'off'], script);
    expect(free.stdout).toContain('seen');
    expect(free.stderr).toContain('sandbox: none');
  });

  it('is for nodes with a command', async () => {
    const scene = open();
    expectFailed(await scene.run(['shell', 'copied']), [/copied has no command of its own/], 2);
    expectFailed(await scene.run(['shell', 'goood']), [/did you mean `good`/], 2);
  });
});
