import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { templates } from '../../src/cli/commands/init.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
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
    for (const file of manifests(space)) expect(space.text(file)).not.toContain('$schema=');
  });

  it('never overwrites', async () => {
    const space = makeWorkspace({ 'resources.yaml': 'mine\n' });
    const { status, stderr } = await res(['init', name], { cwd: space.dir });
    expect(status).toBe(2);
    expect(stderr).toContain('is there already, and is left as it is');
    expect(space.text('resources.yaml')).toBe('mine\n');
  });
});

it('writes what the manifest includes, and nothing when one of that is there', async () => {
  const space = makeWorkspace({});
  const { stdout } = await res(['init', 'vswarm-u'], { cwd: space.dir });
  expect(stdout).toContain('wrote from-source: what it includes');
  expect((await res(['show', 'gem5'], { cwd: space.dir })).status).toBe(0);
  const taken = makeWorkspace({ 'from-source/gem5.yaml': 'mine\n' });
  const { status, stderr } = await res(['init', 'vswarm-u'], { cwd: taken.dir });
  expect(status).toBe(2);
  expect(stderr).toContain('gem5.yaml is there already, and is left as it is');
  expect(manifests(taken)).toEqual(['from-source/gem5.yaml']);
});

/** Paths in the folder. */
function manifests({ dir }: Workspace): readonly string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.yaml'));
}

it('without a template lists them', async () => {
  const { status, stderr } = await res(['init'], { cwd: makeWorkspace({}).dir });
  expect(status).toBe(2);
  for (const name of Object.keys(templates)) expect(stderr).toMatch(new RegExp(`^ +${name} +\\w`, 'm'));
});
