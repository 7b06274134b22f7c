import { afterEach, describe, expect, it } from 'vitest';
import { templates } from '../../src/cli/commands/init.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';
import { res } from './in-process.js';

afterEach(removeWorkspaces);

describe.each(Object.keys(templates))('init %s', (name) => {
  it('writes a manifest that is valid, and says what to do next', async () => {
    const space = makeWorkspace({});
    const { status, stdout } = await res(['init', name], { cwd: space.dir });
    expect(status).toBe(0);
    expect(stdout).toContain('wrote resources.yaml');
    expect(stdout).toContain('res build');
    expect(await res(['list'], { cwd: space.dir })).toMatchObject({ status: 0, stderr: '' });
    expect(space.text('resources.yaml')).not.toContain('$schema=');
  });

  it('never overwrites', async () => {
    const space = makeWorkspace({ 'resources.yaml': 'mine\n' });
    const { status, stderr } = await res(['init', name], { cwd: space.dir });
    expect(status).toBe(2);
    expect(stderr).toContain('is there already, and is left as it is');
    expect(space.text('resources.yaml')).toBe('mine\n');
  });
});

it('without a template lists them', async () => {
  const { status, stderr } = await res(['init'], { cwd: makeWorkspace({}).dir });
  expect(status).toBe(2);
  for (const name of Object.keys(templates)) expect(stderr).toMatch(new RegExp(`^ +${name} +\\w`, 'm'));
});
