// `${name}`, `${env.NAME}`, `${env.NAME:-default}` and `$${`: text with holes, filled in once. What a hole gives is
// never looked at again, and nothing is evaluated.
import type { Env } from '../model/env.js';
import { suggest } from './nearest.js';

/** Code units that a text may grow to: names that stand for each other twice double at every step. */
const MAX_LENGTH = 1024 * 1024;
/** Defaults within defaults. */
const MAX_NESTING = 16;

export interface Scope {
  readonly env: Env;
  /** All names that may stand in a hole, without `env.…`. */
  readonly names: () => Iterable<string>;
  /** The value; `failed` when the name is known and its own definition is wrong, which is complained about there. */
  readonly lookup: (name: string) => Lookup;
}

export type Lookup =
  | { readonly is: 'value'; readonly value: string }
  | { readonly is: 'failed' }
  | { readonly is: 'unknown' };

export interface TemplateProblem {
  readonly message: string;
  /** The part of the text that is wrong. */
  readonly fragment: string;
  readonly hint?: string;
}

type Part =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'name'; readonly name: string; readonly fragment: string }
  | {
      readonly is: 'env';
      readonly name: string;
      readonly fallback: readonly Part[] | undefined;
      readonly fragment: string;
    };

export function hasHoles(text: string): boolean {
  return text.includes('${');
}

/**
 * The text with its holes filled; undefined when that cannot be done, after complaining or because a name failed.
 * @param keep names of holes that stay as they are. Every other `${` of the result is then still written `$${`.
 */
export function interpolate(
  text: string,
  scope: Scope,
  complain: (problem: TemplateProblem) => void,
  keep?: RegExp,
): string | undefined {
  if (!hasHoles(text)) return text;
  const parsed = parseTemplate(text);
  if ('problem' in parsed) {
    complain(parsed.problem);
    return undefined;
  }
  const filled = keep
    ? fillSome(parsed.parts, scope, complain, keep)
    : fill(parsed.parts, scope, complain, true);
  if (filled === undefined || filled.length <= MAX_LENGTH) return filled;
  complain({ message: 'the text is longer than 1 MiB after interpolation', fragment: text });
  return undefined;
}

function fillSome(
  parts: readonly Part[],
  scope: Scope,
  complain: (problem: TemplateProblem) => void,
  keep: RegExp,
): string | undefined {
  let result = '';
  let failed = false;
  for (const part of parts) {
    if (part.is === 'name' && keep.test(part.name)) {
      result += part.fragment;
      continue;
    }
    const value = fill([part], scope, complain, true);
    if (value === undefined) failed = true;
    else result += value.replaceAll('${', '$${');
  }
  return failed ? undefined : result;
}

/** Complains about what is wrong whatever the values are: the form, and names that do not exist. */
export function checkTemplate(
  text: string,
  scope: Scope,
  complain: (problem: TemplateProblem) => void,
): void {
  if (!hasHoles(text)) return;
  const parsed = parseTemplate(text);
  if ('problem' in parsed) complain(parsed.problem);
  else fill(parsed.parts, { ...scope, lookup: (name) => known(name, scope) }, complain, false);
}

function known(name: string, scope: Scope): Lookup {
  for (const each of scope.names()) if (each === name) return { is: 'value', value: '' };
  return { is: 'unknown' };
}

/** With `needed` false, a variable of the environment that is not set is no complaint. */
function fill(
  parts: readonly Part[],
  scope: Scope,
  complain: (problem: TemplateProblem) => void,
  needed: boolean,
): string | undefined {
  let result = '';
  let failed = false;
  for (const part of parts) {
    const value = fillPart(part, scope, complain, needed);
    if (value === undefined) failed = true;
    else if (result.length <= MAX_LENGTH) result += value;
  }
  return failed ? undefined : result;
}

