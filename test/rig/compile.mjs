// Compiles dist/ when the sources changed, one process at a time. Unlike scripts/ensure.mjs it never installs packages:
// the tests that are about to run have them loaded.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../../scripts/build.mjs';
import { withLock } from '../../scripts/lock.mjs';
import { isCurrent } from '../../scripts/stamp.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const compile = async () => {
  if (!isCurrent(root)) await build(root);
};
if (!isCurrent(root)) {
  mkdirSync(join(root, 'dist'), { recursive: true });
  await withLock(join(root, 'dist', '.lock'), compile, (pid) =>
    console.error(`waiting for process ${pid}, which is compiling`),
  );
}
