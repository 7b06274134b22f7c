// `--matrix`: all combinations of params in one build, with the records and the store that builds of one combination have.
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { validator } from '../rig/schemas.js';
import { filesBelow, openScene, outcome } from './engine-scene.js';
import { expectFailed, openSite } from './site.js';

const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
  os: { default: focal, enum: [focal, jammy] }
artifacts:
  tool: { path: in/tool }
  client: { path: "in/client-\${arch}" }
  disk: { path: "in/disk-\${os}-\${arch}" }
targets:
  joined: { merge: [client, tool] }
  kernel: { merge: [joined, tool], output: "kernel-\${arch}" }
  image: { merge: [disk, kernel], output: "image-\${arch}-\${os}" }
  same: { copy: tool, output: tool }
default: [image, same]
`;
const MATRIX = ['--matrix', 'arch=amd64,arm64', '--matrix', 'os=focal,jammy'];
const IMAGES = ['amd64', 'arm64'].flatMap((arch) =>
  ['focal', 'jammy'].map((os) => `image@arch=${arch},os=${os}`),
);

function files(manifest = MANIFEST) {
  return {
    'resources.yaml': manifest,
    'in/tool': 'tool\n',
    'in/client-amd64': 'client amd64\n',
    'in/client-arm64': 'client arm64\n',
    'in/disk-focal-amd64': 'focal amd64\n',
    'in/disk-jammy-amd64': 'jammy amd64\n',
    'in/disk-focal-arm64': 'focal arm64\n',
    'in/disk-jammy-arm64': 'jammy arm64\n',
  };
}

describe('a build of all combinations', () => {
  it('makes every output, and what they share once', async () => {
    const { built, work } = openScene(files());
    expect(outcome(await built(MATRIX)).ran).toEqual([
      ...IMAGES,
      'joined@arch=amd64',
      'joined@arch=arm64',
      'kernel@arch=amd64',
      'kernel@arch=arm64',
      'same',
    ]);
    expect(work.text('resources/image-arm64-jammy')).toBe('jammy arm64\nclient arm64\ntool\ntool\n');
    expect(filesBelow(work.path('resources'))).toHaveLength(7);
  });

  it('has nothing to do afterwards, nor has a build of any one combination, nor the other way round', async () => {
    const { built, work, run } = openScene(files());
    await built(MATRIX);
    expect((await built(MATRIX)).ran).toEqual([]);
    for (const arch of ['amd64', 'arm64'])
      for (const os of ['focal', 'jammy']) {
        const { ran, restored } = await built(['--arch', arch, '--os', os]);
        expect([ran, restored]).toEqual([[], []]);
      }
    work.write('in/client-arm64', 'another client\n');
    await built(['--arch', 'arm64', '--os', 'focal']);
    const { ran } = await built(MATRIX);
    expect(ran).toEqual(['image@arch=arm64,os=jammy']);
    expect((await run(['build', ...MATRIX])).stdout).toMatch(/^up to date/);
  });

  it('is of the nodes named, in all combinations or in some', async () => {
    const { built } = openScene(files());
    expect((await built(['kernel@arch=arm64', ...MATRIX])).ran).toEqual([
      'joined@arch=arm64',
      'kernel@arch=arm64',
    ]);
    expect((await built(['image@os=jammy,arch=arm64', ...MATRIX])).ran).toEqual([
      'image@arch=arm64,os=jammy',
    ]);
    expect((await built(['kernel', ...MATRIX])).ran).toEqual(['joined@arch=amd64', 'kernel@arch=amd64']);
  });

  it('fetches a shared source once, and locks what all need', async () => {
    const site = await openSite({
      manifest: `res: 1
params: { version: { default: v1 }, os: { default: focal } }
artifacts:
  kernel: { github: { repo: lab/images, release: "\${version}", asset: vmlinux } }
  part: { github: { repo: lab/images, release: "\${version}", asset: "data.bin.\${os}" } }
targets:
  both: { merge: [kernel, part], output: "both-\${os}" }
