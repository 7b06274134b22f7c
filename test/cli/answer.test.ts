// Answers that are kept: the same question gets the same answer without a run as long as nothing has changed that it rests
// on, and whatever changes, the answer is the one that a run gives.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { delimiter } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { recalled, res, type Surroundings } from './in-process.js';

const MANIFEST = `res: 1
include: [more.yaml]
params:
  mode: { default: one, enum: [one, two] }
vars:
  note: "\${env.NOTE:-none}"
artifacts:
  source: { path: in/source.txt }
  many: { path: "in/*.dat" }
  variant: { path: "in/\${mode}.txt" }
targets:
  copied: { copy: source, output: copied, description: "\${note}" }
  chosen: { copy: variant, output: chosen }
  joined: { merge: many, output: "joined-\${mode}" }
  image: { convert: source, to: raw, output: image.raw }
default: [copied, chosen, joined, included]
`;
const MORE = `res: 1
targets:
  included: { copy: source, output: included }
`;
const TOOL = (version: string) => `#!/bin/sh\necho "qemu-img version ${version}"\n`;

let work: Workspace;
let bin: Workspace;
let at: Surroundings;

beforeEach(async () => {
  work = makeWorkspace({
    'resources.yaml': MANIFEST,
    'more.yaml': MORE,
    'in/source.txt': 'source\n',
    'in/a.dat': 'a',
    'in/b.dat': 'b',
    'in/one.txt': '1',
    'in/two.txt': '2',
    'sub/here': '',
  });
  bin = makeWorkspace({ 'first/none': '', 'second/qemu-img': TOOL('1.0.0') });
  chmodSync(bin.path('second/qemu-img'), 0o755);
  const PATH = [bin.path('first'), bin.path('second'), process.env.PATH ?? ''].join(delimiter);
  at = { cwd: work.dir, env: { PATH, HOME: bin.dir }, build: 'this one' };
  expect(await res(['build'], at)).toMatchObject({ status: 0 });
  await settled();
});

afterEach(removeWorkspaces);

/** What was just written lies a tick of the clock back. */
function settled(): Promise<void> {
  return sleep(40);
}

/** Asks until the answer is kept, and gives it: the first run may write down what it found out. */
async function kept(args: readonly string[], o = at): Promise<NonNullable<ReturnType<typeof recalled>>> {
  for (let i = 0; i < 3; i++) {
    const answered = await res(args, o);
    const again = recalled(args, o);
    if (!again) {
      await settled();
      continue;
    }
    expect(again).toEqual(answered);
    return again;
  }
  throw new Error(`res ${args.join(' ')} is not remembered`);
}

/** Whatever is kept, the answer is that of a run that keeps nothing. */
async function expectRight(args: readonly string[], o = at): Promise<void> {
  const remembered = recalled(args, o);
  const { build: _, ...plain } = o;
  const fresh = await res(args, plain);
  if (remembered) expect(remembered).toEqual(fresh);
  expect(await res(args, o)).toEqual(fresh);
}

const QUESTIONS: readonly (readonly string[])[] = [
  ['build'],
  ['status'],
  ['status', '--json'],
  ['status', '--check', 'copied'],
  ['why', 'joined'],
  ['graph'],
  ['graph', '--format', 'dot'],
  ['list'],
];

describe('a question asked again', () => {
  it.each(QUESTIONS.map((args) => [args.join(' '), args]))(
    '%s is answered without a run',
    async (_, args) => {
      const { status, stderr } = await kept(args);
      expect([status, stderr]).toEqual([0, '']);
    },
  );

  it('keeps the exit status of status --check', async () => {
    unlinkSync(work.path('resources/copied'));
    await settled();
    expect((await kept(['status', '--check'])).status).toBe(3);
  });

  it('keeps what was said on stderr', async () => {
    writeFileSync(work.path('.res/state/kept.log'), 'damaged, and long enough to be a record\n\n');
    await settled();
    expect((await kept(['status'])).stderr).toContain('damaged');
  });

  it('is another one elsewhere, with other words, for another program, another terminal', async () => {
    await kept(['status']);
    for (const [args, o] of [
      [['status', '--json'], at],
      [['status', 'copied'], at],
      [['status'], { ...at, cwd: work.path('sub') }],
      [['status'], { ...at, build: 'another one' }],
      [['status'], { ...at, isTTY: true }],
    ] as const) {
      expect(recalled(args, o)).toBeUndefined();
      await expectRight(args, o);
    }
    const wide = { ...at, isTTY: true, columns: 120 };
    await kept(['status'], wide);
    expect(recalled(['status'], wide)).toBeDefined();
    expect(recalled(['status'], { ...wide, columns: 60 })).toBeUndefined();
    await expectRight(['status'], { ...wide, columns: 60 });
  });
});

type Change = readonly [what: string, change: () => void, args?: readonly string[]];

/** The same bytes but one, in the same inode, with the time of the last write put back. */
function writeAlike(path: string, content: string): void {
  const { atime, mtime, size } = statSync(path);
  expect(content.length).toBe(size);
  writeFileSync(path, content);
  utimesSync(path, atime, mtime);
}

