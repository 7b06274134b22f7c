import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findSum, parseSums, verifyContent } from '../../src/execute/verify-content.js';
import type { Node } from '../../src/model/node.js';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);

function node(verify: Node['verify']): Node {
  return {
    name: 'qcow2',
    section: 'target',
    kind: 'extract',
    recipe: {},
    executable: false,
    keep: 'auto',
    variants: [],
    references: [],
    locate: () => ({ file: 'resources.yaml', line: 7, column: 3, text: '  qcow2:', length: 5 }),
    ...(verify ? { verify } : {}),
  };
}

describe('a list of sums', () => {
  it('is read as sha256sum prints it, in text and in binary mode', () => {
    expect([...parseSums(`${A}  temp/disk-image.qcow2\n${B} *kernel\n`)]).toEqual([
      ['temp/disk-image.qcow2', A],
      ['kernel', B],
    ]);
  });

  it('is read in the BSD form, with CRLF and capital digits', () => {
    expect([...parseSums(`SHA256 (disk.img) = ${A.toUpperCase()}\r\n`)]).toEqual([['disk.img', A]]);
  });

  it('passes over comments and sums of other algorithms', () => {
    expect(parseSums(`# made by hand\nd41d8cd98f00b204e9800998ecf8427e  x\n\n`).size).toBe(0);
  });

  it('finds the whole name before the last part of one', () => {
    const sums = parseSums(`${A}  a/disk\n${B}  b/disk\n`);
    expect(findSum(sums, ['b/disk'])).toEqual({ name: 'b/disk', sha256: B });
    expect(findSum(sums, ['./a/disk'])?.sha256).toBe(A);
  });

  it('finds by the last part of the name only when that is plain', () => {
    expect(findSum(parseSums(`${A}  temp/disk\n`), ['disk'])).toEqual({ name: 'temp/disk', sha256: A });
    expect(findSum(parseSums(`${A}  a/disk\n${B}  b/disk\n`), ['disk'])).toBeUndefined();
  });
});

describe('verifying content', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'res-verify-'));
    await writeFile(join(folder, 'sums'), `${A}  temp/disk-image.qcow2\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('accepts the published sum', async () => {
    await verifyContent(
      node({ sums: 'disk-sums' }),
      `sha256:${A}`,
      ['temp/disk-image.qcow2'],
      join(folder, 'sums'),
    );
    await verifyContent(node({ sha256: A.toUpperCase() }), `sha256:${A}`, [], undefined);
  });

  it('names both sums when they differ, and where verify stands', async () => {
    const check = verifyContent(
      node({ sums: 'disk-sums' }),
      `sha256:${B}`,
      ['temp/disk-image.qcow2'],
      join(folder, 'sums'),
    );
    await expect(check).rejects.toMatchObject({ code: 'checksum-mismatch' });
    await expect(check).rejects.toMatchObject({
      hint: expect.stringContaining(`sha256 ${B}, but disk-sums for temp/disk-image.qcow2 says ${A}`),
    });
    await expect(check).rejects.toMatchObject({ diagnostics: [{ location: { line: 7 } }] });
  });

  it('says what the list holds when the content is not in it', async () => {
    const check = verifyContent(node({ sums: 'disk-sums' }), `sha256:${A}`, ['kernel'], join(folder, 'sums'));
    await expect(check).rejects.toMatchObject({
      code: 'sums-entry-missing',
      hint: 'It lists temp/disk-image.qcow2.',
    });
  });
});