`,
    });
    const built = await site.res('build --matrix os=aa,ab --json');
    expect(JSON.parse(built.stdout)).toMatchObject({
      ok: true,
      ran: expect.arrayContaining(['kernel', 'part@os=aa', 'part@os=ab', 'both@os=aa', 'both@os=ab']),
      downloaded_bytes: 2_200_000,
    });
    expect(site.server.requests(site.release.asset('vmlinux'))).toHaveLength(1);
    expect(site.work.text('resources.lock.yaml').match(/^ {2}github:/gm)).toHaveLength(3);
    expect((await site.res('update --matrix os=aa,ab')).stdout).toMatch('3 sources asked, nothing changed');
  });
});

describe('a failure', () => {
  it('is that of one combination, and -k makes the others', async () => {
    const { build, run, work, node } = openScene(files());
    work.write('in/disk-jammy-arm64', '');
    work.write('resources.yaml', `${MANIFEST}`.replace('merge: [disk, kernel]', 'decompress: disk'));
    const bad = await build(['image', '-k', ...MATRIX]);
    expect(bad.failed).toHaveLength(4);
    expect(bad.failed).toEqual(expect.arrayContaining(IMAGES));
    expect((await node('image@arch=amd64,os=jammy', MATRIX)).state).toBe('failed');
    const why = await run(['why', 'image@arch=amd64,os=jammy', ...MATRIX]);
    expect(why.stdout).toMatch(/image@arch=amd64,os=jammy is failed[\s\S]*last run failed/);
  });
});

describe('every command', () => {
  it('gives JSON of the shape that its schema has', async () => {
    const { run, built } = openScene(files());
    await built(['kernel', ...MATRIX]);
    const one = 'image@arch=arm64,os=jammy';
    for (const args of [
      ['status'],
      ['list'],
      ['plan'],
      ['graph'],
      ['update'],
      ['why', one],
      ['show', one],
      ['build'],
      ['verify'],
      ['clean'],
    ]) {
      const { stdout, status } = await run([...args, '--json', ...MATRIX]);
      expect(status, stdout).toBe(0);
      expect(validator(args[0] ?? '')(JSON.parse(stdout))).toEqual([]);
      if (!['update', 'verify', 'clean'].includes(args[0] ?? '')) expect(stdout).toContain('@arch=arm64');
    }
  });

  it.each([
    ['why image', /is 4 nodes with --matrix[\s\S]*name one of them: image@arch=amd64,os=focal/],
    ['show kernel', /is 2 nodes with --matrix/],
    ['log image', /is 4 nodes/],
    ['env', /one combination of params[\s\S]*res env --arch amd64/],
    ['build --arch amd64', /`arch` has a value of its own/],
    ['build --set os=jammy', /`os` has a value of its own/],
    ['build --matrix os=jammy', /gives `os` twice[\s\S]*--matrix os=jammy,focal/],
    ['build kernl', /did you mean `kernel`/],
    ['build kernel@os=jammy,arch=arm46', /no node is called/],
  ])('%s', async (args, words) => {
    const { run } = openScene(files());
    expectFailed(await run([...args.split(' '), ...MATRIX]), [words], 2);
  });

  it.each([
    ['--matrix arch', /given values as NAME=VALUE,VALUE/],
    ['--matrix arch=', /given values as NAME=VALUE,VALUE/],
    ['--matrix arch=amd64,', /given values as NAME=VALUE,VALUE/],
    ['--matrix arch=amd64,amd64', /`amd64` stands there twice[\s\S]*--matrix arch=amd64/],
    ['--matrix arch=amd64,arm46', /did you mean `arm64`/],
    ['--matrix arhc=amd64', /did you mean `arch`/],
  ])('%s is refused', async (args, words) => {
    const { run } = openScene(files());
    expectFailed(await run(['build', ...args.split(' ')]), [words], 2);
  });

  it('wins over RES_PARAM_*', async () => {
    const { run } = openScene(files());
    const { stdout } = await run(['list', '--matrix', 'arch=arm64'], { env: { RES_PARAM_ARCH: 'amd64' } });
    expect(stdout).toContain('kernel-arm64');
  });
});

describe('outputs that do not differ', () => {
  it('stop everything, with the line as it should be', async () => {
    const { run, work } = openScene(files(MANIFEST.replace(/"kernel-.*"/, 'kernel.bin')));
    const failed = await run(['build', 'same', ...MATRIX]);
    expectFailed(failed, [/resources.yaml:11:/, /output: "kernel-\$\{arch\}\.bin"/], 2);
    expect(work.exists('resources')).toBe(false);
  });
});

describe('--for', () => {
  it('refuses the combination that does not work with it', async () => {
    const variants = 'variants: [{ when: { os: focal } }, { when: { os: jammy }, works-with: [qemu] }]';
    const { run } = openScene(files(MANIFEST.replace('output: "image', `${variants}, output: "image`)));
    expectFailed(await run(['build', '--for', 'gem5', ...MATRIX]), [/image@arch=amd64,os=jammy.*gem5/], 2);
    expect((await run(['build', 'image@os=focal', '--for', 'gem5', ...MATRIX])).status).toBe(0);
    expect((await run(['build', '--for', 'qemu', ...MATRIX])).status).toBe(0);
  });
});

