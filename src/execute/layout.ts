// Files that name each other by relative ways (an overlay, what it stands on, …), laid out in a folder of their own in which those
// ways hold. Where each lies there follows from the ways alone, and not from where the files are taken from.
import { posix } from 'node:path';

/**
 * Paths in the folder: of the first file, and of those that it leads to.
 * @param name of the first file, and of folders whose names the ways do not tell; changed where a way has that name
 * @param ways from the folder of each file to the next one
 */
export function layOut(name: string, ways: readonly string[]): readonly [string, ...string[]] {
  const told = new Set(ways.flatMap((way) => way.split('/')));
  let own = name;
  while (told.has(own)) own += '_';
  const others: string[] = [];
  for (const way of ways) others.push(posix.join(posix.dirname(others.at(-1) ?? own), way));
  const up = Math.max(0, ...others.map((path) => path.split('/').lastIndexOf('..') + 1));
  const within = (path: string) => posix.join(...Array<string>(up).fill(own), path);
  return [within(own), ...others.map(within)];
}
