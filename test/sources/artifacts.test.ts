import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { partsSource } from '../../src/sources/parts.js';
import { expandPath, pathSource } from '../../src/sources/path.js';
import { sources } from '../../src/sources/registry.js';
import { urlSource } from '../../src/sources/url.js';
import { bench, failure, sha256, tempDir } from './harness.js';

const HEX = 'ab'.repeat(32);

describe('url', () => {
  it('is named by its first address, without secrets', () => {
    expect(
      urlSource.identity({ url: ['https://me:pw@a.org/x.img?X-Amz-Signature=1', 'https://b.org/x'] }),
    ).toBe('url:https://a.org/x.img');
    expect(urlSource.identity({ url: 'https://a.org/x?v=2' })).toBe('url:https://a.org/x?v=2');
    expect(urlSource.identity({ url: 'file:images/a.img' })).toBe('url:file:images/a.img');
  });

  it('is resolved without asking anyone, pins included', async () => {
    const recipe = { url: 'https://a.org/d/x%20y.img?v=2', sha256: HEX.toUpperCase(), size: 5 };
    expect(await urlSource.resolve(recipe, bench().context())).toEqual({
      files: [{ name: 'x y.img', url: 'https://a.org/d/x%20y.img?v=2', sha256: HEX, size: 5 }],
    });
    expect(urlSource.pins(recipe)).toEqual([{ sha256: HEX, size: 5 }]);
    expect(urlSource.pins({ url: 'https://a.org/x' })).toBeUndefined();
  });

  it('is fetched from all its addresses; a relative file URL starts at the manifest', async () => {
    const context = bench().context();
    const recipe = { url: ['file:images/a b.img', 'https://me:pw@a.org/x'] };
    const [location] = await urlSource.locate(recipe, { files: [] }, context);
    expect(location?.urls).toEqual([
      pathToFileURL(join(context.dir, 'images/a b.img')).href,
      'https://me:pw@a.org/x',
    ]);
    const up = await urlSource.locate({ url: 'file:../a' }, { files: [] }, context);
    expect(up[0]?.urls).toEqual([pathToFileURL(join(context.dir, '..', 'a')).href]);
    const absolute = await urlSource.locate({ url: 'file:///a' }, { files: [] }, context);
    expect(absolute[0]?.urls).toEqual(['file:///a']);
  });

  for (const url of ['ftp://a/b', 'a/b', 'https://', '']) {
    it(`may not be ${JSON.stringify(url)}`, () => {
      expect(() => urlSource.identity({ url })).toThrowError(
        expect.objectContaining({ code: 'manifest-invalid' }),
      );
    });
  }

  it('may not name a file outside by an encoded slash', async () => {
    const entry = await urlSource.resolve({ url: 'https://a.org/..%2F..%2Fetc' }, bench().context());
    expect(entry.files[0]?.name).toBe('..%2F..%2Fetc');
  });
});

