// The graph that is kept: whatever is changed, a run that finds it says what a run says that parses the manifest.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { res, type Surroundings } from './in-process.js';

const MANIFEST = `res: 1
include: [more.yaml]
params:
  mode: { default: one, enum: [one, two] }
artifacts:
  source: { path: "in/\${env.WHICH:-source}.txt" }
targets:
  copied: { copy: source, output: "copied-\${mode}" }
default: [copied, more]
`;
const MORE = 'res: 1\ntargets:\n  more: { copy: source, output: more }\n';

let work: Workspace;
let at: Surroundings;

beforeEach(async () => {
  work = makeWorkspace({
    'resources.yaml': MANIFEST,
    'more.yaml': MORE,
    'in/source.txt': 'source\n',
    'in/other.txt': 'other\n',
  });
  at = { cwd: work.dir, build: 'this one' };
  expect((await res(['build'], at)).status).toBe(0);
  expect(existsSync(graphFile())).toBe(true);
});

afterEach(removeWorkspaces);

function graphFile(): string {
  return work.path('.res/cache/graph-resources.yaml');
}

/** Twice: with the graph that is there, and with the one that is kept then. */
async function expectRight(args: readonly string[], o = at): Promise<void> {
  const { build: _, ...plain } = o;
  const parsed = await res(args, plain);
  expect(await res(args, o)).toEqual(parsed);
  expect(await res(args, o)).toEqual(parsed);
}

const ASK = ['status', '--json'];

describe('a graph that is kept', () => {
  it('is used, and then not written again', async () => {
    const { ino } = statSync(graphFile());
    await expectRight(['list', '--json']);
    expect(statSync(graphFile()).ino).toBe(ino);
  });

  it('is kept only where something was built: looking makes no .res', async () => {
    const other = makeWorkspace({ 'resources.yaml': MANIFEST, 'more.yaml': MORE });
    expect((await res(['list', '--json'], { cwd: other.dir, build: 'this one' })).status).toBe(0);
    expect(existsSync(other.path('.res'))).toBe(false);
  });

  it.each<[string, () => void]>([
    ['the manifest', () => work.write('resources.yaml', MANIFEST.replace('copied-', 'else-'))],
    [
      'the manifest, with the same size and time',
      () => {
        writeFileSync(work.path('resources.yaml'), MANIFEST.replace('[copied, more]', '[more, copied]'));
        utimesSync(work.path('resources.yaml'), 0, 0);
      },
    ],
    ['an included file', () => work.write('more.yaml', MORE.replace('output: more', 'output: less'))],
    ['an included file that is gone', () => unlinkSync(work.path('more.yaml'))],
    [
      'where an included file leads',
      () => {
        work.write('else.yaml', MORE.replace('output: more', 'output: else'));
        unlinkSync(work.path('more.yaml'));
        symlinkSync('else.yaml', work.path('more.yaml'));
      },
    ],
    [
      'an included file that is the manifest itself',
      () => {
        unlinkSync(work.path('more.yaml'));
        symlinkSync('resources.yaml', work.path('more.yaml'));
      },
    ],
    ['a manifest that is wrong', () => work.write('resources.yaml', `${MANIFEST}nonsense: 1\n`)],
    ['a manifest that is gone', () => unlinkSync(work.path('resources.yaml'))],
  ])('%s: a change is not overlooked', async (_, change) => {
    change();
    await expectRight(ASK);
    await expectRight(['list']);
  });

  it('holds for the values that were given', async () => {
    await expectRight([...ASK, '--mode', 'two']);
    await expectRight(ASK);
    await expectRight([...ASK, '--set', 'mode=two']);
    await expectRight(ASK, { ...at, env: { RES_PARAM_MODE: 'two' } });
    await expectRight(ASK, { ...at, env: { WHICH: 'other' } });
    await expectRight(ASK, { ...at, env: { WHICH: '' } });
    await expectRight([...ASK, '--mode', 'three']);
    await expectRight([...ASK, '--set', 'nothing=1']);
    await expectRight(ASK);
  });

  it('says where things stand in the manifest', async () => {
    unlinkSync(work.path('in/source.txt'));
    const { stderr } = await res(['status'], at);
    expect(stderr).toMatch(/resources\.yaml:6:\d+/);
    await expectRight(['status']);
  });

  it('is that of one manifest', async () => {
    work.write('other.yaml', MANIFEST.replace('copied-', 'other-'));
    await expectRight(['-f', 'other.yaml', ...ASK]);
    copyFileSync(graphFile(), work.path('.res/cache/graph-third.yaml'));
    renameSync(work.path('other.yaml'), work.path('third.yaml'));
    await expectRight(['-f', 'third.yaml', ...ASK]);
  });

  it('is that of one build of the program', async () => {
    const text = readFileSync(graphFile(), 'utf8');
    await expectRight(ASK, { ...at, build: 'another one' });
    expect(readFileSync(graphFile(), 'utf8')).not.toBe(text);
  });

  it('is used only when it is whole', async () => {
    const whole = readFileSync(graphFile());
    for (let i = 0; i < 40; i++) {
      const length = Math.floor((i * whole.length) / 40);
      const flipped = Buffer.from(whole);
      flipped.writeUInt8((flipped[length] ?? 0) ^ 0x10, length);
      for (const content of [whole.subarray(0, length), flipped]) {
        writeFileSync(`${graphFile()}.new`, content);
        renameSync(`${graphFile()}.new`, graphFile());
        expect((await res(['list'], at)).status).toBe(0);
        expect(readFileSync(graphFile()).equals(whole)).toBe(true);
      }
    }
  });

  it('is not needed', async () => {
    unlinkSync(graphFile());
    chmodSync(work.path('.res/cache'), 0o555);
    await expectRight(ASK);
    chmodSync(work.path('.res/cache'), 0o755);
  });

  it('holds no secret of a URL', async () => {
    unlinkSync(graphFile());
    for (const url of ['https://me:hush@example.org/x', 'https://example.org/x?token=hush']) {
      work.write('resources.yaml', MANIFEST.replace('targets:', `  remote: { url: "${url}" }\ntargets:`));
      await expectRight(['list']);
      expect(existsSync(graphFile())).toBe(false);
    }
    work.write('resources.yaml', MANIFEST);
    const o = { ...at, env: { RES_MIRRORS: 'https://example.org/=https://me:hush@mirror.example.org/' } };
    await expectRight(['list'], o);
    if (existsSync(graphFile())) expect(readFileSync(graphFile(), 'utf8')).not.toContain('hush');
  });

  it('is not kept by a command that is to leave all as it is', async () => {
    unlinkSync(graphFile());
    await res(['gc', '-n'], at);
    await res(['env'], at);
    expect(existsSync(graphFile())).toBe(false);
  });
});

describe('with --matrix', () => {
  const BOTH = ['--matrix', 'mode=one,two'];

  it.each([
    [['list', ...BOTH]],
    [['list', '--matrix', 'mode=two,one']],
    [['list', '--matrix', 'mode=two']],
    [['list', '--mode', 'two']],
    [['list']],
    [['status', ...BOTH, '--json']],
    [['why', 'copied@mode=two', ...BOTH]],
    [['show', 'copied@mode=two', ...BOTH, '--json']],
  ])('%s is said as by a parse, whatever was kept before', async (args) => {
    await res(['list', ...BOTH], at);
    await expectRight(args);
    await res(['list', '--matrix', 'mode=one'], at);
    await expectRight(args);
  });
});
