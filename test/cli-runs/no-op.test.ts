// When nothing is to be done, nothing is done: no process, no connection, no content read.
import { describe, expect, it } from 'vitest';
import { has } from '../rig/tools.js';
import { withWitness } from '../rig/witness.js';
import { atEnd, filesBelow, inode, openRelease } from './engine-scene.js';

/** Bytes. Keys and records are hashed; a file's content is larger than any of these. */
const LARGEST_RECORD = 32 * 1024;

describe.skipIf(!has('qemu-img', 'mke2fs'))('with everything up to date', () => {
  it.each([
    ['build', ['build']],
    ['build of one node', ['build', 'raw-disk']],
    ['status', ['status']],
    ['status --check', ['status', '--check']],
    ['plan', ['plan']],
  ])('%s starts no process, opens no connection and hashes no content', async (_, args) => {
    const { work, built, run, server } = await openRelease();
    await built();
    server.reset();
    const before = filesBelow(work.path('resources')).map((path) => [path, inode(path)]);
    const witness = withWitness();
    atEnd(() => witness.remove());
    const { status, stdout, stderr } = await run(args, { env: witness.env });
    expect(status, stderr).toBe(0);
    if (args[0] === 'build') expect(stdout).toBe('up to date\n');
    expect(stderr).toBe('');
    const { processes, connections, lookups, workers, largestHash } = witness.testimony();
    expect({ processes, connections, lookups, workers }).toEqual({
      processes: [],
      connections: [],
      lookups: [],
      workers: 0,
    });
    expect(largestHash).toBeLessThan(LARGEST_RECORD);
    expect(server.connections).toBe(0);
    expect(filesBelow(work.path('resources')).map((path) => [path, inode(path)])).toEqual(before);
  });

  it('a build leaves every file of the workspace as it is', async () => {
    const { work, built } = await openRelease();
    await built();
    const before = filesBelow(work.dir).map((path) => [
      path,
      work.read(path.slice(work.dir.length + 1)).length,
    ]);
    await built();
    expect(
      filesBelow(work.dir).map((path) => [path, work.read(path.slice(work.dir.length + 1)).length]),
    ).toEqual(before);
  });

  it('the witness would see a build', async () => {
    const { run } = await openRelease();
    const witness = withWitness();
    atEnd(() => witness.remove());
    await run(['build'], { env: witness.env });
    const { processes, connections, largestHash } = witness.testimony();
    expect(processes.some((argv) => argv.some((word) => word.endsWith('qemu-img')))).toBe(true);
    expect(connections.length).toBeGreaterThan(0);
    expect(largestHash).toBeGreaterThan(LARGEST_RECORD);
  });
});
