import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAIN } from '../rig/places.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { res } from './in-process.js';

const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
artifacts:
  kernel: { url: "file:///kernel-\${arch}", output: "kernel-\${arch}" }
targets:
  kopie: { copy: kernel }
`;

let space: Workspace;
beforeEach(() => {
  space = makeWorkspace(MANIFEST);
});
afterEach(removeWorkspaces);

async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await res(['__complete', '--', ...words], { cwd: space.dir });
  return stdout.split('\n').flatMap((line) => line.split('\t')[0] || []);
}

describe('what may stand next', () => {
  it.each([
    ['commands', ['s'], ['status', 'show', 'shell']],
    ['flags of a command', ['status', '--c'], ['--check', '--color']],
    ['params, as flags', ['build', '--ar'], ['--arch']],
    ['values of a param', ['build', '--arch', ''], ['amd64', 'arm64']],
    ['values of a param in one word', ['build', '--arch=ar'], ['--arch=arm64']],
    ['params for --set', ['build', '--set', ''], ['arch=']],
    ['values for --set', ['build', '--set', 'arch=ar'], ['arch=arm64']],
    ['params for --matrix', ['build', '--matrix', 'a'], ['arch=']],
    ['values for --matrix', ['build', '--matrix', 'arch='], ['arch=amd64', 'arch=arm64']],
    ['values for --matrix but those given', ['plan', '--matrix', 'arch=arm64,'], ['arch=arm64,amd64']],
    [
      'nodes of --matrix',
      ['why', '--matrix', 'arch=amd64,arm64', 'kernel@'],
      ['kernel@arch=amd64', 'kernel@arch=arm64'],
    ],
    ['nodes where --matrix is wrong', ['why', '--matrix', 'arch', 'kern'], ['kernel']],
    ['choices of a flag', ['build', '--for', ''], ['qemu', 'gem5']],
    ['nodes', ['build', 'k'], ['kernel', 'kopie']],
    ['nodes behind flags with values', ['build', '--arch', 'arm64', '-j', '2', 'ker'], ['kernel']],
    ['a file, where one stands before the nodes', ['bundle', ''], []],
    ['nodes behind a file', ['bundle', 'x.tar', 'ker'], ['kernel']],
    ['nodes, as many as wanted', ['build', 'kernel', 'kopie', 'ker'], ['kernel']],
    ['nodes behind --', ['build', '--', 'ker'], ['kernel']],
    ['no flags behind --', ['build', '--', '--j'], []],
    ['templates', ['init', 'g'], ['gem5']],
    ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['nothing where nothing is known', ['env', 'x'], []],
  ])('%s', async (_, words, candidates) => {
    expect(await offered(...words)).toEqual(candidates);
  });

  it('is about the manifest that -C names', async () => {
    const { stdout } = await res(['__complete', '--', '-C', space.dir, 'build', 'ker'], { cwd: '/' });
    expect(stdout).toMatch(/^kernel\t/);
  });

  it('is silent where the manifest is broken', async () => {
    space.write('resources.yaml', 'res: [');
    expect(await res(['__complete', '--', 'build', 'k'], { cwd: space.dir })).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(await offered('stat')).toEqual(['status']);
  });
});

describe('in bash', () => {
  const MATRIX = ['build', '--matrix', 'arch', '=', 'amd64,arm64'];

  /** What the function that bash calls leaves for the words of a line. */
  async function bash(words: readonly string[]): Promise<readonly string[]> {
    const { stdout: script } = await res(['completion', 'bash'], { cwd: space.dir });
    space.write('bin/res', `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(space.path('bin/res'), 0o755);
    space.write('complete.bash', script);
    const quoted = ['res', ...words].map((word) => `'${word}'`).join(' ');
    const line = ['res', ...words].join(' ').replace(/ ?([=@]) ?/g, '$1');
    const run = `set -u; source ./complete.bash; complete -p res >/dev/null || exit 9
      COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; COMP_LINE='${line}'; COMP_POINT=${line.length}
      compopt() { :; }
      _res_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const stdout = execFileSync('bash', ['--norc', '-c', run], {
      cwd: space.dir,
      encoding: 'utf8',
      env: { PATH: `${space.path('bin')}:${process.env.PATH}` },
    });
    return stdout.split('\n').filter((line) => line !== '');
  }

  it.each([
    ['a command', ['stat'], ['status']],
    ['a node', ['build', 'ker'], ['kernel']],
    ['the value of a param', ['build', '--arch', 'a'], ['amd64', 'arm64']],
    // bash takes `=` for a word of its own, and replaces what follows it.
    ['the value behind =', ['build', '--arch', '=', 'ar'], ['arm64']],
    ['the value behind = with nothing typed', ['build', '--arch', '='], ['amd64', 'arm64']],
    ['what follows a value behind =', ['build', '--arch', '=', 'arm64', 'ker'], ['kernel']],
    ['the value for --set', ['build', '--set', 'arch', '=', 'ar'], ['arm64']],
    ['a further value for --matrix', ['build', '--matrix', 'arch', '=', 'arm64,'], ['arm64,amd64']],
    ['a node of --matrix', [...MATRIX, 'ker'], ['kernel', 'kernel@arch=amd64', 'kernel@arch=arm64']],
    ['what a node of --matrix is for', [...MATRIX, 'kernel', '@', 'arch', '=', 'ar'], ['arm64']],
  ])('completes %s', async (_, words, candidates) => {
    expect(await bash(words)).toEqual(candidates);
  });
});

describe.skipIf(!has('fish'))('in fish', () => {
  /** What fish itself offers for a line. */
  async function fish(line: string): Promise<readonly string[]> {
    const { stdout: script } = await res(['completion', 'fish'], { cwd: space.dir });
    space.write('bin/res', `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(space.path('bin/res'), 0o755);
    space.write('res.fish', script);
    const stdout = execFileSync('fish', ['--no-config', '-c', `source res.fish; complete -C '${line}'`], {
      cwd: space.dir,
      encoding: 'utf8',
      env: { PATH: `${space.path('bin')}:${process.env.PATH}`, HOME: space.dir },
    });
    return stdout.split('\n').flatMap((candidate) => candidate.split('\t')[0] || []);
  }

  it.each([
    ['a command', 'res stat', ['status']],
    ['a node, and no file', 'res build k', ['kernel', 'kopie']],
    ['the value of a param', 'res build --arch a', ['amd64', 'arm64']],
    ['a file where one is wanted', 'res -f reso', ['resources.yaml']],
  ])('completes %s', async (_, line, candidates) => {
    expect(await fish(line)).toEqual(candidates);
  });
});

describe.each([
  ['bash', ['-n']],
  ['zsh', ['-n']],
  ['fish', ['--no-execute']],
])('the script for %s', (shell, flags) => {
  it.skipIf(!has(shell))('is valid', async () => {
    const { stdout } = await res(['completion', shell], { cwd: space.dir });
    space.write('script', stdout);
    const { status, stderr } = spawnSync(shell, [...flags, space.path('script')], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
