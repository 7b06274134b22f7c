// `res init`: a new manifest from a template.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { readManifestFiles } from '../../manifest/files.js';
import { nearest } from '../../manifest/nearest.js';
import { ResError } from '../../model/error.js';
import { packageRoot } from '../../store/package.js';
import type { Context } from '../context.js';

interface Template {
  readonly about: string;
  /** Relative to the package. */
  readonly file: string;
  readonly next: readonly string[];
}

export const templates: Readonly<Record<string, Template>> = {
  'vswarm-u': {
    about: 'kernel, client and disk image of vSwarm-u for QEMU and gem5',
    file: 'resources.yaml',
    next: [
      'res list          the variants and what they work with',
      'res build         download and convert',
    ],
  },
  gem5: {
    about: 'a kernel and a disk image for gem5, from URLs of yours',
    file: 'src/cli/templates/gem5.yaml',
    next: ['put your URLs into resources.yaml', 'res plan          what a build would do', 'res build'],
  },
  minimal: {
    about: 'one download and one thing made of it',
    file: 'src/cli/templates/minimal.yaml',
    next: ['put your URL into resources.yaml', 'res plan          what a build would do', 'res build'],
  },
};

export async function run({ dir, out }: Context, [name]: readonly string[]): Promise<number> {
  const template = name === undefined ? undefined : templates[name];
  if (name === undefined || !template) throw unknownTemplate(name);
  const [target = dir, ...included] = writeFiles(join(packageRoot(), template.file), dir);
  out.prose(`wrote ${out.page.path(target)}: ${template.about}`);
  for (const folder of new Set(included.map(dirname)))
    out.prose(`wrote ${out.page.path(folder)}: what it includes`);
  out.lines(['', 'next:', ...template.next.map((step) => `  ${step}`), '']);
  out.prose(
    'Keep resources.yaml and resources.lock.yaml in version control; .res/ and the outputs need not be there.',
  );
  return 0;
}

/** Writes the manifest and what it includes into the folder, where none of it is there yet; the paths, the manifest's first. */
function writeFiles(manifest: string, dir: string): readonly string[] {
  const files = readManifestFiles(manifest, dir).all.map(({ source: { file, text } }, i) => ({
    target: join(dir, i === 0 ? 'resources.yaml' : relative(dirname(manifest), file)),
    text: forUsers(text),
  }));
  for (const { target } of files) if (existsSync(target)) throw isThere(target);
  for (const { target, text } of files) {
    try {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { flag: 'wx' });
    } catch (error) {
      throw cannotWrite(error, target);
    }
  }
  return files.map(({ target }) => target);
}

/** The path to the schema holds in this repository only. */
function forUsers(text: string): string {
  return text.replace(/^# yaml-language-server:.*\n/m, '');
}

function unknownTemplate(name: string | undefined): ResError {
  const list = Object.entries(templates).map(([key, { about }]) => `${key.padEnd(9)} ${about}`);
  const near = name === undefined ? undefined : nearest(name, Object.keys(templates));
  const message =
    name === undefined ? 'res init needs the name of a template' : `there is no template ${name}`;
  const hint =
    near === undefined
      ? `\`res init TEMPLATE\` with one of\n${list.join('\n')}`
      : `did you mean \`${near}\`?`;
  return new ResError('usage', message, { hint });
}

function isThere(target: string): ResError {
  return new ResError('usage', `${target} is there already, and is left as it is`, {
    hint: 'Work in another folder (-C DIR), or move the file away first.',
  });
}

function cannotWrite(error: unknown, target: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'EEXIST') return isThere(target);
  return new ResError('io', `cannot write ${target}: ${error.message}`, { cause: error });
}
