// `res init`: a new manifest from a template.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  const target = join(dir, 'resources.yaml');
  const text = forUsers(readFileSync(join(packageRoot(), template.file), 'utf8'));
  try {
    writeFileSync(target, text, { flag: 'wx' });
  } catch (error) {
    throw cannotWrite(error, target);
  }
  out.prose(`wrote ${out.page.path(target)}: ${template.about}`);
  out.lines(['', 'next:', ...template.next.map((step) => `  ${step}`), '']);
  out.prose(
    'Keep resources.yaml and resources.lock.yaml in version control; .res/ and the outputs need not be there.',
  );
  return 0;
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

function cannotWrite(error: unknown, target: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'EEXIST') {
    return new ResError('usage', `${target} is there already, and is left as it is`, {
      hint: 'Work in another folder (-C DIR), or move the file away first.',
    });
  }
  return new ResError('io', `cannot write ${target}: ${error.message}`, { cause: error });
}
