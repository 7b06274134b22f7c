// What a start reads: the packages that take long to load are in chunks that only those who need them read.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import * as module from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { MAIN } from './rig/places.js';

const APP = join(dirname(MAIN), 'app.js');
const RUN = chunkOf('run', APP);

it('an answer that is known is given without any package', () => {
  expect(packagesOf(APP)).toEqual([]);
  const bytes = closure(APP).reduce((sum, file) => sum + readFileSync(file).length, 0);
  expect(bytes).toBeLessThan(40_000);
});

it('the program starts without the network, processes, the live face, archives and YAML', () => {
  const packages = packagesOf(RUN);
  expect(packages).toContain('commander');
  for (const heavy of [
    'undici',
    'execa',
    'listr2',
    'yauzl',
    'xz-decompress',
    'fzstd',
    'yaml',
    'ajv',
    'chokidar',
  ]) {
    expect(packages).not.toContain(heavy);
  }
});

it.each(['build', 'status', 'plan', 'list'])(
  '%s with nothing to do needs neither network nor processes',
  (command) => {
    const packages = packagesOf(chunkOf(command, RUN));
    expect(packages).toContain('yaml');
    for (const heavy of ['undici', 'execa', 'listr2', 'yauzl', 'chokidar'])
      expect(packages).not.toContain(heavy);
  },
);

it.skipIf(!('enableCompileCache' in module))('compiled code is kept under XDG_CACHE_HOME', () => {
  const caches = mkdtempSync(join(tmpdir(), 'res-caches-'));
  try {
    const env = { ...process.env, NODE_COMPILE_CACHE: undefined, XDG_CACHE_HOME: caches };
    execFileSync(process.execPath, [MAIN, '--version'], { env });
    expect(readdirSync(caches)).toEqual(['res']);
  } finally {
    rmSync(caches, { recursive: true });
  }
});

/** The chunk that a module was compiled to which the program loads when it needs it. */
function chunkOf(command: string, from: string): string {
  for (const file of closure(from)) {
    const name = new RegExp(`import\\("(\\.[^"]*/${command}-\\w+\\.js)"\\)`).exec(
      readFileSync(file, 'utf8'),
    )?.[1];
    if (name !== undefined) return join(dirname(file), name);
  }
  throw new Error(`nothing loads ${command}`);
}

/** Packages whose code is in what a file imports statically; the bundler writes the path of each file before its code. */
function packagesOf(entry: string): readonly string[] {
  const found = closure(entry).flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm),
  ]);
  return [...new Set(found.map((match) => match[1] ?? ''))];
}

/** A file of dist/ and all that is read with it. */
function closure(entry: string, seen = new Set<string>()): readonly string[] {
  if (seen.has(entry)) return [];
  seen.add(entry);
  const imports = readFileSync(entry, 'utf8').matchAll(
    /^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*"(\.[^"]+)"/gm,
  );
  return [entry, ...[...imports].flatMap((match) => closure(join(dirname(entry), match[1] ?? ''), seen))];
}
