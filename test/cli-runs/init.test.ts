// Each template of `res init` as its user meets it: written, planned, built from servers on this machine, built again.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { templates } from '../../src/cli/commands/init.js';
import { type RunResult, runRes } from '../rig/cli.js';
import { compress, convertImage, ext4Image, tarGz, vswarmRelease } from '../rig/images.js';
import { seededBytes } from '../rig/random.js';
import { type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

interface Scene {
  readonly env: Readonly<Record<string, string>>;
  /** What must lie below resources/ in the end, and the file that it must be. */
  readonly outputs: Readonly<Record<string, Buffer>>;
}

/** The template's addresses, answered by the server of the rig. */
const scenes: Readonly<Record<string, (server: ReleaseServer, made: Workspace) => Promise<Scene>>> = {
  async minimal(server, made) {
    made.write('disk.img', seededBytes('a disk', 300_000));
    await tarGz(made.path('image.tar.gz'), made.path('disk.img'), 'images/disk.img');
    await server.file('disk-image.tar.gz', { path: made.path('image.tar.gz') });
    return { env: byMirror(server), outputs: { 'disk.img': made.read('disk.img') } };
  },
  async gem5(server, made) {
    await ext4Image(made.path('disk.raw'), 'gem5', { sizeMiB: 8, dataMiB: 1 });
    const qcow2 = made.path('disk.qcow2');
    await convertImage({ path: made.path('disk.raw'), format: 'raw' }, { path: qcow2, format: 'qcow2' });
    await compress(qcow2, 'gzip', made.path('disk.qcow2.gz'));
    const kernel = seededBytes('a kernel', 200_000);
    await server.file('amd64/vmlinux', kernel);
    await server.file('amd64/disk-image.qcow2.gz', { path: made.path('disk.qcow2.gz') });
    return {
      env: byMirror(server),
      outputs: { kernel, 'disk-image.qcow2': readFileSync(qcow2), 'disk-image.raw': made.read('disk.raw') },
    };
  },
  async 'vswarm-u'(server) {
    const release = await vswarmRelease();
    await server.release('vhive-serverless/vSwarm-u', release.version, release.assets);
    const asset = (name: string) => readFileSync(release.assets[name]?.path ?? '');
    return {
      env: { GITHUB_API_URL: server.apiUrl },
      outputs: {
        kernel: asset(release.kernel),
        client: asset(release.client),
        'disk-image.qcow2': readFileSync(release.qcow2),
        'disk-image.raw': readFileSync(release.raw),
      },
    };
  },
};

function byMirror(server: ReleaseServer): Record<string, string> {
  return { RES_MIRRORS: `https://example.org=${server.url}/files` };
}

let server: ReleaseServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
  removeWorkspaces();
});

it('there is a scene for each template', () => {
  expect(Object.keys(scenes).sort()).toEqual(Object.keys(templates).sort());
});

describe.skipIf(!has('qemu-img', 'mke2fs')).each(Object.keys(templates))('the template %s', (name) => {
  it('is written, builds what it says, and is then up to date', { timeout: 120_000 }, async () => {
    server = await startReleaseServer();
    const { env, outputs } = (await scenes[name]?.(server, makeWorkspace())) ?? { env: {}, outputs: {} };
    const space = makeWorkspace();
    const res = async (...args: readonly string[]): Promise<RunResult> => {
      const result = await runRes(args, { cwd: space.dir, env, timeoutMs: 60_000 });
      expect(result.status, `res ${args.join(' ')}: ${result.stderr}`).toBe(0);
      return result;
    };

    const { stdout } = await res('init', name);
    expect(stdout).toContain('wrote resources.yaml');
    const written = space.text('resources.yaml');

    expect((await res('plan')).stdout).toMatch(/^ *1 +download /m);
    expect(space.exists('resources')).toBe(false);
    expect(space.exists('resources.lock.yaml')).toBe(false);

    // What it says comes next.
    const next = [...stdout.matchAll(/^ {2}res (\w+)(?: {2,}.*)?$/gm)].map(([, command = '']) => command);
    expect(next).toContain('build');
    for (const command of next) await res(command);
    for (const [path, bytes] of Object.entries(outputs))
      expect(space.read(`resources/${path}`).equals(bytes), path).toBe(true);

    server.reset();
    expect((await res('build')).stdout).toBe('up to date\n');
    expect(server.requests()).toEqual([]);
    await res('status', '--check');
    await res('verify');

    const again = await runRes(['init', name], { cwd: space.dir, env });
    expect(again).toMatchObject({ status: 2, stdout: '' });
    expect(again.stderr).toContain('is there already, and is left as it is');
    expect(space.text('resources.yaml')).toBe(written);
  });
});

it('of another architecture, the template gem5 asks for other files', async () => {
  const space = makeWorkspace();
  await runRes(['init', 'gem5'], { cwd: space.dir });
  const { stdout } = await runRes(['show', 'kernel', '--arch', 'arm64'], { cwd: space.dir });
  expect(stdout).toContain('https://example.org/arm64/Image');
});

describe('a template that there is not', () => {
  it.each([
    ['minimla', 'did you mean `minimal`?'],
    ['gem', 'did you mean `gem5`?'],
    ['vswarm', 'did you mean `vswarm-u`?'],
    ['nothing-like-it', '`res init TEMPLATE` with one of'],
  ])('%s: nothing is written, and what there is is said', async (name, hint) => {
    const space = makeWorkspace();
    const { status, stdout, stderr } = await runRes(['init', name], { cwd: space.dir });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(`there is no template ${name}`);
    expect(stderr).toContain(hint);
    expect(space.exists('resources.yaml')).toBe(false);
  });
});
