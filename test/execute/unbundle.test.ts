// A bundle is content from outside: what is not as it says of itself is refused, and then nothing is put anywhere.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type BundleIndex, encodeIndex, objectName } from '../../src/execute/bundle-index.js';
import { unbundle } from '../../src/execute/unbundle.js';
import { sha256Digest } from '../../src/model/digest.js';
import { ResError } from '../../src/model/error.js';
import { digestDirectory } from '../../src/store/directory.js';
import { filesBelow } from '../cli-runs/engine-scene.js';
import { paxEntry, type TarEntry, tarBytes } from '../rig/tar.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

afterEach(removeWorkspaces);

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const MANIFEST = 'res: 1\nartifacts: { a: { path: in/a } }\ntargets: { b: { copy: a, output: b } }\n';
const OBJECT = { digest: sha256Digest(sha256Of('object')), type: 'file', size: 6 } as const;

const INDEX: BundleIndex = {
  manifest: 'resources.yaml',
  nodes: ['b'],
  flags: [],
  files: [
    { path: 'in/a', sha256: sha256Of('a'), size: 1 },
    { path: 'resources.yaml', sha256: sha256Of(MANIFEST), size: MANIFEST.length },
  ],
  objects: [OBJECT],
  traces: {},
  records: {},
};
const ENTRIES: readonly TarEntry[] = [
  { name: 'files/in/a', body: 'a' },
  { name: 'files/resources.yaml', body: MANIFEST },
  { name: objectName(OBJECT), body: 'object' },
];

/** An archive with this index and these entries. */
function bundleOf(index: unknown = INDEX, entries: readonly TarEntry[] = ENTRIES): Buffer {
  const first = Buffer.from(JSON.stringify({ 'res-bundle': 1, ...Object(index) }));
  return tarBytes([{ name: 'res-bundle.json', body: first }, ...entries]);
}

async function take(work: Workspace, archive: Uint8Array) {
  work.write('b.tar', archive);
  const { signal } = new AbortController();
  return unbundle(work.path('b.tar'), work.path('to'), { env: {}, signal });
}

/** The error that it ends with; nothing is where it was to go, nor beside it. */
async function refused(
  archive: Uint8Array,
  prepare: (work: Workspace) => void = () => undefined,
): Promise<ResError> {
  const work = makeWorkspace({ 'outside/kept': 'kept' });
  prepare(work);
  const before = filesBelow(work.dir, true);
  try {
    await take(work, archive);
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    const added = filesBelow(work.dir, true).filter((path) => !before.includes(path));
    expect(added.filter((path) => path !== work.path('b.tar') && path !== work.path('to'))).toEqual([]);
    expect(readFileSync(work.path('outside/kept'), 'utf8')).toBe('kept');
    return error;
  }
  throw new Error('it was taken');
}

