// What a schema validator found, in plain English and with its place in the text.
import type { Diagnostic, Location } from '../model/diagnostic.js';
import { suggest } from './nearest.js';
import type { SchemaError } from './validator.js';
import { locateKey, locateValue, type Place, placeAt, type YamlTree } from './yaml.js';

export interface Checked {
  readonly tree: YamlTree;
  /** Where the value stands that was validated. */
  readonly place: Place;
  /** What it is called in "… needs `to`". */
  readonly subject: string;
  /** Whether the value at a JSON pointer is not worth a complaint: there is one about it already. */
  readonly skip: (pointer: string) => boolean;
  /** What to do in place of a key that cannot be there. */
  readonly instead?: (key: string) => string | undefined;
}

export function complaints(errors: readonly SchemaError[], checked: Checked): Diagnostic[] {
  return withoutAlternatives(errors)
    .filter((error) => !checked.skip(error.instancePath))
    .map((error) => complaint(error, checked));
}

/** The steps of a JSON pointer, as text. */
export function pointerPath(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * Of a value that fits none of several alternatives, every one complains. What an alternative of the right type says
 * is what the user wants to hear; when none is, the value is not what was expected as a whole.
 */
function withoutAlternatives(errors: readonly SchemaError[]): SchemaError[] {
  const alternatives = new Map(errors.filter((e) => e.keyword === 'anyOf').map((e) => [e.instancePath, e]));
  const telling = errors.filter(
    (e) => !(e.keyword === 'type' && alternatives.has(e.instancePath)) && e.keyword !== 'anyOf',
  );
  const rest = [...alternatives.values()].filter(
    ({ instancePath: at }) =>
      !telling.some((e) => e.instancePath === at || e.instancePath.startsWith(`${at}/`)),
  );
  const named = telling.map((e) => {
    const title = e.parentSchema?.title ?? alternatives.get(e.instancePath)?.parentSchema?.title;
    return title === undefined ? e : { ...e, parentSchema: { ...e.parentSchema, title } };
  });
  return aboutKeys([...named, ...rest]);
}

/** `propertyNames` says which key is wrong, and what its own schema found says why: one complaint of the two. */
function aboutKeys(errors: readonly SchemaError[]): SchemaError[] {
  const wrongKeys = new Set(
    errors
      .filter((e) => e.keyword === 'propertyNames')
      .map((e) => JSON.stringify([e.instancePath, e.params.propertyName])),
  );
  return errors
    .filter((e) => e.keyword !== 'propertyNames')
    .map((e) =>
      typeof e.data === 'string' && wrongKeys.has(JSON.stringify([e.instancePath, e.data]))
        ? { ...e, propertyName: e.data }
        : e,
    );
}

function complaint(error: SchemaError, { tree, place, subject, instead }: Checked): Diagnostic {
  const path = pointerPath(error.instancePath);
  const at = placeAt(tree, place, path);
  const title = error.parentSchema?.title ?? 'something else';
  const last = path.at(-1);
  const owner =
    last === undefined ? subject : /^\d+$/.test(last) ? (title.split(':')[0] ?? title) : `\`${last}\``;

  if (error.propertyName !== undefined) {
    const key = placeAt(tree, place, [...path, error.propertyName]);
    return build(
      `expected ${title}, found \`${shorten(error.propertyName)}\``,
      locateKey(tree, key),
      hintFrom(error.parentSchema?.description),
    );
  }
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params.additionalProperty);
      const known = Object.entries(error.parentSchema?.properties ?? {})
        .filter(([, schema]) => schema !== false)
        .map(([name]) => name);
      const where = locateKey(tree, placeAt(tree, place, [...path, key]));
      return build(`unknown key \`${shorten(key)}\``, where, suggest(key, known, 'known keys'));
    }
    case 'required': {
      const key = String(error.params.missingProperty);
      return build(
        `${owner} needs \`${key}\``,
        locateKey(tree, at),
        descriptionOf(error.parentSchema?.properties?.[key], key),
      );
    }
    case 'false schema':
      return build(`${subject} cannot have \`${last ?? ''}\``, locateKey(tree, at), instead?.(last ?? ''));
    case 'enum': {
      const allowed = Array.isArray(error.params.allowedValues) ? error.params.allowedValues.map(String) : [];
      const hint = suggest(String(error.data), allowed, 'one of');
      return build(`expected ${title}, found ${describe(error.data)}`, locateValue(tree, at), hint);
    }
    case 'const':
    case 'pattern':
      return build(
        `expected ${title}, found ${describe(error.data)}`,
        locateValue(tree, at),
        hintFrom(error.parentSchema?.description),
      );
    case 'type':
      return build(
        `expected ${title}, found ${describe(error.data)}`,
        locateValue(tree, at),
        typeHint(error),
      );
    default:
      return build(`expected ${title}, found ${describe(error.data)}`, locateValue(tree, at));
  }
}

function typeHint({ params, data }: SchemaError): string | undefined {
  const expected = [params.type].flat();
  if (expected.includes('string') && (typeof data === 'number' || typeof data === 'boolean'))
    return 'put it in quotes';
  if (expected.includes('array') && typeof data === 'string') return `write it as a list: [${shorten(data)}]`;
  return undefined;
}

/** A description, as a hint: without its full stop and its capital, where that is only the sentence's. */
function hintFrom<T extends string | undefined>(description: T): string | T {
  if (description === undefined) return description;
  const text = description.replace(/\.$/, '');
  return /^[A-Z][a-z ]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text;
}

function descriptionOf(schema: unknown, key: string): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('description' in schema)) return undefined;
  return `\`${key}\`: ${hintFrom(String(schema.description))}`;
}

function build(message: string, location: Location, hint?: string): Diagnostic {
  return hint === undefined ? { message, location } : { message, location, hint };
}

/** A value in a few words. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') {
    const keys = Object.keys(value);
    if (keys.length === 0) return 'an empty map';
    return keys.length > 3 ? 'a map' : `a map with ${keys.map((key) => `\`${shorten(key)}\``).join(', ')}`;
  }
  if (value === '') return 'empty text';
  if (typeof value === 'string') return `\`${shorten(value)}\``;
  return typeof value === 'number' ? `the number ${value}` : String(value);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