describe('parts', () => {
  const recipe = { parts: [{ url: 'https://a.org/x.aa', sha256: HEX }, { url: 'https://a.org/x.ab' }] };

  it('are named by the first and by all of them', () => {
    const one = partsSource.identity(recipe);
    expect(one).toMatch(/^parts:https:\/\/a\.org\/x\.aa#2-[0-9a-f]{12}$/);
    expect(partsSource.identity({ parts: [...recipe.parts].reverse() })).not.toBe(one);
    expect(partsSource.identity({ parts: recipe.parts.map(({ url }) => ({ url })) })).toBe(one);
  });

  it('keep their order and their pins', async () => {
    const entry = await partsSource.resolve(recipe, bench().context());
    expect(entry.files).toEqual([
      { name: 'x.aa', url: 'https://a.org/x.aa', sha256: HEX },
      { name: 'x.ab', url: 'https://a.org/x.ab' },
    ]);
    expect(partsSource.pins(recipe)).toEqual([{ sha256: HEX }, {}]);
    const locations = await partsSource.locate(recipe, entry, bench().context());
    expect(locations.map(({ urls }) => urls)).toEqual([['https://a.org/x.aa'], ['https://a.org/x.ab']]);
  });
});

describe('path', () => {
  function tree(...files: readonly string[]): string {
    const dir = tempDir();
    for (const file of files) {
      mkdirSync(join(dir, file, '..'), { recursive: true });
      writeFileSync(join(dir, file), file);
    }
    return dir;
  }
  const expand = async (pattern: string, dir: string) =>
    (await expandPath(pattern, dir)).map(({ path }) => relative(dir, path));

  it('is a file', async () => {
    const dir = tree('images/a.img');
    expect(await expandPath('images/a.img', dir)).toEqual([
      { name: 'a.img', path: join(dir, 'images/a.img'), type: 'file' },
    ]);
    expect(await expandPath(join(dir, 'images/a.img'), '/')).toHaveLength(1);
  });

  const dir = () =>
    tree(
      'b/2.img',
      'b/10.img',
      'b/Z.img',
      'b/c/d/1.img',
      'b/note.txt',
      'b/.hidden.img',
      '.res/x.img',
      'top.img',
    );
  for (const [pattern, expected] of [
    ['b/*.img', ['b/10.img', 'b/2.img', 'b/Z.img']],
    ['./b/*.img', ['b/10.img', 'b/2.img', 'b/Z.img']],
    ['b/?.img', ['b/2.img', 'b/Z.img']],
    ['b/[0-9]*.img', ['b/10.img', 'b/2.img']],
    ['b/{2,10}.img', ['b/10.img', 'b/2.img']],
    ['**/*.img', ['b/10.img', 'b/2.img', 'b/Z.img', 'b/c/d/1.img', 'top.img']],
    ['b/**/1.img', ['b/c/d/1.img']],
    ['*/c/*/*.img', ['b/c/d/1.img']],
    ['{b,b/c/d}/1*.img', ['b/10.img', 'b/c/d/1.img']],
    ['*.img', ['top.img']],
    ['b/.*.img', ['b/.hidden.img']],
  ] as const) {
    it(`${pattern} is ${expected.length} files in code-unit order`, async () => {
      expect(await expand(pattern, dir())).toEqual(expected);
    });
  }

  it('of a file named like a glob is that file', async () => {
    const at = tree('a[1].img', 'a1.img');
    expect(await expand('a[1].img', at)).toEqual(['a[1].img']);
  });

  it('goes through links to files and, one folder at a time, to folders, but not round in circles', async () => {
    const at = tree('real/a.img');
    symlinkSync('real/a.img', join(at, 'link.img'));
    symlinkSync('.', join(at, 'real/loop'));
    symlinkSync('real', join(at, 'also'));
    symlinkSync('nowhere', join(at, 'dead.img'));
    expect(await expand('*.img', at)).toEqual(['link.img']);
    expect(await expand('*/a.img', at)).toEqual(['also/a.img', 'real/a.img']);
    expect(await expand('**/a.img', at)).toEqual(['real/a.img']);
  });

  it('that is not there is told with the nearest name', async () => {
    const error = await failure(expandPath('images/kernal.bin', tree('images/kernel.bin')));
    expect(error.code).toBe('file-not-found');
    expect(error.message).toContain('images/kernal.bin');
    expect(error.hint).toBe('Did you mean images/kernel.bin?');
    expect((await failure(expandPath('no/where/*.img', tree('a')))).code).toBe('file-not-found');
    expect((await failure(expandPath('a/b', tree('a')))).code).toBe('file-not-found');
  });

  it('that is a folder is no file', async () => {
    const error = await failure(expandPath('images', tree('images/a')));
    expect(error.code).toBe('file-not-found');
    expect(error.hint).toContain('images/*');
  });

  it('is resolved to files that can be fetched where they lie', async () => {
    const at = tree('a.img');
    const context = { ...bench().context(), dir: at };
    const entry = await pathSource.resolve({ path: 'a.img' }, context);
    const [location] = await pathSource.locate({ path: 'a.img' }, entry, context);
    if (location === undefined) throw new Error('no location');
    expect(await bench().fetch(location)).toMatchObject({ sha256: sha256(Buffer.from('a.img')) });
  });
});

describe('the registry', () => {
  it('knows every kind of artifact by its key', () => {
    expect([...sources.keys()].sort()).toEqual(['git', 'github', 'parts', 'path', 'url']);
    for (const [name, source] of sources) expect(source.name).toBe(name);
    expect(
      [...sources.values()].filter(({ place }) => place === 'workspace').map(({ name }) => name),
    ).toEqual(['path']);
  });
});
