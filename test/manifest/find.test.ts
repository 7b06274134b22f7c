// The manifest is found from any folder below it.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findManifest } from '../../src/manifest/find.js';
import { folder } from './workspace.js';

it('is the nearest resources.yaml upwards', () => {
  const dir = folder({ 'resources.yaml': '', 'a/b/c/x': '', 'a/b/resources.yaml': '' });
  expect(findManifest(dir)).toBe(join(dir, 'resources.yaml'));
  expect(findManifest(join(dir, 'a'))).toBe(join(dir, 'resources.yaml'));
  expect(findManifest(join(dir, 'a/b/c'))).toBe(join(dir, 'a/b/resources.yaml'));
});

it('may be nowhere', () => {
  expect(findManifest('/proc/self')).toBeUndefined();
});
