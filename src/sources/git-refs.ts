// From a ref as a person writes it to the commit that it stands for now.
import { nearest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import { placesOf, shownAddress } from './git-address.js';
import { type GitOptions, gitRemote, REMOTE } from './git-program.js';
import { firstPlace, type Insisting, isFullCommit } from './git-repository.js';

/** One line of what `git ls-remote` prints. */
interface Ref {
  readonly id: string;
  /** `refs/tags/v1`, `HEAD`; `^{}` at the end: what an annotated tag is of. */
  readonly name: string;
}

/**
 * The commit of a branch or tag (by its name or as `refs/…`), or `HEAD`; a full commit id is itself, and nobody is asked. Rejects with
 * ResError `release-not-found` for what is none, or several; as `gitRemote` fails.
 */
export async function resolveRef(o: GitOptions & Insisting, address: string, ref: string): Promise<string> {
  if (isFullCommit(ref)) return ref.toLowerCase();
  const patterns = [
    'HEAD',
    ref,
    ...(ref.startsWith('refs/') ? [] : [`refs/heads/${ref}`, `refs/tags/${ref}`]),
  ];
  const wanted = patterns.flatMap((name) => [name, `${name}^{}`]);
  const found = (await listRefs(o, address, [...new Set(wanted)])).filter(({ name }) =>
    wanted.includes(name),
  );
  const commitOf = (name: string) =>
    (found.find((one) => one.name === `${name}^{}`) ?? found.find((one) => one.name === name))?.id;
  const [head, branch, tag] = [commitOf(ref), commitOf(`refs/heads/${ref}`), commitOf(`refs/tags/${ref}`)];
  if (branch !== undefined && tag !== undefined && branch !== tag) {
    throw new ResError('release-not-found', `${shownAddress(address)} has both a branch and a tag ${ref}`, {
      hint: `Say which one: refs/heads/${ref} (${branch.slice(0, 12)}) or refs/tags/${ref} (${tag.slice(0, 12)}).`,
    });
  }
  const commit = branch ?? tag ?? head;
  if (commit !== undefined) return commit;
  throw unknownRef(address, ref, await listRefs(o, address, ['refs/heads/*', 'refs/tags/*']));
}

async function listRefs(
  o: GitOptions & Insisting,
  address: string,
  patterns: readonly string[],
): Promise<readonly Ref[]> {
  const stdout = await firstPlace<string>(o, placesOf(address, o.mirrors), async (place) => {
    const answer = await gitRemote(o, ['ls-remote', REMOTE, ...patterns], { address: place });
    return answer.kind === 'done' ? { kind: 'got', value: answer.stdout } : answer;
  });
  return stdout.split('\n').flatMap((line) => {
    const [id = '', name] = line.split('\t');
    return name !== undefined && isFullCommit(id) ? [{ id, name }] : [];
  });
}

function unknownRef(address: string, ref: string, refs: readonly Ref[]): ResError {
  const where = shownAddress(address);
  if (/^[0-9a-f]{4,63}$/i.test(ref)) {
    const same = [...new Set(refs.map(({ id }) => id).filter((id) => id.startsWith(ref.toLowerCase())))];
    const [only] = same;
    return new ResError('release-not-found', `${where}: ${ref} is no branch or tag, and no full commit id`, {
      hint:
        same.length === 1 && only !== undefined
          ? `A commit is named by its full id: ${only}.`
          : 'A commit is named by its full id, all 40 digits: `git rev-parse` prints it. A part of one may come to mean several.',
    });
  }
  const names = refs
    .filter(({ name }) => !name.endsWith('^{}'))
    .map(({ name }) => (ref.startsWith('refs/') ? name : name.replace(/^refs\/(?:heads|tags)\//, '')));
  const meant = nearest(ref, names);
  const some = names.slice(0, 10).join(', ');
  return new ResError('release-not-found', `${where} has no branch or tag ${ref}`, {
    hint:
      meant !== undefined
        ? `Did you mean ${meant}?`
        : names.length === 0
          ? 'It has no branches and no tags.'
          : `It has ${some}${names.length > 10 ? `, … (${names.length} in all)` : ''}.`,
  });
}
