// What is packed is read again as it was, by res and by tar; and the same content is the same bytes.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { tarEnd, tarTree } from '../../src/execute/tar-writer.js';
import { readTar } from '../../src/kinds/tar.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const { signal } = new AbortController();

async function packed(name: string, path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tarTree(name, path, signal)) pieces.push(piece);
  return Buffer.concat([...pieces, tarEnd()]);
}

async function read(archive: Buffer) {
  const found: { name: string; type: string; executable: boolean; target: string; body: Buffer }[] = [];
  for await (const { name, type, executable, target, content } of readTar(
    (async function* () {
      yield archive;
    })(),
    'it',
  )) {
    const pieces: Uint8Array[] = [];
    for await (const piece of content()) pieces.push(Buffer.from(piece));
    found.push({ name, type, executable, target, body: Buffer.concat(pieces) });
  }
  return found;
}

const KIB = 1024;

describe('a file', () => {
  it('is read as it was, whatever is zero in it', async () => {
    const work = makeWorkspace();
    const path = work.path('it');
    const run = fc.record({ zero: fc.boolean(), length: fc.integer({ min: 1, max: 200 * KIB }) });
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 8 }), async (runs) => {
        const content = Buffer.concat(runs.map(({ zero, length }) => Buffer.alloc(length, zero ? 0 : 7)));
        writeFileSync(path, content);
        const [entry, ...others] = await read(await packed('it', path));
        expect(others).toEqual([]);
        expect(entry?.body.equals(content)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is the same bytes with holes and without', async () => {
    const work = makeWorkspace();
    writeFileSync(work.path('holes'), 'begin');
    truncateSync(work.path('holes'), 900 * KIB);
    writeFileSync(work.path('full'), Buffer.concat([Buffer.from('begin'), Buffer.alloc(900 * KIB - 5)]));
    const [holes, full] = [await packed('it', work.path('holes')), await packed('it', work.path('full'))];
    expect(holes.equals(full)).toBe(true);
    expect(holes.length).toBeLessThan(70 * KIB);
  });

  it('with very many runs has a map that is not long', async () => {
    const work = makeWorkspace();
    const path = work.path('it');
    writeFileSync(path, '');
    const count = 2100;
    const fd = await import('node:fs/promises').then(({ open }) => open(path, 'r+'));
    for (let i = 0; i < count; i++) await fd.write('x', i * 128 * KIB);
    await fd.close();
    const { size } = statSync(path);
    let entries = 0;
    const archive = (async function* () {
      yield* tarTree('it', path, signal);
      yield tarEnd();
    })();
    for await (const entry of readTar(archive, 'it')) {
      entries++;
      expect(entry.size).toBe(size);
      let at = 0;
      let found = 0;
      for await (const piece of entry.content()) {
        for (let i = piece.indexOf(0x78); i >= 0; i = piece.indexOf(0x78, i + 1)) {
          expect((at + i) % (128 * KIB)).toBe(0);
          found++;
        }
        at += piece.length;
      }
      expect([at, found]).toEqual([size, count]);
    }
    expect(entries).toBe(1);
  });
});

describe('a folder', () => {
  const LONG = `${'a long name, '.repeat(12)}ä`;

  function folder() {
    const work = makeWorkspace({
      'in/b': 'b',
      'in/a/x': 'x',
      [`in/a/${LONG}`]: 'long',
      'in/prog': '#!/bin/sh\n',
    });
    chmodSync(work.path('in/prog'), 0o755);
    symlinkSync('a/x', work.path('in/link'));
    symlinkSync(`${'../'.repeat(40)}far`, work.path('in/far'));
    mkdirSync(work.path('in/empty'));
    writeFileSync(work.path('in/sparse'), Buffer.concat([Buffer.alloc(300 * KIB), Buffer.from('end')]));
    return work;
  }

  it('is read with its order, modes and links', async () => {
    const found = await read(await packed('in', folder().path('in')));
    expect(found.map(({ name, type, executable, target }) => [name, type, executable, target])).toEqual([
      ['in/', 'directory', false, ''],
      ['in/a/', 'directory', false, ''],
      [`in/a/${LONG}`, 'file', false, ''],
      ['in/a/x', 'file', false, ''],
      ['in/b', 'file', false, ''],
      ['in/empty/', 'directory', false, ''],
      ['in/far', 'symlink', false, `${'../'.repeat(40)}far`],
      ['in/link', 'symlink', false, 'a/x'],
      ['in/prog', 'file', true, ''],
      ['in/sparse', 'file', false, ''],
    ]);
  });

  it.skipIf(!has('tar'))('is unpacked by tar', async () => {
    const work = folder();
    work.write('it.tar', await packed('in', work.path('in')));
    mkdirSync(work.path('out'));
    execFileSync('tar', ['xf', work.path('it.tar'), '-C', work.path('out')]);
    execFileSync('diff', ['-r', '--no-dereference', work.path('in'), work.path('out/in')]);
    expect(statSync(work.path('out/in/prog')).mode & 0o111).toBe(0o111);
    expect(readFileSync(join(work.path('out/in/a'), LONG), 'utf8')).toBe('long');
  });
});
