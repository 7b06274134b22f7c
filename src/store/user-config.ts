// What a user says once for all of his workspaces: `res/config.yaml` below XDG_CONFIG_HOME.
//
// It is looked for by every command; the YAML is parsed only where there is one.
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { complaints } from '../manifest/complaints.js';
import { manifestError, sortDiagnostics } from '../manifest/diagnostics.js';
import { readText } from '../manifest/text.js';
import { validateConfig } from '../manifest/validate.generated.js';
import { locateValue, parseYaml, placeAt, type YamlTree } from '../manifest/yaml.js';
import type { Diagnostic } from '../model/diagnostic.js';
import type { Env } from '../model/env.js';
import { isJsonObject, type Json } from '../model/json.js';
import { parseSize } from '../model/size.js';

export interface UserConfig {
  /** Where the store lies, absolute. */
  readonly store?: string;
  /** What `gc` does where its flags say nothing. */
  readonly gc?: GcLimits;
}

export interface GcLimits {
  /** What was used within so many days stays. */
  readonly keepDays?: number;
  /** What the store may take on disk, bytes. */
  readonly maxSize?: number;
}

/** Absolute; the file need not be there. Undefined where the environment names no home folder. */
export function userConfigFile({ XDG_CONFIG_HOME: configured, HOME: home }: Env): string | undefined {
  // By the standard, relative paths count as none.
  if (configured && isAbsolute(configured)) return join(configured, 'res', 'config.yaml');
  return home && isAbsolute(home) ? join(home, '.config', 'res', 'config.yaml') : undefined;
}

/**
 * Empty when there is no such file. Throws ResError `config-invalid` with all that is wrong with it.
 * @param cwd the folder that paths in messages are relative to
 */
export function readUserConfig(env: Env, cwd: string = process.cwd()): UserConfig {
  const file = userConfigFile(env);
  if (file === undefined) return {};
  const source = readText(file, cwd);
  if ('diagnostic' in source) {
    if (source.missing) return {};
    const { diagnostic } = source;
    throw manifestError('config-invalid', diagnostic.location?.file ?? file, [diagnostic]);
  }
  const tree = parseYaml(source);
  const { config, problems } =
    tree.problems.length > 0 ? { config: {}, problems: tree.problems } : read(tree, env);
  if (problems.length > 0)
    throw manifestError('config-invalid', source.shown, sortDiagnostics(problems, [source.shown]));
  return config;
}

interface Reading {
  readonly config: UserConfig;
  readonly problems: readonly Diagnostic[];
}

function read(tree: YamlTree, env: Env): Reading {
  const { value } = tree;
  // Empty, or comments only.
  if (value === null) return { config: {}, problems: [] };
  if (!validateConfig(value)) {
    const checked = { tree, place: tree.root, subject: 'a configuration', skip: () => false };
    return { config: {}, problems: complaints(validateConfig.errors ?? [], checked) };
  }
  const problems: Diagnostic[] = [];
  const complain = (path: readonly string[], message: string, hint: string) =>
    void problems.push({ message, location: locateValue(tree, placeAt(tree, tree.root, path)), hint });
  const { store, gc } = isJsonObject(value) ? value : {};
  const config = {
    ...(typeof store === 'string'
      ? { store: storePath(store, dirname(tree.source.file), env, complain) }
      : {}),
    ...(isJsonObject(gc) ? { gc: readLimits(gc, complain) } : {}),
  };
  return { config, problems };
}

type Complain = (path: readonly string[], message: string, hint: string) => void;

function storePath(written: string, dir: string, { HOME: home }: Env, complain: Complain): string {
  if (!written.startsWith('~')) return resolve(dir, written);
  if (home && isAbsolute(home)) return resolve(home, `.${written.slice(1)}`);
  complain(['store'], '`~` is the home folder, and HOME does not say which that is', 'write the whole path');
  return '';
}

/** The value has been validated: what is not of the expected type is not there. */
function readLimits(
  { 'keep-days': days, 'max-size': size }: Readonly<Record<string, Json>>,
  complain: Complain,
): GcLimits {
  const maxSize = typeof size === 'string' ? parseSize(size) : size;
  if (typeof size === 'string' && maxSize === undefined)
    complain(['gc', 'max-size'], 'there are no disks of that size', 'leave it out for no limit');
  return {
    ...(typeof days === 'number' ? { keepDays: days } : {}),
    ...(typeof maxSize === 'number' ? { maxSize } : {}),
  };
}
