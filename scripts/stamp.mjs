// When a build is current: dist/.stamp holds a digest of everything that dist/ is made from. Times only say when to
// look (the launcher compares them with find); a checkout that merely got new times is not compiled again.
import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** What dist/ is made from. The launcher `res` has the same list. */
export const SOURCES = ['src', 'scripts', 'schemas', 'package.json', 'package-lock.json'];

/** Whether dist/ was made from the sources as they are. */
export function isCurrent(root) {
  const stamp = join(root, 'dist/.stamp');
  if (!existsSync(stamp) || !existsSync(join(root, 'dist/cli/main.js'))) return false;
  return readFileSync(stamp, 'utf8').trim() === sourcesDigest(root);
}

/**
 * A stamp for the sources as they are now, to be put in place by `commit` when dist/ is complete. Its time is that of
 * this call by the clock of the file system, so that a source edited during the build is newer than it.
 */
export function beginStamp(root) {
  const path = join(root, `dist/.stamp.${process.pid}`);
  const drop = () => rmSync(path, { force: true });
  try {
    writeFileSync(path, '');
    const { atime, mtime } = statSync(path);
    writeFileSync(path, `${sourcesDigest(root)}\n`);
    utimesSync(path, atime, mtime);
  } catch (error) {
    drop();
    throw error;
  }
  return { commit: () => renameSync(path, join(root, 'dist/.stamp')), drop };
}

/** Hexadecimal sha256 over the names and contents of all sources, in order of name; generated files left out. */
export function sourcesDigest(root) {
  const hash = createHash('sha256');
  for (const name of SOURCES.flatMap((source) => filesBelow(root, source))) {
    const content = readFileSync(join(root, name));
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function filesBelow(root, name) {
  if (!statSync(join(root, name)).isDirectory()) return name.includes('.generated.') ? [] : [name];
  return readdirSync(join(root, name))
    .sort()
    .flatMap((entry) => filesBelow(root, `${name}/${entry}`));
}
