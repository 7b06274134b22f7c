// `res watch`: what it builds on, what it says of it, and how it ends.
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Run } from '../rig/cli.js';
import { validator } from '../rig/schemas.js';
import { openScene, type Scene } from './engine-scene.js';
import { expectFailed, openSite } from './site.js';

const FILES = {
  'resources.yaml': `res: 1
include: [more.yaml]
artifacts:
  a: { path: in/a }
  parts: { path: "in/parts/**/*.part" }
targets:
  joined: { merge: [a, parts], output: joined }
`,
  'more.yaml': 'res: 1\ntargets:\n  copied: { copy: a, output: copied }\n',
  'in/a': 'a\n',
  'in/parts/1.part': '1\n',
  'in/unused': 'x\n',
};

/** A watch, and what it does from one moment in which it waits to the next. */
async function begin(scene: Scene, args: readonly string[] = [], env = {}) {
  const run = scene.start(['watch', ...args], { env, timeoutMs: 60_000 });
  let rounds = 0;
  let read = 0;
  const waiting = async () => {
    rounds++;
    await run.printed(new RegExp(`(?:watching \\d+ files?;[\\s\\S]*){${rounds}}`));
    const said = run.stderr.slice(read);
    read = run.stderr.length;
    return said;
  };
  const first = await waiting();
  /** What is said of a change, to the end of the build that it leads to. */
  const upon = async (change: () => void) => {
    change();
    return waiting();
  };
  return { run, first, upon };
}

async function interrupt(run: Run): Promise<void> {
  run.signal('SIGINT');
  const { status, stderr } = await run.result;
  expect(status).toBe(130);
  expect(stderr).not.toMatch(/error:.*interrupted|bug of res/);
}