describe('records by longer names', () => {
  it('are cleaned by the plain name, and by what one combination calls it', async () => {
    const { built, run, work } = openScene(files());
    await built(MATRIX);
    await run(['clean', 'image@arch=arm64', ...MATRIX]);
    expect(
      filesBelow(work.path('resources'))
        .map((path) => path.replace(/.*\//, ''))
        .sort(),
    ).toEqual(['image-amd64-focal', 'image-amd64-jammy', 'kernel-amd64', 'kernel-arm64', 'tool']);
    await run(['clean', 'kernel', '--arch', 'arm64']);
    expect(work.exists('resources/kernel-amd64')).toBe(false);
    await built(['kernel', '--arch', 'arm64']);
    await run(['clean', 'kernel@arch=arm64', ...MATRIX]);
    expect(work.exists('resources/kernel-arm64')).toBe(false);
  });

  it('keep from gc what the combinations were made of', async () => {
    const { built, run, objects } = openScene(
      files(MANIFEST.replace('joined: {', 'joined: { keep: always,')),
    );
    await built(MATRIX);
    const before = objects().length;
    expect(before).toBeGreaterThan(1);
    await run(['gc']);
    expect(objects()).toHaveLength(before);
    await run(['gc', '--max-size', '1']);
    expect(objects()).toHaveLength(before);
  });
});

describe('an answer that is remembered', () => {
  it('is that of its own matrix', async () => {
    const { built, run } = openScene(files());
    await built(MATRIX);
    const ask = async (...args: string[]) => (await run(['status', ...args])).stdout;
    const all = await ask(...MATRIX);
    const some = await ask('--matrix', 'arch=arm64,amd64');
    expect(some).not.toBe(all);
    for (let i = 0; i < 2; i++) {
      expect(await ask(...MATRIX)).toBe(all);
      expect(await ask('--matrix', 'arch=arm64,amd64')).toBe(some);
    }
  });
});

describe('why', () => {
  const why = async (scene: ReturnType<typeof openScene>, ...args: string[]) =>
    JSON.parse((await scene.run(['why', '--json', ...args])).stdout);

  it('tells of a node that was made under its plain name, and the other way round', async () => {
    const scene = openScene(files());
    await scene.built(['--arch', 'arm64', '--os', 'focal']);
    rmSync(scene.work.path('resources/kernel-arm64'));
    expect(await why(scene, 'kernel@arch=arm64', ...MATRIX)).toMatchObject({
      state: 'stale',
      reasons: [{ code: 'output-missing' }],
    });
    scene.work.write('in/client-arm64', 'another\n');
    const { chain } = await why(scene, 'image@arch=arm64,os=focal', ...MATRIX);
    expect(JSON.stringify(chain)).not.toContain('never-built');
    // Of another combination nothing was made.
    for (const node of ['kernel@arch=amd64', 'image@arch=arm64,os=jammy'])
      expect((await why(scene, node, ...MATRIX)).reasons[0].code).toBe('never-built');
    const other = openScene(files());
    await other.built(MATRIX);
    rmSync(other.work.path('resources/kernel-amd64'));
    expect((await why(other, 'kernel')).reasons).toMatchObject([{ code: 'output-missing' }]);
  });
});
