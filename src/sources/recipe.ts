// Reading the fields of a recipe. The manifest's schema has checked their shape; a field that interpolation made
// useless, or a recipe that did not come through the schema, is still the user's error and not a crash.
import { ResError } from '../model/error.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';
import { redactUrl } from './redact.js';

function wrong(field: string, expected: string): ResError {
  return new ResError('manifest-invalid', `\`${field}\`: ${expected} expected`);
}

export function textOf(value: Json | undefined, field: string): string {
  if (typeof value !== 'string' || value === '') throw wrong(field, 'a text');
  return value;
}

export function optionalText(value: Json | undefined, field: string): string | undefined {
  return value === undefined || value === null ? undefined : textOf(value, field);
}

export function objectOf(value: Json | undefined, field: string): JsonObject {
  if (!isJsonObject(value)) throw wrong(field, 'a mapping');
  return value;
}

/** One value or several, as a list that is not empty. */
export function listOf(value: Json | undefined, field: string): readonly [Json, ...Json[]] {
  const [first, ...rest] = isJsonArray(value) ? value : value === undefined ? [] : [value];
  if (first === undefined) throw wrong(field, 'at least one entry');
  return [first, ...rest];
}

/** A URL that can be fetched: http, https or file; `file:` may be relative. */
export function urlOf(value: Json | undefined, field: string): string {
  const url = textOf(value, field);
  if (!/^(?:https?:\/\/|file:)/i.test(url) || !URL.canParse(url)) {
    throw new ResError(
      'manifest-invalid',
      `\`${field}\`: \`${redactUrl(url)}\` is not an http, https or file URL`,
      {
        hint: 'A file of the workspace is `path: FILE`.',
      },
    );
  }
  return url;
}

/** Pins of a file: `sha256` (hex, any case) and `size` (bytes, a number or digits). */
export function pinOf(recipe: JsonObject): { readonly sha256?: string; readonly size?: number } {
  const sha256 = optionalText(recipe.sha256, 'sha256');
  const size = recipe.size === undefined || recipe.size === null ? undefined : Number(recipe.size);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) throw wrong('sha256', '64 hexadecimal digits');
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0))
    throw wrong('size', 'a number of bytes');
  return {
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
    ...(size === undefined ? {} : { size }),
  };
}

/** The last segment of a URL's path, as a file name. */
export function fileNameOf(url: string): string {
  const segment = new URL(url).pathname.split('/').findLast((part) => part !== '') ?? 'download';
  try {
    const name = decodeURIComponent(segment);
    // An encoded separator is no separator, and no part of a name either.
    return /[/\\\0]/.test(name) || name === '..' || name === '.' ? segment : name;
  } catch (error) {
    if (error instanceof URIError) return segment;
    throw error;
  }
}
