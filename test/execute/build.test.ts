// The front of a build.

import { afterEach, describe, expect, it } from 'vitest';
import { build } from '../../src/execute/build.js';
import { selectNodes } from '../../src/graph/select.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { openEngine } from './engine.js';

afterEach(removeWorkspaces);

describe('the first build of all', () => {
  it('reads a source once: what was hashed for the plan is known when the work begins', async () => {
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets: { both: { merge: [words, words], output: both } }
default: [both]
`,
      'words.txt': 'w',
    });
    const workspace = engine.open();
    const known: unknown[] = [];
    await build(workspace, selectNodes(workspace.graph, []), {
      listener: ({ type }) => {
        if (type === 'started') known.push(workspace.cache.knownSync(engine.work.path('words.txt'))?.size);
      },
    });
    expect(known).toEqual([1]);
  });
});