describe('a watch', () => {
  it('builds, and builds again what has changed: files, new files, files that are gone', async () => {
    const scene = openScene(FILES);
    const { work } = scene;
    const { run, upon } = await begin(scene);
    expect(work.text('resources/joined')).toBe('a\n1\n');

    expect(await upon(() => work.write('in/a', 'b\n'))).toMatch(/^● changed: in\/a\n/);
    expect(work.text('resources/joined')).toBe('b\n1\n');
    expect(work.text('resources/copied')).toBe('b\n');

    expect(await upon(() => work.write('in/parts/deep/er/2.part', '2\n'))).toMatch(
      /^● new: in\/parts\/deep\/er\/2.part\n/,
    );
    expect(work.text('resources/joined')).toBe('b\n1\n2\n');

    expect(await upon(() => rmSync(work.path('in/parts/1.part')))).toMatch(/^● gone: in\/parts\/1.part\n/);
    expect(work.text('resources/joined')).toBe('b\n2\n');

    const several = await upon(() => {
      work.write('in/a', 'c\n');
      work.write('in/parts/3.part', '3\n');
    });
    expect(several).toMatch(/^● changed: in\/a; new: in\/parts\/3.part\n/);
    expect(run.stdout.trim().split('\n')).toHaveLength(5);
    await interrupt(run);
    expect(scene.temporaries()).toEqual([]);
  });

  it('does nothing for new times, the same content, and files that nothing is made of', async () => {
    const scene = openScene(FILES);
    const { work } = scene;
    const { run, upon } = await begin(scene);
    const said = await upon(() => {
      utimesSync(work.path('in/a'), new Date(), new Date());
      utimesSync(work.path('resources.yaml'), new Date(), new Date());
      work.write('in/parts/1.part', '1\n');
      work.write('in/unused', 'y\n');
      work.write('in/parts/2.other', 'y\n');
      // Another file with the same content in its place, as editors do.
      work.write('in/new', 'a\n');
      renameSync(work.path('in/new'), work.path('in/a'));
      work.write('in/parts/9.part', '9\n');
    });
    expect(said).toMatch(/^● new: in\/parts\/9.part\n/);
    await interrupt(run);
  });

  it('follows the manifest and what it includes, and survives their mistakes', async () => {
    const scene = openScene(FILES);
    const { work } = scene;
    const { run, upon } = await begin(scene);

    const broken = await upon(() => work.write('more.yaml', 'res: 1\ntargets: [\n'));
    expect(broken).toMatch(/^● changed: more.yaml\n[\s\S]*more.yaml:\d+:\d+: error:/);
    const mended = await upon(() =>
      work.write(
        'more.yaml',
        'res: 1\ninclude: [third.yaml]\ntargets:\n  other: { copy: a, output: other }\n',
      ),
    );
    expect(mended).toMatch(/^● changed: more.yaml\n[\s\S]*cannot read third.yaml/);
    const third = await upon(() =>
      work.write('third.yaml', 'res: 1\nartifacts: { z: { path: far/away/z } }\n'),
    );
    expect(third).toMatch(/^● new: third.yaml\n/);
    expect(work.text('resources/other')).toBe('a\n');

    expect(
      await upon(() =>
        work.write(
          'more.yaml',
          'res: 1\ninclude: [third.yaml]\ntargets:\n  other: { copy: z, output: other }\n',
        ),
      ),
    ).toMatch(/no such file: far\/away\/z/);
    expect(await upon(() => work.write('far/away/z', 'z\n'))).toMatch(/^● new: far\/away\/z\n/);
    expect(work.text('resources/other')).toBe('z\n');
    // The folder goes and comes back.
    expect(await upon(() => rmSync(work.path('far'), { recursive: true }))).toMatch(
      /^● gone: far\/away\/z\n/,
    );
    expect(
      await upon(
        () => mkdirSync(work.path('far/away'), { recursive: true }) && work.write('far/away/z', 'zz\n'),
      ),
    ).toMatch(/^● new: far\/away\/z\n/);
    expect(work.text('resources/other')).toBe('zz\n');
    await interrupt(run);
  });

  it('begins with a manifest that has a mistake', async () => {
    const scene = openScene({ ...FILES, 'more.yaml': 'res: 1\ntargets: { copied: { copy: b } }\n' });
    const { run, first, upon } = await begin(scene);
    expect(first).toMatch(/no node is called `b`/);
    await upon(() => scene.work.write('more.yaml', FILES['more.yaml']));
    expect(scene.work.text('resources/copied')).toBe('a\n');
    await interrupt(run);
  });

  it('goes on after a node has failed', async () => {
    const manifest =
      'res: 1\nartifacts: { a: { path: in/a } }\ntargets: { d: { decompress: a, output: d } }\n';
    const scene = openScene({ 'resources.yaml': manifest, 'in/a': 'no archive' });
    const { run, first, upon } = await begin(scene);
    expect(first).toMatch(/failed: d: /);
    expect(
      await upon(() => scene.work.write('resources.yaml', manifest.replace('decompress', 'copy'))),
    ).toMatch(/^● changed: resources.yaml\n/);
    expect(scene.work.text('resources/d')).toBe('no archive');
    await interrupt(run);
  });

  it('is of the nodes named, and with --matrix of all combinations', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
params: { v: { default: x } }
artifacts:
  a: { path: "in/\${v}" }
  b: { path: in/b }
targets:
  c: { copy: a, output: "c-\${v}" }
  d: { copy: b, output: d }
`,
      'in/x': 'x\n',
      'in/y': 'y\n',
      'in/b': 'b\n',
    });
    const { run, upon } = await begin(scene, ['c', '--matrix', 'v=x,y']);
    const said = await upon(() => {
      scene.work.write('in/b', 'bb\n');
      scene.work.write('in/y', 'yy\n');
    });
    expect(said).toMatch(/^● changed: in\/y\n/);
    expect(scene.work.text('resources/c-y')).toBe('yy\n');
    expect(scene.work.exists('resources/d')).toBe(false);
    await interrupt(run);
  });

  it('writes events that hold to the schema', async () => {
    const scene = openScene(FILES);
    const run = scene.start(['watch', '--progress', 'json']);
    await run.printed('"watching"');
    scene.work.write('more.yaml', 'res: 2\n');
    await run.printed('"ok":false');
    await run.printed(/("watching"[\s\S]*){2}/);
    scene.work.write('more.yaml', FILES['more.yaml']);
    scene.work.write('in/a', 'b\n');
    await run.printed(/("watching"[\s\S]*){3}/);
    run.signal('SIGTERM');
    expect((await run.result).status).toBe(130);
    const lines = run.stderr
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    const [event, error] = [validator('events'), validator('error')];
    for (const line of lines)
      expect(typeof line === 'object' && line && 'error' in line ? error(line) : event(line)).toEqual([]);
    expect(lines).toContainEqual({
      type: 'changed',
      files: [{ path: scene.work.path('more.yaml'), change: 'changed' }],
    });
    expect(run.stdout).toBe('');
  });

  it.each([
    ['kernl', /no node is called/],
    ['--set x=y', /no param `x`/],
    ['--json', /unknown option/],
  ])('refuses %s at once', async (args, words) => {
    expectFailed(await openScene(FILES).run(['watch', ...args.split(' ')]), [words], 2);
  });

  it('needs a manifest', async () => {
    expectFailed(await openScene({}).run(['watch']), [/no resources.yaml/], 2);
  });
});

describe('a build under way', () => {
  const MANIFEST = `res: 1
artifacts:
  part: { github: { repo: lab/images, release: v1, asset: data.bin.ab } }
  a: { path: in/a }
  b: { path: in/b }
targets:
  both: { merge: [part, a], output: both }
  other: { copy: b, output: other }
`;

  it('is finished when a file changes, and then there is another one', async () => {
    const site = await openSite({ manifest: MANIFEST });
    site.work.write('in/a', 'a\n');
    site.work.write('in/b', 'one\n');
    let goOn: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    site.server.fault(site.part(), { stall: { after: 100_000, until } });
    const run = site.start('watch');
    try {
      await run.printed('other: made');
      await site.server.until(({ state }) => state === 'stalled');
      site.work.write('in/b', 'two\n');
      goOn();
      await run.printed(/(watching[\s\S]*){2}/);
      expect(run.stderr).toMatch(/both: made[\s\S]*● changed: in\/b[\s\S]*other: made/);
      expect(site.work.text('resources/other')).toBe('two\n');
      expect(site.server.requests(site.part())).toHaveLength(1);
    } finally {
      await run.kill();
    }
  });

  it('is stopped by an interrupt, and what has arrived is kept', async () => {
    const site = await openSite({ manifest: MANIFEST });
    site.work.write('in/a', 'a\n');
    site.work.write('in/b', 'one\n');
    site.server.fault(site.part(), { stall: { after: 600_000 } });
    const run = site.start('watch');
    await run.printed('downloading');
    await site.server.until(({ state }) => state === 'stalled');
    run.signal('SIGINT');
    const { status, stderr } = await run.result;
    expect(status).toBe(130);
    expect(stderr).toMatch(/interrupted; partial downloads are kept/);
    const next = await site.res('build --json');
    expect(JSON.parse(next.stdout)).toMatchObject({ ok: true });
    expect(site.server.requests(site.part()).at(-1)?.headers.range).toMatch(/^bytes=\d{5,}-/);
  });
});
