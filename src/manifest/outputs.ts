// Output paths: each below output-dir, each to itself.
import { join, posix, relative, sep } from 'node:path';
import type { Diagnostic } from '../model/diagnostic.js';
import type { NodeDeclaration } from '../model/node.js';

export type OutputPath = { readonly path: string } | { readonly problem: string };

/** A path as written, in its one normal form: relative, with `/`, without `.` and `..`. */
export function normaliseOutput(text: string): OutputPath {
  if (text.includes('\0')) return { problem: 'an output path cannot have a NUL character' };
  if (text === '') return { problem: 'the output path is empty' };
  if (posix.isAbsolute(text)) return { problem: `\`${text}\` is absolute; an output lies below output-dir` };
  const path = posix.normalize(text).replace(/\/+$/, '');
  if (path === '.') return { problem: `\`${text}\` is output-dir itself` };
  if (path === '..' || path.startsWith('../')) return { problem: `\`${text}\` leads out of output-dir` };
  return { path };
}

/**
 * Complains about outputs that are in each other's way, and about those that would replace what res itself needs:
 * `kept` (absolute paths of files) and the workspace folder `.res`.
 */
export function checkOutputs(
  nodes: readonly NodeDeclaration[],
  place: { readonly dir: string; readonly outputDir: string | undefined; readonly kept: readonly string[] },
  complain: (problem: Diagnostic) => void,
): void {
  const owners = new Map<string, Owned>();
  for (const node of nodes) {
    for (const owned of ownedBy(node)) {
      const { path } = owned;
      const same = owners.get(path);
      if (same) complain(conflict(owned, same, `\`${path}\` is the output of \`${same.node.name}\` already`));
      else owners.set(path, owned);
    }
  }
  for (const [path, owned] of owners) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const above = owners.get(path.slice(0, end));
      if (above)
        complain(
          conflict(
            owned,
            above,
            `\`${path}\` lies in \`${above.path}\`, the output of \`${above.node.name}\``,
          ),
        );
    }
  }
  if (place.outputDir === undefined) return;
  // Joining paths is slow: only where output-dir could reach what is kept.
  const near = [...place.kept, join(place.dir, '.res')].some((path) => isWithin(path, place.outputDir ?? ''));
  const inState = isWithin(place.outputDir, join(place.dir, '.res'));
  if (!near && !inState) return;
  for (const [path, { node, at }] of owners) {
    const absolute = join(place.outputDir, path);
    const location = node.locate(at);
    if (place.kept.some((file) => isWithin(file, absolute))) {
      complain({ message: `the output \`${path}\` is where the manifest lies`, location });
    } else if (isWithin(absolute, join(place.dir, '.res')) || isWithin(join(place.dir, '.res'), absolute)) {
      complain({ message: `the output \`${path}\` is where res keeps its records`, location });
    }
  }
}

/** An output path with the node that has it, and where it is written there. */
interface Owned {
  readonly path: string;
  readonly node: NodeDeclaration;
  readonly at: readonly string[];
}

function ownedBy(node: NodeDeclaration): readonly Owned[] {
  if (node.output !== undefined) return [{ path: node.output, node, at: ['output'] }];
  return (node.outputs ?? []).map(({ name, path }) => ({ path, node, at: ['outputs', name] }));
}

function conflict({ node, at }: Owned, other: Owned, message: string): Diagnostic {
  const { file, line, column } = other.node.locate(other.at);
  return { message, location: node.locate(at), hint: `that one is at ${file}:${line}:${column}` };
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`));
}
