// JSON as data: the shape of recipes and of everything that is hashed, and its one canonical spelling.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * The canonical text of a value: object keys sorted by code unit, no white space, so that equal values
 * have equal bytes (the profile of RFC 8785 for the values that occur here: no NaN, no infinities).
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  // Joined by hand: every key of a build is made by this, and lists of parts in between would take most of the time.
  let text = '';
  if (isJsonArray(value)) {
    for (const each of value) text += text === '' ? canonicalJson(each) : `,${canonicalJson(each)}`;
    return `[${text}]`;
  }
  const keys = Object.keys(value);
  if (keys.length > 1) keys.sort();
  for (const key of keys) {
    const field = `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`;
    text += text === '' ? field : `,${field}`;
  }
  return `{${text}}`;
}

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
