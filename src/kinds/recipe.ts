// The fields of a recipe as typed values. The schema has checked what the manifest says; interpolation can still have put text
// where a number or a truth value stands.
import { ResError } from '../model/error.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';
import { type KindReferences, parseReference } from '../model/node.js';

type References = ReturnType<KindReferences['references']>;

/** The one node that stands at the kind key. */
export function single(recipe: JsonObject, kind: string): References {
  const node = recipe[kind];
  if (typeof node !== 'string') throw unfit(kind, 'the name of a node', node);
  return [{ role: 'in', ...parseReference(node), path: [kind] }];
}

/** One or several nodes that stand at the kind key. */
export function several(recipe: JsonObject, kind: string): References {
  const nodes = recipe[kind];
  if (!isJsonArray(nodes)) return single(recipe, kind);
  return nodes.map((node, index) => {
    if (typeof node !== 'string') throw unfit(kind, 'names of nodes', node);
    return { role: 'in', ...parseReference(node), path: [kind, index] };
  });
}

export function text(recipe: JsonObject, field: string): string | undefined {
  const value = recipe[field];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw unfit(field, 'text', value);
  return value;
}

export function truth(recipe: JsonObject, field: string): boolean | undefined {
  const value = recipe[field];
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw unfit(field, 'true or false', value);
}

/** A whole number from 0. */
export function count(recipe: JsonObject, field: string): number | undefined {
  const value = recipe[field];
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
    throw unfit(field, 'a whole number from 0', value);
  }
  return number;
}

/** One of some words. */
export function word<T extends string>(
  recipe: JsonObject,
  field: string,
  words: readonly T[],
): T | undefined {
  const value = recipe[field];
  if (value === undefined) return undefined;
  const found = words.find((one) => one === value);
  if (found === undefined) throw unfit(field, `one of ${words.join(', ')}`, value);
  return found;
}

/** A map of names to text, numbers or truth values, each as text, sorted by name. */
export function settings(recipe: JsonObject, field: string): Readonly<Record<string, string>> {
  const value = recipe[field];
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw unfit(field, 'a map', value);
  const entries = Object.entries(value).map(([name, setting]): [string, string] => {
    if (typeof setting === 'string' || typeof setting === 'number') return [name, String(setting)];
    // qemu-img's own words for it.
    if (typeof setting === 'boolean') return [name, setting ? 'on' : 'off'];
    throw unfit(`${field}.${name}`, 'text, a number or true or false', setting);
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const UNITS = 'BKMGTPE';
const SIZE = /^(\d+(?:\.\d+)?)([BKMGTPE]?)$/i;

/** Bytes of a number, or of text such as `20G` (powers of 1024, as qemu-img counts). */
export function bytes(value: Json, field: string): number {
  const match = SIZE.exec(String(value));
  const size = match
    ? Math.trunc(Number(match[1]) * 1024 ** Math.max(0, UNITS.indexOf((match[2] ?? '').toUpperCase())))
    : -1;
  if ((typeof value !== 'string' && typeof value !== 'number') || size < 0 || !Number.isSafeInteger(size)) {
    throw unfit(field, 'a size: bytes, or like 20G', value);
  }
  return size;
}

export function unfit(field: string, expected: string, value: Json | undefined): ResError {
  return new ResError(
    'manifest-invalid',
    `\`${field}\` must be ${expected}, and is ${JSON.stringify(value) ?? 'missing'}`,
  );
}
