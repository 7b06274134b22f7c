// Which commit is checked out where a folder lies, read from git's own files: no program is run for it.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Hexadecimal; null in no checkout, in one without a commit, and where it cannot be told. */
export async function gitHead(folder: string): Promise<string | null> {
  const git = await gitFolder(folder);
  if (git === undefined) return null;
  const head = (await text(join(git, 'HEAD'))) ?? '';
  const [, ref] = /^ref: (\S+)/.exec(head) ?? [];
  if (ref === undefined) return commit(head);
  // Of a linked worktree, branches lie in the repository that it belongs to.
  const common = await text(join(git, 'commondir'));
  const places = common === undefined ? [git] : [git, resolve(git, common.trim())];
  for (const place of places) {
    const found = commit((await text(join(place, ref))) ?? '') ?? (await packed(place, ref));
    if (found !== null) return found;
  }
  return null;
}

async function gitFolder(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, '.git');
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory()) return path;
    if (stats?.isFile()) {
      const [, led] = /^gitdir: (.*)/.exec((await text(path)) ?? '') ?? [];
      return led === undefined ? undefined : resolve(at, led);
    }
    if (at === dirname(at)) return undefined;
  }
}

async function packed(git: string, ref: string): Promise<string | null> {
  const lines = ((await text(join(git, 'packed-refs'))) ?? '').split('\n');
  return commit(lines.find((line) => line.endsWith(` ${ref}`)) ?? '');
}

function commit(line: string): string | null {
  return /^[0-9a-f]{40}(?:[0-9a-f]{24})?(?=\s|$)/.exec(line)?.[0] ?? null;
}

/** Undefined for what cannot be read: that is no more than not to know. */
function text(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
