import { closeSync, ftruncateSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataExtents } from '../../src/store/extents.js';
import { digestFile } from '../../src/store/hashing.js';
import { tempDir } from './temp.js';

const MIB = 1024 * 1024;

function sparseFile(path: string, size: number, at: number): void {
  const fd = openSync(path, 'w');
  writeSync(fd, Buffer.alloc(MIB, 'x'), 0, MIB, at);
  ftruncateSync(fd, size);
  closeSync(fd);
}

describe('the data of a file with holes', () => {
  it('is found by qemu-img, and the digest is the same with it', async () => {
    const path = join(tempDir(), 'f,with=odd:name');
    const size = 32 * MIB + 100;
    sparseFile(path, size, 9 * MIB);
    expect(statSync(path).blocks * 512).toBeLessThan(size);
    const extents = await dataExtents(path, { qemuImg: 'qemu-img' });
    const total = extents?.reduce((sum, extent) => sum + extent.length, 0) ?? Number.NaN;
    expect(total).toBeGreaterThanOrEqual(MIB);
    expect(total).toBeLessThan(2 * MIB);
    expect(extents?.some(({ start, length }) => start <= 9 * MIB && start + length >= 10 * MIB)).toBe(true);
    expect(await digestFile(path, 'derived', extents ? { extents } : {})).toEqual(
      await digestFile(path, 'derived'),
    );
  });

  it('is told in as few ranges as there are, however the program cuts them', async () => {
    const dir = tempDir();
    sparseFile(join(dir, 'sparse'), 4 * MIB, 0);
    const map = [
      { start: 0, length: MIB, zero: false },
      { start: MIB, length: MIB, zero: false },
      { start: 2 * MIB, length: MIB, zero: true },
      { start: 3 * MIB, length: 2 * MIB, zero: false },
    ];
    const qemuImg = join(dir, 'qemu-img');
    writeFileSync(qemuImg, `#!/bin/sh\necho '${JSON.stringify(map)}'\n`, { mode: 0o755 });
    expect(await dataExtents(join(dir, 'sparse'), { qemuImg })).toEqual([
      { start: 0, length: 2 * MIB },
      { start: 3 * MIB, length: MIB },
    ]);
  });

  it('is not asked for when there are no holes, or nobody to ask', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'full'), Buffer.alloc(MIB, 'x'));
    expect(await dataExtents(join(dir, 'full'), { qemuImg: '/nonexistent/qemu-img' })).toBeUndefined();
    sparseFile(join(dir, 'sparse'), 8 * MIB, 0);
    expect(await dataExtents(join(dir, 'sparse'), {})).toBeUndefined();
  });

  it('counts as unknown when the program fails or prints something else', async () => {
    const dir = tempDir();
    sparseFile(join(dir, 'sparse'), 8 * MIB, 0);
    const answers = [
      'exit 1',
      'echo hello',
      'echo "[]"',
      'echo \'[{"start":0,"length":4096,"zero":true}]\'',
      'echo \'[{"start":4096,"length":8384512,"zero":true}]\'',
    ];
    for (const [i, script] of answers.entries()) {
      const program = join(dir, `qemu-img-${i}`);
      writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      expect(await dataExtents(join(dir, 'sparse'), { qemuImg: program })).toBeUndefined();
    }
    expect(await dataExtents(join(dir, 'sparse'), { qemuImg: '/nonexistent/qemu-img' })).toBeUndefined();
  });
});
