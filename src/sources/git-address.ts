// Where a git repository is: as a manifest or a `.gitmodules` says it, as git is told, and as it may be shown.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ResError } from '../model/error.js';
import type { Mirror } from '../model/manifest.js';
import { absoluteUrl } from './local-file.js';
import { redactUrl } from './redact.js';

/** What git may speak; all that runs a program of the address's choosing (`ext::`) is not in it. */
export const PROTOCOLS: readonly string[] = ['https', 'http', 'ssh', 'git', 'file'];

const URL_FORM = /^(https?|ssh|git):\/\/[^\s/-][^\s]*$/i;
/** `user@host:path`: ssh, as git writes it. */
const SCP_FORM = /^[\w.-]+@[\w.][\w.-]*:(?!\/\/)[^\s-][^\s]*$/;

/**
 * An address as `git` takes it: a URL, `user@host:path`, or `file:` URL, absolute or from the manifest's folder. A path (`./x`,
 * `../x`, `/x`) becomes one. Throws ResError `manifest-invalid`.
 */
export function gitAddress(repo: string): string {
  if (/^\.{0,2}\//.test(repo)) return repo.startsWith('/') ? pathToFileURL(repo).href : `file:${repo}`;
  if (/^file:/i.test(repo) && !/\s/.test(repo)) return repo;
  if (/^ssh:\/\/[^/@]*:[^/@]*@/i.test(repo)) {
    throw new ResError('manifest-invalid', '`git.repo`: an ssh address cannot hold a password', {
      hint: 'ssh takes none from there: leave it out, and use a key (ssh-agent).',
    });
  }
  if (SCP_FORM.test(repo) || (URL_FORM.test(repo) && (URL.canParse(repo) || !/^http/i.test(repo))))
    return repo;
  const isShort = /^[\w.-]+\/[\w.-]+$/.test(repo);
  throw new ResError(
    'manifest-invalid',
    `\`git.repo\`: \`${shownAddress(repo)}\` is no address of a repository`,
    {
      hint: isShort
        ? `For GitHub's: https://github.com/${repo}. For a folder: ./${repo}.`
        : 'Known are https, http, ssh, git and file URLs, user@host:path, and a path that starts with ./, ../ or /.',
    },
  );
}

/** The address without what could be a secret in it. */
export function shownAddress(address: string): string {
  return redactUrl(address);
}

/** `linux-stable` of `https://…/linux-stable.git`. */
export function repositoryName(address: string): string {
  const path = address.replace(/[?#].*$/s, '').replace(/\/+(?:\.git\/*)?$/, '');
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf(':')) + 1).replace(/\.git$/, '');
  return name === '' || name === '.' || name === '..' ? 'repository' : name;
}

export function isLocalAddress(address: string): boolean {
  return /^file:/i.test(address);
}

/** As git is told: a relative one from the manifest's folder. */
export function absoluteAddress(address: string, dir: string): string {
  return absoluteUrl(address, dir);
}

/** Where to ask, in order: mirrors, then the address itself. */
export function placesOf(address: string, mirrors: readonly Mirror[]): readonly [string, ...string[]] {
  const found = mirrors
    .filter(({ from }) => address.startsWith(from))
    .flatMap(({ from, to }) => to.map((prefix) => prefix + address.slice(from.length)));
  const [first, ...rest] = [...new Set([...found, address])];
  return [first ?? address, ...rest];
}

/**
 * The absolute address of a submodule, which is content from outside: never an address that runs a program, and a folder of this
 * machine only where the repository that names it is one too. Throws ResError `unsafe-archive`.
 * @param parent that of the repository whose `.gitmodules` names it
 */
export function submoduleAddress(url: string, parent: string, path: string): string {
  const refuse = (why: string) =>
    new ResError('unsafe-archive', `the submodule ${JSON.stringify(path)} ${why}`, {
      hint: `Its address is ${JSON.stringify(shownAddress(url))}. Leave \`submodules\` out, or have it as a \`git\` artifact of its own.`,
    });
  if (/^\.\.?(?:\/|$)/.test(url))
    return joined(parent, url) ?? raise(refuse('has an address that leads nowhere'));
  if (url.startsWith('/') || isLocalAddress(url)) {
    if (!isLocalAddress(parent)) throw refuse('is a folder of this machine');
    return url.startsWith('/') ? pathToFileURL(url).href : url;
  }
  if (!URL_FORM.test(url) && !SCP_FORM.test(url))
    throw refuse('has an address of a kind that is not allowed');
  return url;
}

function raise(error: Error): never {
  throw error;
}

/** As git has it: every `../` takes one part off the parent's path. Undefined when there are not as many. */
function joined(parent: string, relative: string): string | undefined {
  const start = /^(?:[a-z]+:\/\/[^/]*|[^/]*:)/i.exec(parent)?.[0] ?? '';
  const base = parent.slice(start.length).replace(/\/+$/, '');
  const steps = relative.split('/').filter((step) => step !== '' && step !== '.');
  const parts = base.split('/');
  while (steps[0] === '..') {
    steps.shift();
    if (parts.pop() === undefined) return undefined;
  }
  if (steps.includes('..') || (parts.length === 0 && base.startsWith('/'))) return undefined;
  const path = [...parts, ...steps].join('/');
  return start.endsWith(':') ? `${start}${path}` : `${start}${join('/', path)}`;
}
