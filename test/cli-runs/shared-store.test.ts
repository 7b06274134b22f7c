// One store for many workspaces: what one has made is not made again by another, what two are about to make is made once, and
// nobody takes away or changes what another one counts on.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeTool } from '../rig/fake-tool.js';
import { bundledManifest, runFolder } from '../rig/places.js';
import { has } from '../rig/tools.js';
import { makeWorkspace } from '../rig/workspace.js';
import {
  atEnd,
  filesBelow,
  openRelease,
  outcome,
  type ReleaseScene,
  type Scene,
  sceneIn,
} from './engine-scene.js';

/** The qcow2 image is not among them: where the raw one could be had, nobody needed it. */
const OUTPUTS = ['kernel', 'client', 'disk-image.raw'];

interface Pair {
  readonly first: ReleaseScene;
  readonly second: Scene;
  readonly store: string;
  readonly env: { readonly RES_STORE: string; readonly PATH: string };
  /** Calls of qemu-img that do work. */
  conversions(): number;
  expectOutputs(scene: Scene, arch?: string): void;
}

/** Two workspaces with one manifest and one store. */
async function openPair(base = runFolder()): Promise<Pair> {
  const first = await openRelease({ archs: ['amd64', 'arm64'] });
  const store = mkdtempSync(join(base, 'store-'));
  const work = makeWorkspace(bundledManifest());
  const qemu = fakeTool();
  atEnd(() => {
    qemu.remove();
    work.remove();
    rmSync(store, { recursive: true, force: true });
  });
  return {
    first,
    second: sceneIn(work, { GITHUB_API_URL: first.server.apiUrl }),
    store,
    env: { RES_STORE: store, PATH: qemu.path },
    conversions: () => qemu.calls().filter(([command]) => command === 'convert').length,
    expectOutputs(scene, arch = 'amd64') {
      const published = first.published[arch];
      if (!published) throw new Error(`no ${arch}`);
      const { raw, kernel, client, assets } = published;
      for (const [i, path] of [assets[kernel]?.path, assets[client]?.path, raw].entries())
        expect(scene.work.read(`resources/${OUTPUTS[i]}`).equals(readFileSync(path ?? '')), OUTPUTS[i]).toBe(
          true,
        );
    },
  };
}

/** Nothing of a build under way is left in a store. */
function expectQuiet(store: string): void {
  for (const folder of ['tmp', 'users', 'locks', 'partial'])
    expect(filesBelow(join(store, folder)), folder).toEqual([]);
}

describe.skipIf(!has('qemu-img', 'mke2fs'))('two workspaces with one store', () => {
  it('make and fetch once what both want, one after the other', async () => {
    const { first, second, store, env, conversions, expectOutputs } = await openPair();
    await first.built([], { env });
    const before = conversions();
    first.server.reset();
    second.work.write('resources.lock.yaml', first.work.text('resources.lock.yaml'));
    const states = await second.status([], { env });
    expect(states.get('raw-disk')?.state).toBe('cached');
    const result = await second.built([], { env });
    expect(outcome(result).ran ?? []).toEqual([]);
    expect(first.server.requests()).toEqual([]);
    expect(result.restored).toEqual(expect.arrayContaining(['kernel', 'client', 'raw-disk']));
    expect(conversions()).toBe(before);
    expectOutputs(first);
    expectOutputs(second);
    for (const scene of [first, second]) {
      expect((await scene.run(['build'], { env })).stdout).toBe('up to date\n');
      expect((await scene.run(['verify'], { env })).status).toBe(0);
    }
    expectQuiet(store);
  });

  it('make and fetch once what both want at the same time: the other one waits', async () => {
    const { first, second, store, env, conversions, expectOutputs } = await openPair();
    const results = await Promise.all([first.built([], { env }), second.built([], { env })]);
    const downloaded = results.reduce((sum, { downloaded_bytes }) => sum + downloaded_bytes, 0);
    expect(downloaded).toBe(first.amd64.totalBytes);
    expect(conversions()).toBe(1);
    expectOutputs(first);
    expectOutputs(second);
    for (const scene of [first, second]) expect((await scene.run(['verify'], { env })).status).toBe(0);
    expectQuiet(store);
  });

  it('build different things at the same time', async () => {
    const { first, second, store, env, expectOutputs } = await openPair();
    await Promise.all([
      first.built(['--arch', 'amd64'], { env }),
      second.built(['--arch', 'arm64'], { env }),
    ]);
    expectOutputs(first, 'amd64');
    expectOutputs(second, 'arm64');
    // And each what the other one has.
    await Promise.all([
      first.built(['--arch', 'arm64'], { env }),
      second.built(['--arch', 'amd64'], { env }),
    ]);
    expectOutputs(first, 'arm64');
    expectOutputs(second, 'amd64');
    for (const scene of [first, second]) expect((await scene.run(['verify'], { env })).status).toBe(0);
    expectQuiet(store);
  });

  it('do not get what the user of the other one has written', async () => {
    const { first, second, env, expectOutputs } = await openPair();
    await first.built([], { env });
    const image = first.work.path('resources/disk-image.raw');
    const bytes = readFileSync(image);
    bytes.fill(0x41, 2_000_000, 2_100_000);
    writeFileSync(image, bytes);
    const result = await second.built([], { env });
    expect(outcome(result).ran).toEqual(['raw-disk']);
    expectOutputs(second);
    expect(readFileSync(image).equals(bytes)).toBe(true);
  });

  it('a build that is killed is taken over by the one that waits for it', async () => {
    const { first, second, store, env, expectOutputs } = await openPair();
    const [part] = first.amd64.parts;
    const asset = first.release.asset(part ?? '');
    first.server.fault(asset, { stall: { after: 100_000 } });
    const run = first.start(['build'], { env });
    await first.server.until(({ state, path }) => state === 'stalled' && path === asset.contentPath);
    const other = second.start(['build', '--json'], { env });
    await first.server.until(({ path }) => path === first.release.asset(first.amd64.kernel).contentPath);
    await run.kill();
    const { status, stdout, stderr } = await other.result;
    expect(status, `${stdout}${stderr}`).toBe(0);
    expectOutputs(second);
    await first.built([], { env });
    expectOutputs(first);
    expectQuiet(store);
  });

  it('on another file system than both', async () => {
    const { first, second, store, env, expectOutputs } = await openPair('/dev/shm');
    await first.built([], { env });
    await second.built(['--arch', 'arm64'], { env });
    await first.built(['--arch', 'arm64'], { env });
    await first.built(['--arch', 'amd64'], { env });
    expectOutputs(first, 'amd64');
    expectOutputs(second, 'arm64');
    expect(first.temporaries()).toEqual([]);
    expectQuiet(store);
  });
});
