// Each way to confine a program that this machine has: what is seen, what is not, and what becomes of what was started.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  type Confinement,
  chooseSandbox,
  findSandbox,
  hiddenFolders,
  sandboxMode,
  stageOf,
} from '../../src/execute/sandbox.js';
import { findProgram } from '../../src/plan/tools.js';
import { openWorkspace } from '../../src/plan/workspace.js';
import { loadIn } from '../manifest/workspace.js';
import { tempDir } from '../store/temp.js';

const run = promisify(execFile);

/** A PATH with that program alone, where it is installed. */
function pathWith(program: string): string | undefined {
  const path = findProgram(program, process.env);
  if (path === undefined) return undefined;
  const dir = tempDir();
  symlinkSync(path, join(dir, program));
  return dir;
}

describe.each(['bwrap', 'unshare'])('%s', (program) => {
  it('hides folders but for some, mounts what is to be read, and takes the network', async (context) => {
    const sandbox = await findSandbox({ PATH: pathWith(program) ?? '/nowhere' });
    if (!sandbox) return context.skip();
    const dir = realpathSync(tempDir());
    const at = (...parts: string[]) => join(dir, ...parts);
    for (const folder of ['work/.res/run/node/in', 'work/bin', 'store/sub', 'free'])
      mkdirSync(at(folder), { recursive: true });
    for (const file of ['work/secret', 'work/bin/tool', 'store/object', 'free/file'])
      writeFileSync(at(file), file);
    const scratch = at('work/.res/run/node');
    writeFileSync(join(scratch, 'in/file'), '');
    mkdirSync(join(scratch, 'in/folder'));
    mkdirSync(stageOf(scratch));
    const confinement: Confinement = {
      scratch,
      cwd: join(scratch, 'in'),
      // In this order the first one hides where the second is put together.
      hidden: [at('work'), at('store')],
      readable: [at('work/bin')],
      mounts: [
        { from: at('store/object'), to: join(scratch, 'in/file') },
        { from: at('store/sub'), to: join(scratch, 'in/folder') },
      ],
      network: false,
    };
    const script = `cat ${at('work/secret')} ${at('store/object')}; cat ${at('work/bin/tool')} ${at('free/file')} file
      pwd; echo made > ../out; echo x >> file; echo x > folder/x; echo x > ${at('work/new')}; echo x > ${at('work/bin/new')}
      wc -l < /proc/net/route; exit 7`;
    const [file, ...args] = sandbox.wrap(['/bin/sh', '-c', script], confinement);
    const ended: unknown = await run(file, args, { cwd: confinement.cwd }).catch((error: unknown) => error);
    expect(ended).toMatchObject({
      code: 7,
      stdout: `work/bin/toolfree/filestore/object${join(scratch, 'in')}\n1\n`,
    });
    expect(readFileSync(join(scratch, 'out'), 'utf8')).toBe('made\n');
    expect(readFileSync(at('store/object'), 'utf8')).toBe('store/object');
  });

  it('tells of a signal as a shell does, and ends with it all that was started', async (context) => {
    const sandbox = await findSandbox({ PATH: pathWith(program) ?? '/nowhere' });
    if (!sandbox) return context.skip();
    const scratch = join(realpathSync(tempDir()), 'run/node');
    mkdirSync(scratch, { recursive: true });
    mkdirSync(stageOf(scratch));
    const confinement = { scratch, cwd: scratch, hidden: [], readable: [], mounts: [], network: true };
    const script = 'setsid sleep 985 & kill -SEGV $$';
    const [file, ...args] = sandbox.wrap(['/bin/sh', '-c', script], confinement);
    // What still ran would hold stdout open.
    expect(await run(file, args).catch((error: unknown) => error)).toMatchObject({ code: 128 + 11 });
  });
});

describe('what is hidden', () => {
  const workspaceIn = (dir: string, outputDir: string, env: Record<string, string>) => {
    writeFileSync(join(dir, 'resources.yaml'), `res: 1\noutput-dir: ${outputDir}\n`);
    mkdirSync(join(dir, '.res'), { recursive: true });
    return hiddenFolders(openWorkspace({ graph: loadIn(dir), env }));
  };

  it('is the workspace, with outputs and store where they lie elsewhere', () => {
    const fresh = () => realpathSync(tempDir());
    const [dir, out, store] = [fresh(), fresh(), fresh()];
    mkdirSync(join(dir, 'tools'));
    const env = { RES_STORE: store, PATH: `${join(dir, 'tools')}:/usr/bin:${join(dir, 'none')}` };
    expect(workspaceIn(dir, out, env)).toEqual({
      hidden: [dir, out, store],
      readable: [join(dir, 'tools')],
    });
    expect(workspaceIn(dir, 'below', { PATH: '/usr/bin' })).toEqual({ hidden: [dir], readable: [] });
  });

  it('is never a folder that the system lies in', () => {
    const dir = realpathSync(tempDir());
    expect(workspaceIn(dir, '/', { PATH: '/usr/bin' }).hidden).toEqual([dir]);
    expect(workspaceIn(dir, '/usr', { PATH: '/usr/bin' }).hidden).toEqual([dir]);
  });
});

describe('--sandbox', () => {
  it('is auto unless it is said', () => {
    expect(sandboxMode({})).toBe('auto');
    expect(sandboxMode({ RES_SANDBOX: 'require' })).toBe('require');
    expect(() => sandboxMode({ RES_SANDBOX: 'on' })).toThrow('RES_SANDBOX is on');
  });

  it('goes without where none works, and with off, and fails with require', async () => {
    const none = { PATH: tempDir() };
    expect(await chooseSandbox(none)).toBeUndefined();
    expect(await chooseSandbox({ ...process.env, RES_SANDBOX: 'off' })).toBeUndefined();
    await expect(chooseSandbox({ ...none, RES_SANDBOX: 'require' })).rejects.toMatchObject({
      code: 'sandbox-unavailable',
    });
  });
});
