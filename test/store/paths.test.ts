import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prepareWorkspace, workspacePaths } from '../../src/store/paths.js';
import { tempDir } from './temp.js';

describe('the workspace', () => {
  it('lies beside the manifest; RES_STORE moves the store', () => {
    expect(workspacePaths('/m', {}).store).toBe('/m/.res/store');
    expect(workspacePaths('/m', { RES_STORE: '' }).store).toBe('/m/.res/store');
    expect(workspacePaths('/m', { RES_STORE: '/big/store' })).toMatchObject({
      root: '/m/.res',
      store: '/big/store',
    });
    expect(workspacePaths('/m', { RES_STORE: '../shared' }).store).toBe('/shared');
  });

  it('is made when needed, hides from version control, and can be made again', async () => {
    const dir = tempDir();
    const paths = workspacePaths(dir, { RES_STORE: 'elsewhere/store' });
    await prepareWorkspace(paths);
    // Those of caches and of scratch directories are made when there is something to put into them.
    const { cache, run, ...made } = paths;
    for (const path of Object.values(made)) expect(statSync(path).isDirectory()).toBe(true);
    expect(readFileSync(join(paths.root, '.gitignore'), 'utf8')).toBe('*\n');
    writeFileSync(join(paths.root, '.gitignore'), '*\n# mine\n');
    await prepareWorkspace(paths);
    expect(readFileSync(join(paths.root, '.gitignore'), 'utf8')).toBe('*\n# mine\n');
  });

  it('that cannot be is an error with a way out', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, '.res'), 'a file');
    await expect(prepareWorkspace(workspacePaths(dir, {}))).rejects.toMatchObject({
      code: 'io',
      message: `cannot create the folder ${join(dir, '.res')}: a file is in the way`,
      hint: expect.any(String),
    });
    const free = tempDir();
    mkdirSync(join(free, 'x'));
    await expect(prepareWorkspace(workspacePaths(free, { RES_STORE: '/proc/store' }))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/^cannot create the folder \/proc\/store: \w/),
      hint: expect.stringContaining('RES_STORE'),
    });
  });
});
