// The main job from nothing: parts of a release become a kernel, a client and a disk image, and nothing else is kept.
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GLIMPSE_BYTES } from '../../src/kinds/glimpse.js';
import { has, tool } from '../rig/tools.js';
import { diskBytes, filesBelow, openRelease, outcome } from './engine-scene.js';

const isProgram = (path: string) => {
  try {
    accessSync(path, constants.X_OK);
    return (statSync(path).mode & 0o111) !== 0;
  } catch {
    return false;
  }
};

describe.skipIf(!has('qemu-img', 'mke2fs', 'e2fsck'))('a cold build of the vSwarm-u resources', () => {
  it('gives the very bytes that were published, for the simulator to use', async () => {
    const { work, built, amd64, server, release } = await openRelease({ size: { sizeMiB: 32, dataMiB: 3 } });
    const result = await built();
    expect(outcome(result)).toEqual({
      ran: ['client', 'disk-parts', 'disk-sums', 'kernel', 'merged', 'qcow2', 'raw-disk'],
    });
    expect(result.downloaded_bytes).toBe(amd64.totalBytes);

    const asset = (name: string) => readFileSync(amd64.assets[name]?.path ?? '');
    expect(work.read('resources/kernel').equals(asset(amd64.kernel))).toBe(true);
    expect(work.read('resources/client').equals(asset(amd64.client))).toBe(true);
    expect(work.read('resources/disk-image.qcow2').equals(readFileSync(amd64.qcow2))).toBe(true);
    expect(work.read('resources/disk-image.raw').equals(readFileSync(amd64.raw))).toBe(true);
    expect(isProgram(work.path('resources/client'))).toBe(true);
    for (const name of ['kernel', 'disk-image.qcow2', 'disk-image.raw'])
      expect(statSync(work.path('resources', name)).mode & 0o111, name).toBe(0);

    const raw = statSync(work.path('resources/disk-image.raw'));
    expect(raw.blocks * 512).toBeLessThan(raw.size / 2);
    await tool(['e2fsck', '-fn', work.path('resources/disk-image.raw')]);
    // Before that, the beginning of the image was looked at once, to know how much room it takes.
    const looked = (name: string) => (name === amd64.parts[0] ? GLIMPSE_BYTES : 0);
    for (const name of Object.keys(amd64.assets))
      expect(server.bytesSent(release.asset(name)), name).toBe(asset(name).length + looked(name));
  });

  it('keeps one copy of everything: outputs and downloads, no intermediates, no temporaries', async () => {
    const { work, built, amd64, objects, temporaries } = await openRelease();
    await built();
    const downloads = [...amd64.parts, amd64.sums].map((name) =>
      readFileSync(amd64.assets[name]?.path ?? ''),
    );
    expect(
      objects()
        .map((path) => statSync(path).size)
        .sort(),
    ).toEqual(downloads.map(({ length }) => length).sort());
    expect(
      filesBelow(work.path('resources'))
        .map((path) => path.slice(work.path('resources').length + 1))
        .sort(),
    ).toEqual(['client', 'disk-image.qcow2', 'disk-image.raw', 'kernel']);
    expect(temporaries()).toEqual([]);
    expect(filesBelow(work.path('.res/partial'))).toEqual([]);
    // All that is kept beside the outputs is the downloads and a few records.
    const beside = diskBytes(filesBelow(work.path('.res')));
    const sum = downloads.reduce((bytes, { length }) => bytes + length, 0);
    expect(beside).toBeLessThan(sum + 256 * 1024);
  });

  it('of one node takes only what that node needs', async () => {
    const { work, built, server, amd64 } = await openRelease();
    expect(outcome(await built(['kernel']))).toEqual({ ran: ['kernel'] });
    expect(filesBelow(work.path('resources'))).toEqual([work.path('resources/kernel')]);
    expect(server.bytesSent()).toBeLessThan(amd64.totalBytes / 2);
  });

  it('works when the server gives no digests, and locks those that were seen', async () => {
    const { work, built, amd64, server } = await openRelease({ digests: false });
    await built();
    expect(work.read('resources/disk-image.raw').equals(readFileSync(amd64.raw))).toBe(true);
    server.reset();
    const again = await built();
    expect(outcome(again).ran).toBeUndefined();
    expect(server.requests()).toEqual([]);
    expect(work.text('resources.lock.yaml').match(/sha256: [0-9a-f]{64}/g)).toHaveLength(
      Object.keys(amd64.assets).length,
    );
  });
});