const CHANGES: readonly Change[] = [
  ['the manifest', () => work.write('resources.yaml', MANIFEST.replace('output: copied', 'output: other'))],
  [
    'the manifest, alike',
    () => writeAlike(work.path('resources.yaml'), MANIFEST.replace('copied, chosen', 'chosen, copied')),
  ],
  ['an included file', () => work.write('more.yaml', MORE.replace('output: included', 'output: moved'))],
  [
    'where an included file leads',
    () => {
      work.write('else.yaml', MORE.replace('output: included', 'output: elsewhere'));
      unlinkSync(work.path('more.yaml'));
      symlinkSync('else.yaml', work.path('more.yaml'));
    },
  ],
  ['an included file that is gone', () => unlinkSync(work.path('more.yaml'))],
  ['a manifest nearer by', () => work.write('sub/resources.yaml', 'res: 1\n'), ['-C', 'sub', 'status']],
  [
    'the folder of -C that is gone',
    () => rmSync(work.path('sub'), { recursive: true }),
    ['-C', 'sub', 'status'],
  ],
  [
    'the folder of -C that is a file',
    () => {
      rmSync(work.path('sub'), { recursive: true });
      work.write('sub', '');
    },
    ['-C', 'sub', 'status'],
  ],
  [
    'a configuration of the user',
    () => bin.write('.config/res/config.yaml', `store: ${bin.path('store')}\n`),
  ],
  ['a configuration that is wrong', () => bin.write('.config/res/config.yaml', 'nonsense: 1\n')],
  ['a lock file that is wrong', () => work.write('resources.lock.yaml', 'nonsense: 1\n')],
  ['an output', () => work.write('resources/copied', 'SOURCE\n')],
  ['an output, alike', () => writeAlike(work.path('resources/copied'), 'SOURCE\n')],
  ['the mode of an output', () => chmodSync(work.path('resources/copied'), 0o755)],
  ['an output that is gone', () => unlinkSync(work.path('resources/copied'))],
  ['the folder of outputs that is gone', () => rmSync(work.path('resources'), { recursive: true })],
  [
    'another folder in its place',
    () => {
      renameSync(work.path('resources'), work.path('away'));
      mkdirSync(work.path('resources'));
    },
  ],
  ['a source', () => work.write('in/source.txt', 'another\n')],
  ['a source, alike', () => writeAlike(work.path('in/source.txt'), 'SOURCE\n')],
  ['a source that is gone', () => unlinkSync(work.path('in/source.txt'))],
  [
    'a source that is a link now',
    () => {
      work.write('else.txt', 'else\n');
      unlinkSync(work.path('in/source.txt'));
      symlinkSync('../else.txt', work.path('in/source.txt'));
    },
  ],
  ['a new file for a glob', () => work.write('in/c.dat', 'c')],
  ['a file of a glob that is gone', () => unlinkSync(work.path('in/a.dat'))],
  ['a file of a glob with another name', () => renameSync(work.path('in/a.dat'), work.path('in/z.dat'))],
  ['a link for a glob', () => symlinkSync('source.txt', work.path('in/c.dat'))],
  ['the records', () => rmSync(work.path('.res'), { recursive: true })],
  ['the traces', () => unlinkSync(work.path('.res/state/traces.log'))],
  ['the records of nodes', () => truncateSync(work.path('.res/state/nodes.log'), 150)],
  [
    'the program that makes it',
    () => {
      bin.write('second/qemu-img', TOOL('2.0.0'));
      chmodSync(bin.path('second/qemu-img'), 0o755);
    },
    ['status', 'image'],
  ],
  [
    'a program before it on PATH',
    () => {
      bin.write('first/qemu-img', TOOL('3.0.0'));
      chmodSync(bin.path('first/qemu-img'), 0o755);
    },
    ['status', 'image'],
  ],
];

type Other = readonly [what: string, surroundings: () => Surroundings, args?: readonly string[]];

const OTHERS: readonly Other[] = [
  [
    'a variable that the manifest asks for',
    () => ({ ...at, env: { ...at.env, NOTE: 'something' } }),
    ['list'],
  ],
  ['a param in the environment', () => ({ ...at, env: { ...at.env, RES_PARAM_MODE: 'two' } })],
  ['colours', () => ({ ...at, env: { ...at.env, FORCE_COLOR: '1' } })],
  ['where the store lies', () => ({ ...at, env: { ...at.env, RES_STORE: bin.path('store') } })],
  ['PATH', () => ({ ...at, env: { ...at.env, PATH: bin.path('first') } }), ['status', 'image']],
];

