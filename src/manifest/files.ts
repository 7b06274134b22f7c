// A manifest's files: the one that was asked for and those it includes, each read and parsed once.
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Diagnostic } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';
import { isJsonArray, isJsonObject } from '../model/json.js';
import { sawReal, spoilLooks } from '../model/looks.js';
import { readText, type SourceText, sourceText, systemCode } from './text.js';
import { locateValue, parseYaml, placeAt, type YamlTree } from './yaml.js';

export interface ManifestFiles {
  readonly root: YamlTree;
  /** The root first, then includes as they come. */
  readonly all: readonly YamlTree[];
  readonly problems: readonly Diagnostic[];
  /** Some file could not be read or is no YAML: names may be missing. */
  readonly incomplete: boolean;
  /** All paths whose links were followed, and where they led. */
  readonly reals: readonly (readonly [path: string, real: string])[];
}

/** Throws ResError `manifest-not-found` when `file` itself does not exist; all else is in `problems`. */
export function readManifestFiles(file: string, cwd: string): ManifestFiles {
  const problems: Diagnostic[] = [];
  const all: YamlTree[] = [];
  let incomplete = false;
  const seen = new Set<string>();
  const reals = new Map<string, string>();
  const realPath = (path: string): string => {
    const real = findReal(path);
    reals.set(path, real);
    return real;
  };

  const read = (path: string, from: Include | undefined): YamlTree | undefined => {
    const text = readText(path, cwd);
    if ('diagnostic' in text) {
      incomplete = true;
      if (!from && text.missing) throw notFound(text.diagnostic.message);
      const location = from?.locate() ?? text.diagnostic.location;
      problems.push(location ? { ...text.diagnostic, location } : text.diagnostic);
      return undefined;
    }
    const tree = parseOnce(text);
    problems.push(...tree.problems);
    if (tree.broken) incomplete = true;
    all.push(tree);
    return tree;
  };

  /** `chain`: the files that include each other, down to this one. */
  const follow = (tree: YamlTree, chain: readonly string[]): void => {
    for (const include of includesOf(tree)) {
      const path = resolve(dirname(tree.source.file), include.file);
      if (include.file.includes('${')) {
        incomplete = true;
        problems.push({
          message: 'the name of an included file is not interpolated',
          location: include.locate(),
        });
        continue;
      }
      const real = realPath(path);
      if (chain.includes(real)) {
        const names = [...chain.slice(chain.indexOf(real)), real].map((each) => shownNames.get(each) ?? each);
        problems.push({
          message: `files include each other: ${names.join(' -> ')}`,
          location: include.locate(),
        });
        continue;
      }
      if (seen.has(real)) continue;
      seen.add(real);
      if (chain.length >= MAX_INCLUDE_DEPTH) {
        problems.push({
          message: `includes are nested more than ${MAX_INCLUDE_DEPTH} deep`,
          location: include.locate(),
        });
        continue;
      }
      const included = read(path, include);
      if (!included) continue;
      shownNames.set(real, included.source.shown);
      follow(included, [...chain, real]);
    }
  };

  const shownNames = new Map<string, string>();
  const root = read(file, undefined);
  if (!root) return { root: emptyTree(file), all, problems, incomplete, reals: [] };
  const real = realPath(file);
  shownNames.set(real, root.source.shown);
  seen.add(real);
  follow(root, [real]);
  return { root, all, problems, incomplete, reals: [...reals] };
}

const MAX_INCLUDE_DEPTH = 32;

interface Include {
  readonly file: string;
  readonly locate: () => NonNullable<Diagnostic['location']>;
}

/** What has the right form; the schema complains about the rest. */
function includesOf(tree: YamlTree): Include[] {
  const list = isJsonObject(tree.value) ? tree.value.include : undefined;
  if (!isJsonArray(list)) return [];
  return list.flatMap((file, i) =>
    typeof file === 'string' && file !== '' && !file.includes('\0')
      ? [{ file, locate: () => locateValue(tree, placeAt(tree, tree.root, ['include', i])) }]
      : [],
  );
}

/** The last parse of each file: the command line reads the params of a manifest before it loads it. */
const parsed = new Map<string, YamlTree>();
const MAX_PARSED = 16;

function parseOnce(source: SourceText): YamlTree {
  const before = parsed.get(source.file);
  if (before && before.source.text === source.text && before.source.shown === source.shown) return before;
  const tree = parseYaml(source);
  parsed.delete(source.file);
  const oldest = parsed.size >= MAX_PARSED ? parsed.keys().next().value : undefined;
  if (oldest !== undefined) parsed.delete(oldest);
  parsed.set(source.file, tree);
  return tree;
}

function findReal(path: string): string {
  try {
    const real = realpathSync(path);
    sawReal(path, real);
    return real;
  } catch (error) {
    spoilLooks();
    // It cannot be read either, which is what will be complained about.
    if (systemCode(error) === undefined) throw error;
    return path;
  }
}

function emptyTree(file: string): YamlTree {
  const source = sourceText(resolve(file), file, '', '');
  return { source, value: null, root: { value: null }, problems: [], broken: true, aliases: new Map() };
}

function notFound(message: string): ResError {
  return new ResError('manifest-not-found', message, {
    hint: '`res init` makes a manifest; -f names another file',
  });
}
