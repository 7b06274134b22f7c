// What kinds and sources have against a recipe whose fields are each well formed: found when the manifest is read, with its place.
import { afterEach, describe, expect, it } from 'vitest';
import { loadGraph } from '../../src/graph/load.js';
import { ResError } from '../../src/model/error.js';
import { references } from '../../src/plan/registry.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

/** `line: message` of each complaint about a manifest with one node `b` of this recipe on line 5. */
function complaints(recipe: string, section: 'artifacts' | 'targets'): readonly string[] {
  const other = section === 'targets' ? 'artifacts:\n  a: { path: image.raw }' : 'targets:\n  a: { copy: b }';
  const workspace = makeWorkspace({
    'resources.yaml': `res: 1\n${other}\n${section}:\n  b: ${recipe}\n`,
    'image.raw': 'x',
  });
  try {
    loadGraph({
      file: workspace.path('resources.yaml'),
      cwd: workspace.dir,
      set: {},
      env: {},
      kinds: references,
    });
    return [];
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    return error.diagnostics.map(({ location, message }) => `${location?.line}: ${message}`);
  }
}

describe('a recipe that contradicts itself is a manifest error', () => {
  it.each([
    ['{ extract: a, member: x, strip: 1 }', 'targets', '5: `strip` has no meaning beside `member`'],
    [
      '{ convert: a, to: vdi, size: 10G }',
      'targets',
      '5: `size` is for raw and qcow2; qemu-img cannot resize vdi',
    ],
    [
      '{ convert: a, to: raw, compress: true }',
      'targets',
      '5: `compress` is for qcow2 and vmdk; raw cannot be compressed',
    ],
    [
      '{ convert: a, to: qcow2, options: { backing_file: /etc/passwd } }',
      'targets',
      '5: the option `backing_file` is not for `options`',
    ],
  ] as const)('%s', (recipe, section, expected) => {
    expect(complaints(recipe, section)).toEqual([expected]);
  });

  it('and one that does not is none', () => {
    expect(
      complaints('{ convert: a, to: qcow2, compress: true, size: +1G, sparse: 64k }', 'targets'),
    ).toEqual([]);
    expect(
      complaints('{ url: [https://example.org/x, https://mirror.example/x], size: 3 }', 'artifacts'),
    ).toEqual([]);
  });
});
