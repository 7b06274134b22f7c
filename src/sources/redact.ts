// URLs as they may be shown, locked or logged: a password in a URL, or a signature that opens a store, is a secret.
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';

/** Query parameters that make the whole query a credential: signed links of object stores, and tokens. */
const SIGNED =
  /^(?:x-(?:amz|goog|oss|ms)-.+|sig|signature|hmac|token|access_token|auth_token|private_token|auth|jwt|api_?key|awsaccesskeyid|googleaccessid|key-pair-id|password|secret)$/i;

/**
 * The URL without user info, fragment and signed query. A text that is no http(s) URL is returned as it is; one that was
 * to be a URL and cannot be read as one, without all that could be a secret in it.
 */
export function redactUrl(url: string): string {
  if (!/^https?:/i.test(url)) return url;
  if (!URL.canParse(url)) return url.replace(/[?#].*$/s, '').replace(/^([a-z]+:\/*)[^/]*@/i, '$1');
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  parsed.hash = '';
  if ([...parsed.searchParams.keys()].some((name) => SIGNED.test(name))) parsed.search = '';
  return parsed.href;
}

/** Whether an http(s) URL in a value, at any depth, has what could be a secret in it. */
export function holdsSecret(value: Json): boolean {
  if (typeof value === 'string') {
    if (!/^https?:/i.test(value)) return false;
    if (!URL.canParse(value)) return true;
    const { username, password, searchParams } = new URL(value);
    return username !== '' || password !== '' || [...searchParams.keys()].some((name) => SIGNED.test(name));
  }
  if (isJsonArray(value)) return value.some(holdsSecret);
  return isJsonObject(value) && Object.values(value).some(holdsSecret);
}

/** A text of someone else's (an error's message) with every URL in it redacted. */
export function redactText(text: string): string {
  return text.replace(/https?:\/\/[^\s'"<>]+/gi, redactUrl);
}

/** A recipe with every URL in it redacted: as it may be shown and remembered. */
export function redactRecipe(recipe: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(recipe).map(([field, value]) => [field, redactValue(value)]));
}

function redactValue(value: Json): Json {
  if (typeof value === 'string') return redactUrl(value);
  if (isJsonArray(value)) return value.map(redactValue);
  return isJsonObject(value) ? redactRecipe(value) : value;
}