describe('a bundle', () => {
  it('is taken where everything is as it says, compressed or not', async () => {
    for (const archive of [
      bundleOf(),
      gzipSync(bundleOf()),
      tarBytes([{ name: 'res-bundle.json', body: encodeIndex(INDEX) }, ...ENTRIES]),
    ]) {
      const work = makeWorkspace();
      expect(await take(work, archive)).toMatchObject({ files: 2, objects: 1, nodes: ['b'] });
      expect(work.text('to/in/a')).toBe('a');
      const hex = OBJECT.digest.slice(7);
      expect(work.text(`to/.res/store/cas/${hex.slice(0, 2)}/${hex}`)).toBe('object');
    }
  });

  it('of no bundle says so', async () => {
    for (const archive of [
      Buffer.from('text'),
      Buffer.alloc(0),
      tarBytes([]),
      tarBytes(ENTRIES),
      gzipSync('text'),
      tarBytes([{ name: 'res-bundle.json', type: '5' }]),
      tarBytes([{ name: 'res-bundle.json', body: '[]' }]),
      tarBytes([{ name: 'res-bundle.json', body: '{' }]),
    ])
      expect((await refused(archive)).code).toBe('bad-format');
    expect(
      (await refused(tarBytes([{ name: 'res-bundle.json', body: '{"res-bundle":2}' }]))).message,
    ).toMatch(/form that/);
  });

  it.each([
    ['files', [{ path: 'x' }]],
    ['files', [{ path: 'x', sha256: 'x', size: 1 }]],
    ['objects', [{ ...OBJECT, digest: 'md5:x' }]],
    ['objects', [{ ...OBJECT, size: -1 }]],
    ['objects', [{ ...OBJECT, type: 'link' }]],
    ['traces', { x: {} }],
    ['traces', { [sha256Of('x')]: { content: 'x' } }],
    ['records', { 'a/../b': {} }],
    ['nodes', ['\u001b[31m']],
    ['flags', ['a\nb']],
    ['manifest', 'other.yaml'],
  ])('with malformed %s is refused', async (key, value) => {
    expect((await refused(bundleOf({ ...INDEX, [key]: value }))).code).toBe('bad-format');
  });

  it.each([
    '../x',
    '/etc/x',
    'a/../../x',
    '.res/state/traces.log',
    '.RES/x',
    './x',
    'a//b',
    'a\\b',
    'a\nb',
    'a\0b',
  ])('with a file at %j is refused', async (path) => {
    const files = [...INDEX.files, { path, sha256: sha256Of('x'), size: 1 }];
    const error = await refused(
      bundleOf({ ...INDEX, files }, [...ENTRIES, { name: `files/${path}`, body: 'x' }]),
    );
    expect(error.code).toBe('unsafe-archive');
  });

  const [a, manifest, object] = ENTRIES;
  if (!a || !manifest || !object) throw new Error('no entries');
  it.each<[string, readonly TarEntry[], string]>([
    ['an entry that it does not name', [...ENTRIES, { name: 'files/more', body: 'x' }], 'unsafe-archive'],
    ['an entry outside', [...ENTRIES, { name: '../../outside/x', body: 'x' }], 'unsafe-archive'],
    ['a file twice', [...ENTRIES, a], 'unsafe-archive'],
    ['a file twice under another spelling', [...ENTRIES, { ...a, name: 'files/./in/a' }], 'unsafe-archive'],
    ['its index twice', [...ENTRIES, { name: 'res-bundle.json', body: '{}' }], 'unsafe-archive'],
    [
      'a link in the place of a file',
      [{ ...a, type: '2', body: '', link: '/etc/passwd' }, manifest, object],
      'unsafe-archive',
    ],
    ['a hard link', [a, manifest, { ...object, type: '1', body: '', link: 'files/in/a' }], 'unsafe-archive'],
    ['a device', [a, manifest, { ...object, type: '3', body: '' }], 'unsafe-archive'],
    [
      'a folder in the place of an object',
      [a, manifest, { name: `${objectName(OBJECT)}/x`, body: 'object' }],
      'unsafe-archive',
    ],
    ['more bytes than it says', [a, manifest, { ...object, body: 'object and more' }], 'unsafe-archive'],
    [
      'a hole larger than it says',
      [
        a,
        manifest,
        paxEntry({
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': objectName(OBJECT),
          'GNU.sparse.realsize': String(2 ** 50),
        }),
        { ...object, body: `1\n${2 ** 50}\n0\n`.padEnd(512, '\0') },
      ],
      'unsafe-archive',
    ],
    ['other bytes in an object', [a, manifest, { ...object, body: 'objekt' }], 'checksum-mismatch'],
    ['other bytes in a file', [{ ...a, body: 'b' }, manifest, object], 'checksum-mismatch'],
    ['no object', [a, manifest], 'corrupt-input'],
    ['no file', [manifest, object], 'corrupt-input'],
  ])('with %s is refused', async (_, entries, code) => {
    expect((await refused(bundleOf(INDEX, entries))).code).toBe(code);
  });

  it('that is larger than the disk is refused before anything is read of it', async () => {
    const objects = [{ ...OBJECT, size: 2 ** 52 }];
    expect((await refused(bundleOf({ ...INDEX, objects }, []))).code).toBe('no-space');
  });

  it('with a folder takes what is in it, and nothing that leads out', async () => {
    const work = makeWorkspace({ 'tree/x': 'x' });
    symlinkSync('x', work.path('tree/link'));
    const { digest, size } = await digestDirectory(work.path('tree'));
    const folder = { digest, type: 'directory', size } as const;
    const index = { ...INDEX, objects: [folder] };
    const name = objectName(folder);
    const good: TarEntry[] = [
      { name: `${name}/`, type: '5' },
      { name: `${name}/link`, type: '2', link: 'x' },
      { name: `${name}/x`, body: 'x' },
    ];
    expect(await take(work, bundleOf(index, [a, manifest, ...good]))).toMatchObject({ objects: 1 });
    for (const [more, code] of [
      [[{ name: `${name}/out`, type: '2', link: '../../../x' }], 'unsafe-archive'],
      [[{ name: `${name}/abs`, type: '2', link: '/etc' }], 'unsafe-archive'],
      [[{ name: `${name}/link/y`, body: '' }], 'unsafe-archive'],
      [[{ name: `${name}/../y`, body: '' }], 'unsafe-archive'],
      [[{ name: `${name}/much`, body: 'more than it says' }], 'unsafe-archive'],
      [[{ name: `${name}/empty`, body: '' }], 'checksum-mismatch'],
    ] as const)
      expect((await refused(bundleOf(index, [a, manifest, ...good, ...more]))).code).toBe(code);
  });

  it('replaces nothing, and does not follow a link out of the folder', async () => {
    const other = await refused(bundleOf(), (work) => work.write('to/in/a', 'mine'));
    expect(other.code).toBe('output-foreign');
    const link = await refused(bundleOf(), (work) => {
      mkdirSync(work.path('to'));
      symlinkSync(work.path('outside'), work.path('to/in'));
    });
    expect(link.code).toBe('unsafe-archive');
  });

  it('cut off or changed anywhere is refused, or what is taken is as it should be', async () => {
    const archive = bundleOf();
    const damage = fc.oneof(
      fc.record({ cut: fc.nat(archive.length - 1025) }),
      fc.record({ at: fc.nat(archive.length - 1025), bit: fc.nat(7) }),
    );
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), async (how, zip) => {
        const bytes = zip ? gzipSync(archive) : Buffer.from(archive);
        if ('at' in how) {
          const at = how.at % bytes.length;
          bytes[at] = (bytes[at] ?? 0) ^ (1 << how.bit);
        }
        const damaged = 'cut' in how ? bytes.subarray(0, how.cut % bytes.length) : bytes;
        const work = makeWorkspace();
        try {
          await take(work, damaged);
        } catch (error) {
          if (!(error instanceof ResError)) throw error;
          expect(filesBelow(work.path('to'))).toEqual([]);
          return;
        } finally {
          if (existsSync(work.path('to/in/a'))) expect(work.text('to/in/a')).toBe('a');
          work.remove();
        }
      }),
      { numRuns: 60 },
    );
  });
});

it('the folder that a bundle goes to may be a file, which stays', async () => {
  const work = makeWorkspace();
  writeFileSync(work.path('to'), 'a file');
  await expect(take(work, bundleOf())).rejects.toBeInstanceOf(ResError);
  expect(work.text('to')).toBe('a file');
});