describe('what an answer rests on', () => {
  for (const [what, change, args = ['status']] of CHANGES)
    it(`${what}: a change is not overlooked`, async () => {
      await kept(args);
      change();
      expect(recalled(args, at)).toBeUndefined();
      await expectRight(args);
    });

  for (const [what, surroundings, args = ['status']] of OTHERS)
    it(`${what}: a change is not overlooked`, async () => {
      await kept(args);
      expect(recalled(args, surroundings())).toBeUndefined();
      await expectRight(args, surroundings());
    });

  it('an object of the store that is gone', async () => {
    expect((await res(['build', '--set', 'mode=two'], at)).status).toBe(0);
    expect((await res(['status', '--json'], at)).stdout).toContain('"cached"');
    await settled();
    await kept(['status', '--json']);
    for (const path of filesBelow(work.path('.res/store'))) unlinkSync(path);
    expect(recalled(['status', '--json'], at)).toBeUndefined();
    await expectRight(['status', '--json']);
  });

  it('any of these, one after the other', async () => {
    // What a build does changes what it finds the next time.
    const questions = QUESTIONS.filter(([command]) => command !== 'build');
    for (const args of questions) await kept(args);
    for (const [, change, args] of CHANGES) {
      if (args) continue;
      try {
        change();
      } catch {
        // What it is about was taken away by one before it.
        continue;
      }
      for (const question of questions) await expectRight(question);
    }
  });
});

describe('what is not kept', () => {
  it.each([
    [
      'what was made a moment ago, and could be changed in the same tick',
      [],
      () => work.write('resources.yaml', MANIFEST),
    ],
  ])('%s', async (_, args, change) => {
    change();
    await res(['status', ...args], at);
    expect(recalled(['status', ...args], at)).toBeUndefined();
  });

  it('a build that worked, or that tells how long it took', async () => {
    unlinkSync(work.path('resources/copied'));
    await res(['build'], at);
    expect(recalled(['build'], at)).toBeUndefined();
    for (const args of [
      ['build', '--json'],
      ['build', '-n'],
      ['build', '--progress', 'json'],
      ['build', '--trace', 'trace.json'],
      ['build', '--force'],
    ]) {
      await settled();
      await res(args, at);
      await res(args, at);
      expect(recalled(args, at), args.join(' ')).toBeUndefined();
    }
  });

  it('errors, help, other commands', async () => {
    for (const args of [
      ['status', 'nothing'],
      ['status', '--help'],
      ['status', '--nothing'],
      ['verify'],
      ['plan'],
      ['gc'],
      ['env'],
    ]) {
      await res(args, at);
      await settled();
      await res(args, at);
      expect(recalled(args, at), args.join(' ')).toBeUndefined();
    }
  });

  it('where nothing was built: looking makes no .res', async () => {
    rmSync(work.path('.res'), { recursive: true });
    await res(['status'], at);
    expect(existsSync(work.path('.res'))).toBe(false);
    expect(recalled(['status'], at)).toBeUndefined();
  });

  it('where the store is shared', async () => {
    const o = { ...at, env: { ...at.env, RES_STORE: bin.path('store') } };
    await res(['build'], o);
    await settled();
    await res(['status'], o);
    expect(recalled(['status'], o)).toBeUndefined();
  });

  it('values of the environment', async () => {
    const o = { ...at, env: { ...at.env, NOTE: 'a-secret-of-mine' } };
    await kept(['status'], o);
    for (const path of answers()) expect(readFileSync(path).includes('a-secret-of-mine')).toBe(false);
  });
});

describe('the files of answers', () => {
  it('are used only when they are whole', async () => {
    await kept(['status']);
    const [file = ''] = answers();
    const whole = readFileSync(file);
    const plain = await res(['status'], at);
    for (let i = 0; i < 60; i++) {
      const length = Math.floor((i * whole.length) / 60);
      writeFileSync(file, whole.subarray(0, length));
      expect(recalled(['status'], at)).toBeUndefined();
      const flipped = Buffer.from(whole);
      flipped.writeUInt8((flipped[length] ?? 0) ^ 0x10, length);
      writeFileSync(file, flipped);
      expect(recalled(['status'], at)).toBeUndefined();
    }
    writeFileSync(file, whole);
    expect(recalled(['status'], at)).toEqual(plain);
  });

  it('are few', async () => {
    for (let i = 0; i < 20; i++)
      await kept(['status', '--color', i % 2 ? 'never' : 'auto', ...Array(i).fill('copied')]);
    expect(answers().length).toBeLessThanOrEqual(16);
  });

  it.skipIf(process.getuid?.() === 0)('are not needed: a folder that cannot be written to', async () => {
    chmodSync(work.path('.res'), 0o555);
    await expectRight(['status']);
    chmodSync(work.path('.res'), 0o755);
  });

  it('are not needed: a file in the way of their folder', async () => {
    rmSync(work.path('.res/cache'), { recursive: true });
    work.write('.res/cache', '');
    await expectRight(['status']);
    expect(readdirSync(work.path('.res/tmp'))).toEqual([]);
  });

  it('are written by several at once', async () => {
    const runs = await Promise.all(QUESTIONS.map((args) => res(args, { ...at, build: `${args}` })));
    expect(runs.every(({ status }) => status === 0)).toBe(true);
  });
});

function answers(): readonly string[] {
  return readdirSync(work.path('.res/cache'))
    .filter((name) => name.startsWith('answer-'))
    .map((name) => work.path('.res/cache', name));
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}
