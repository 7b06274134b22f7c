// Interpolation of a whole value: every string in it, never a key.
import type { Diagnostic } from '../model/diagnostic.js';
import { isJsonArray, isJsonObject, type Json } from '../model/json.js';
import { pointerPath } from './complaints.js';
import { hasHoles, interpolate, type Scope } from './interpolate.js';
import type { SchemaError } from './validator.js';
import { locateFragment, type Place, placeAt, type YamlTree } from './yaml.js';

export interface Filled {
  /** What has no holes is the very value given. */
  readonly value: Json;
  /** JSON pointers of the strings that were filled in. */
  readonly filled: ReadonlySet<string>;
  /** JSON pointers of those that could not be. */
  readonly failed: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/** Holes that stay in the text, for who fills them later. */
export interface LaterHoles {
  /** Fields of the value in which they may stand. */
  readonly fields: ReadonlySet<string>;
  /** What the names of such holes match. */
  readonly holes: RegExp;
}

export function fillValue(
  value: Json,
  scope: Scope,
  tree: YamlTree,
  place: Place,
  complain: (problem: Diagnostic) => void,
  later?: LaterHoles,
): Filled {
  let filled: Set<string> | undefined;
  let failed: Set<string> | undefined;
  const path: (string | number)[] = [];

  const visitText = (text: string): string => {
    if (!hasHoles(text)) return text;
    const pointer = path
      .map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`)
      .join('');
    const keep = later?.fields.has(String(path[0])) ? later.holes : undefined;
    const result = interpolate(
      text,
      scope,
      ({ message, fragment, hint }) => {
        const location = locateFragment(tree, placeAt(tree, place, path), fragment);
        complain(hint === undefined ? { message, location } : { message, location, hint });
      },
      keep,
    );
    if (result === undefined) {
      failed ??= new Set();
      failed.add(pointer);
      return text;
    }
    filled ??= new Set();
    filled.add(pointer);
    return result;
  };

  const visitChild = (step: string | number, child: Json): Json => {
    path.push(step);
    const result = visit(child);
    path.pop();
    return result;
  };

  const visit = (current: Json): Json => {
    if (typeof current === 'string') return visitText(current);
    if (isJsonArray(current)) {
      let copy: Json[] | undefined;
      for (const [i, child] of current.entries()) {
        const result = visitChild(i, child);
        if (result === child) continue;
        copy ??= [...current];
        copy[i] = result;
      }
      return copy ?? current;
    }
    if (!isJsonObject(current)) return current;
    let copy: Record<string, Json> | undefined;
    for (const key in current) {
      const child = current[key] ?? null;
      const result = visitChild(key, child);
      if (result === child) continue;
      copy ??= { ...current };
      copy[key] = result;
    }
    return copy ?? current;
  };

  const result = visit(value);
  return { value: result, filled: filled ?? NONE, failed: failed ?? NONE };
}

/**
 * Interpolation gives text, also where a number or true or false is asked for. The value with such texts read as what
 * the schema says; undefined when there is none among the errors.
 */
export function readAsTyped(
  value: Json,
  errors: readonly SchemaError[],
  filled: ReadonlySet<string>,
): Json | undefined {
  let result: Json | undefined;
  for (const { keyword, params, data, instancePath } of errors) {
    if (keyword !== 'type' || typeof data !== 'string' || !filled.has(instancePath)) continue;
    const typed = typedText(data, params.type);
    if (typed !== undefined) result = replaceAt(result ?? value, pointerPath(instancePath), typed);
  }
  return result;
}

function typedText(text: string, type: unknown): number | boolean | undefined {
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (type !== 'integer' || !/^-?\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}

function replaceAt(value: Json, path: readonly string[], replacement: Json): Json {
  const [step, ...rest] = path;
  if (step === undefined) return replacement;
  if (isJsonArray(value))
    return value.map((child, i) => (i === Number(step) ? replaceAt(child, rest, replacement) : child));
  return isJsonObject(value)
    ? { ...value, [step]: replaceAt(value[step] ?? null, rest, replacement) }
    : value;
}
