// Completion as it is used: keys typed into bash, zsh and fish on a terminal, with the scripts that `res completion` prints.
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIds } from '../../src/store/build-records.js';
import { runRes } from '../rig/cli.js';
import { MAIN } from '../rig/places.js';
import { openTerminal, type Terminal } from '../rig/pty.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
artifacts:
  kernel: { path: kernel.txt }
targets:
  kopie: { copy: kernel, output: kopie.txt }
`;

let space: Workspace;
let build: string;

/** Stands in the place of `res` for what is typed: says what it was given. Completion is that of the real one. */
const ECHO = `#!/bin/sh
case $1 in
__complete | completion) exec '${process.execPath}' '${MAIN}' "$@" ;;
esac
printf 'RAN'
printf '[%s]' "$@"
echo .
`;

beforeAll(async () => {
  space = makeWorkspace({ 'resources.yaml': MANIFEST, 'kernel.txt': 'kernel\n', 'bin/res': ECHO });
  chmodSync(space.path('bin/res'), 0o755);
  expect(await runRes(['build', 'kopie'], { cwd: space.dir })).toMatchObject({ status: 0 });
  [build = ''] = await buildIds(space.path('.res/builds'));
}, 60_000);
afterAll(removeWorkspaces);

const shells = {
  bash: {
    start: 'exec bash --norc --noprofile -i',
    setUp: 'bind "set enable-bracketed-paste off"; eval "$(res completion bash)"',
  },
  zsh: {
    start: 'exec zsh -f -i',
    setUp: 'autoload -Uz compinit && compinit -u -D; eval "$(res completion zsh)"',
  },
  fish: { start: 'exec fish --no-config -i', setUp: 'res completion fish | source' },
} as const;

/** Keys, and the words that the command then has. `BUILD` is the id of the build. */
const cases = [
  ['a command', 'res stat', ['status']],
  ['a flag', 'res status --che', ['status', '--check']],
  ['a param, as a flag', 'res build --ar', ['build', '--arch']],
  ['a node', 'res build ker', ['build', 'kernel']],
  [
    'a node behind a flag with a value',
    'res build --arch arm64 -j 2 kop',
    ['build', '--arch', 'arm64', '-j', '2', 'kopie'],
  ],
  ['the value of a param', 'res build --arch ar', ['build', '--arch', 'arm64']],
  ['the value of a param in one word', 'res build --arch=ar', ['build', '--arch=arm64']],
  ['the value for --set', 'res build --set arch=ar', ['build', '--set', 'arch=arm64']],
  ['the value for --matrix', 'res plan --matrix arch=ar', ['plan', '--matrix', 'arch=arm64']],
  ['a choice of a flag', 'res build --for qe', ['build', '--for', 'qemu']],
  ['a template', 'res init vsw', ['init', 'vswarm-u']],
  ['a build', 'res report 2', ['report', 'BUILD']],
  ['a file', 'res -f kern', ['-f', 'kernel.txt']],
  ['a file that is an argument', 'res unbundle kern', ['unbundle', 'kernel.txt']],
] as const;

describe.each(Object.entries(shells))('in %s', (shell, { start, setUp }) => {
  let terminal: Terminal;

  beforeAll(async () => {
    if (!has(shell)) return;
    terminal = openTerminal(start, {
      cwd: space.dir,
      columns: 200,
      env: { PATH: `${space.path('bin')}:${process.env.PATH}`, INPUTRC: '/dev/null' },
    });
    terminal.type(`${setUp}\n`);
    terminal.type('echo set"" up\n');
    await terminal.shows(/[\r\n]set up\r?\n/);
  }, 60_000);
  afterAll(() => terminal?.kill());

  it.skipIf(!has(shell)).each(cases)('Tab completes %s', { timeout: 30_000 }, async (_, keys, words) => {
    const since = terminal.text.length;
    terminal.type(`${keys}\t\n`);
    await terminal.shows(/RAN(?:\[[^\]\r\n]*\])+\./, since);
    const [, ran = ''] = /RAN(.*)\./.exec(terminal.text.slice(since)) ?? [];
    expect(ran).toBe(words.map((word) => `[${word === 'BUILD' ? build : word}]`).join(''));
  });

  // The last one: the line stays as it is.
  it.skipIf(!has(shell))('Tab lists what there is to choose from', { timeout: 60_000 }, async () => {
    const since = terminal.text.length;
    terminal.type('res build k\t\t');
    for (const name of ['kernel', 'kopie']) await terminal.shows(new RegExp(name), since);
  });
});
