// What a killed process leaves beside the files that it was about to write goes with the next build that has work.
import { afterEach, expect, it } from 'vitest';
import { openEngine } from '../execute/engine.js';
import { removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const MANIFEST = `res: 1
artifacts: { words: { path: words.txt } }
targets: { out: { merge: [words, words], output: out.txt } }
`;

it('temporaries of a killed process are gone after the next build', async () => {
  const engine = openEngine({ 'resources.yaml': MANIFEST, 'words.txt': 'one\n' });
  await engine.build();
  const { work } = engine;
  const left = [
    '.resources.lock.yaml.tmp',
    '.res/state/.clock.4711-0123456789ab.tmp',
    '.res/tmp/object',
    '.res/store/tmp/object',
  ];
  for (const name of left) work.write(name, 'half');
  await engine.build();
  work.write('words.txt', 'two\n');
  await engine.build();
  for (const name of left) expect(work.exists(name), name).toBe(false);
});