function fillPart(
  part: Part,
  scope: Scope,
  complain: (problem: TemplateProblem) => void,
  needed: boolean,
): string | undefined {
  if (part.is === 'text') return part.text;
  if (part.is === 'name') {
    const found = scope.lookup(part.name);
    if (found.is === 'value') return found.value;
    if (found.is === 'unknown') complain(unknownName(part.name, part.fragment, scope));
    return undefined;
  }
  const value = scope.env[part.name];
  if (part.fallback !== undefined) {
    // As in a shell, `:-` also stands in for an empty value. Unused, the default is still checked for names.
    if (value === undefined || value === '') return fill(part.fallback, scope, complain, needed);
    fill(part.fallback, { ...scope, lookup: (name) => known(name, scope) }, complain, false);
    return value;
  }
  if (value === undefined && needed) {
    complain({
      message: `the environment variable \`${part.name}\` is not set`,
      fragment: part.fragment,
      hint: `set it, or give a default: \${env.${part.name}:-…}`,
    });
  }
  return value ?? (needed ? undefined : '');
}

function unknownName(name: string, fragment: string, scope: Scope): TemplateProblem {
  const message = `nothing is called \`${name}\``;
  const hint =
    scope.env[name] === undefined
      ? (suggest(name, scope.names(), 'known names') ?? LITERAL)
      : `did you mean the environment variable, \${env.${name}}?`;
  return { message, fragment, hint };
}

/** Parses the whole text, in one pass from left to right. */
function parseTemplate(
  text: string,
): { readonly parts: readonly Part[] } | { readonly problem: TemplateProblem } {
  let at = 0;
  let problem: TemplateProblem | undefined;

  /** Up to the end, or within a default (`nested`) up to its closing brace, which is left in place. */
  const parseParts = (nesting: number): Part[] => {
    const parts: Part[] = [];
    let from = at;
    let braces = 0;
    const flush = () => {
      if (at > from) parts.push({ is: 'text', text: text.slice(from, at) });
    };
    while (at < text.length && !problem) {
      if (text.startsWith('$${', at)) {
        flush();
        parts.push({ is: 'text', text: '${' });
        // Its closing brace is one of the text, also within a default.
        braces += 1;
        at += 3;
        from = at;
      } else if (text.startsWith('${', at)) {
        flush();
        const part = parseHole(nesting);
        if (part) parts.push(part);
        from = at;
      } else {
        const char = text[at];
        if (nesting > 0 && char === '{') braces += 1;
        if (nesting > 0 && char === '}') {
          if (braces === 0) break;
          braces -= 1;
        }
        at += 1;
      }
    }
    flush();
    return parts;
  };

  const parseHole = (nesting: number): Part | undefined => {
    const start = at;
    at += 2;
    const nameEnd = endOfName(text, at);
    const name = text.slice(at, nameEnd);
    at = nameEnd;
    let fallback: readonly Part[] | undefined;
    if (text.startsWith(':-', at) && nesting < MAX_NESTING) {
      at += 2;
      fallback = parseParts(nesting + 1);
      if (problem) return undefined;
    }
    const fragment = text.slice(start, at + 1);
    if (text[at] !== '}') {
      problem = holeProblem(text, start, at, nesting);
      return undefined;
    }
    at += 1;
    if (!name.startsWith('env.')) {
      if (name === '') problem = { message: 'there is no name between the braces', fragment, hint: LITERAL };
      if (fallback)
        problem = { message: 'only a variable of the environment (env.NAME) may have a default', fragment };
      return { is: 'name', name, fragment };
    }
    const variable = name.slice('env.'.length);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
      problem = { message: `\`${variable}\` is not the name of an environment variable`, fragment };
    }
    return { is: 'env', name: variable, fallback, fragment };
  };

  const parts = parseParts(0);
  return problem ? { problem } : { parts };
}

const LITERAL = '`$${` stands for a plain `${`';

function holeProblem(text: string, start: number, at: number, nesting: number): TemplateProblem {
  if (nesting >= MAX_NESTING)
    return { message: 'defaults are nested too deep', fragment: text.slice(start, at) };
  if (at >= text.length) {
    return { message: 'expected `}` to close `${`', fragment: text.slice(start), hint: LITERAL };
  }
  const fragment = text.slice(start, at + 1);
  return { message: `expected \`}\`, found \`${text.slice(at, at + 1)}\``, fragment, hint: LITERAL };
}

function endOfName(text: string, from: number): number {
  const name = /[A-Za-z0-9._-]*/y;
  name.lastIndex = from;
  return from + (name.exec(text)?.[0].length ?? 0);
}
