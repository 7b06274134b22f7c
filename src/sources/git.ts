// `git: { repo, ref, submodules? }`: the tree of a commit, as a directory. The ref is resolved to a commit and locked; what is
// fetched is that commit and no history.
import { rm } from 'node:fs/promises';
import { ResError } from '../model/error.js';
import type { JsonObject } from '../model/json.js';
import {
  absoluteAddress,
  gitAddress,
  isLocalAddress,
  repositoryName,
  shownAddress,
  submoduleAddress,
} from './git-address.js';
import { explained, type GitOptions } from './git-program.js';
import { resolveRef } from './git-refs.js';
import {
  type Insisting,
  isFullCommit,
  type Listed,
  listSubmodules,
  listTree,
  obtain,
  type Repository,
  readListed,
  type Wanted,
} from './git-repository.js';
import { objectOf, textOf } from './recipe.js';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.js';
import type { FetchedTree, Source, SourceContext, TreeContext, TreeEntry } from './source.js';

/** Submodules in submodules; no tree that anyone builds from goes as deep. */
const MAX_DEPTH = 16;

interface Git {
  /** As git takes it; a relative one starts with `file:` and no slash. */
  readonly address: string;
  readonly ref: string;
  readonly submodules: boolean;
}

function gitOf(recipe: JsonObject): Git {
  const git = objectOf(recipe.git, 'git');
  const ref = textOf(git.ref, 'git.ref');
  // What git itself does not take for the name of a ref, and what it would take for an option or a list of refs.
  if (/^[-/]|[\s~^:?*[\\\p{Cc}]|\.\.|@\{|\/\/|[./]$|\.lock$/u.test(ref)) {
    throw new ResError(
      'manifest-invalid',
      `\`git.ref\`: \`${ref}\` is not the name of a branch or tag, or a commit id`,
    );
  }
  return {
    address: gitAddress(textOf(git.repo, 'git.repo')),
    ref,
    submodules: git.submodules === true || git.submodules === 'true',
  };
}

/** @param retry of what asks a server */
export function createGitSource(retry: RetryPolicy): Source {
  return {
    name: 'git',
    place: 'remote',
    programs: ['git'],
    references: () => [],
    check: (recipe) => void gitOf(recipe),
    identity(recipe) {
      const { address, ref, submodules } = gitOf(recipe);
      return `git:${shownAddress(address)}@${ref}${submodules ? '+submodules' : ''}`;
    },
    asks(recipe) {
      const { address, ref } = gitOf(recipe);
      return !isLocalAddress(address) && !isFullCommit(ref);
    },
    async resolve(recipe, context) {
      const { address, ref } = gitOf(recipe);
      const commit = await resolveRef(
        { ...optionsOf(context, retry), onNotice: () => undefined },
        absoluteAddress(address, context.dir),
        ref,
      ).catch((error: unknown) => {
        throw explained(error);
      });
      return { commit, files: [{ name: repositoryName(address), url: shownAddress(address) }] };
    },
    locate: async () => [],
    pins: () => undefined,
    tree: {
      fetch: (recipe, { commit }, context) => fetchTree(gitOf(recipe), commit, context, retry),
    },
  };
}

export const gitSource: Source = createGitSource(DEFAULT_RETRY);

function optionsOf(
  { env, programs, signal, mirrors }: SourceContext,
  retry: RetryPolicy,
): GitOptions & Omit<Insisting, 'onNotice'> {
  return { env, programs, signal, mirrors, retry };
}

/** A tree in the tree: the repository and the folder that it is put in, with a `/` at the end. */
interface Part {
  readonly repository: Repository;
  readonly listed: readonly Listed[];
  readonly prefix: string;
}

async function fetchTree(
  { address, ref, submodules }: Git,
  commit: string | undefined,
  context: TreeContext,
  retry: RetryPolicy,
): Promise<FetchedTree> {
  if (commit === undefined) {
    throw new ResError('lock-invalid', `the lock has no commit for ${shownAddress(address)} at ${ref}`, {
      hint: 'Run `res update`.',
    });
  }
  const o = { ...optionsOf(context, retry), onNotice: context.onNotice };
  const parts: Part[] = [];
  const take = async (wanted: Wanted, prefix: string, depth: number): Promise<void> => {
    const isFirst = parts.length === 0;
    // How much there is in submodules nobody knows before.
    const onPercent = isFirst ? (percent: number) => context.onPercent(percent * FETCHING) : () => undefined;
    const repository = await obtain(o, context.folder, wanted, onPercent);
    const listed = await listTree(o, repository);
    parts.push({ repository, listed, prefix });
    const links = listed.filter(({ type }) => type === 'submodule');
    if (!submodules || links.length === 0) return;
    if (depth === MAX_DEPTH) {
      throw new ResError(
        'unsafe-archive',
        `${shownAddress(address)}: its submodules go more than ${MAX_DEPTH} deep`,
      );
    }
    const addresses = await modulesOf(o, repository, listed);
    for (const { path, id } of links) {
      const url = addresses.get(path);
      if (url === undefined) throw nowhere(repository, `${prefix}${path}`);
      const inner = submoduleAddress(url, repository.address, `${prefix}${path}`);
      await take({ address: inner, commit: id }, `${prefix}${path}/`, depth + 1);
    }
  };
  await take({ address: absoluteAddress(address, context.dir), commit, ref }, '', 0);
  const [top] = parts;
  if (!top) throw new Error('a tree without a repository');
  return {
    tree: parts.length > 1 ? `${top.repository.tree}+submodules` : top.repository.tree,
    downloadedBytes: isLocalAddress(address)
      ? 0
      : parts.reduce((sum, { repository }) => sum + repository.fetchedBytes, 0),
    entries: () => entriesOf(o, parts, context),
  };
}

/** Of the work, how much fetching counts in the progress; writing the files is the rest. */
const FETCHING = 0.8;

async function modulesOf(
  o: GitOptions,
  repository: Repository,
  listed: readonly Listed[],
): Promise<ReadonlyMap<string, string>> {
  return listed.some(({ path, type }) => path === '.gitmodules' && type === 'file')
    ? listSubmodules(o, repository)
    : new Map();
}

function nowhere({ address }: Repository, path: string): ResError {
  return new ResError(
    'bad-format',
    `${shownAddress(address)}: its .gitmodules says no address for the submodule ${path}`,
    {
      hint: 'Leave `submodules` out: the folder is empty then.',
    },
  );
}

async function* entriesOf(
  o: GitOptions,
  parts: readonly Part[],
  context: TreeContext,
): AsyncGenerator<TreeEntry> {
  const total = parts.reduce((sum, { listed }) => sum + listed.length, 0);
  let done = 0;
  try {
    for (const { repository, listed, prefix } of parts) {
      // One that is not fetched is an empty folder, as in a clone.
      for (const { path, type } of listed) if (type === 'submodule') yield folder(`${prefix}${path}`);
      const files = listed.filter(({ type }) => type !== 'submodule');
      for await (const entry of readListed(o, repository, files, prefix)) {
        yield entry;
        context.onPercent(100 * (FETCHING + (1 - FETCHING) * (++done / total)));
      }
    }
  } catch (error) {
    // What has been fetched wrongly, or was damaged since, is not to be used again.
    if (error instanceof ResError && error.code === 'corrupt-input')
      await rm(context.folder, { recursive: true, force: true });
    throw error;
  }
}

function folder(name: string): TreeEntry {
  return { name, type: 'directory', size: 0, executable: false, target: '', async *content() {} };
}
