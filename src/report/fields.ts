// The fields of a recipe as lines for people.
import { isJsonArray, isJsonObject, type Json } from '../model/json.js';

/** A line for each field that has a value of its own: `github.asset: vmlinux`, as in the reasons of `why`. */
export function fieldLines(name: string, value: Json): string[] {
  if (isJsonObject(value)) {
    return Object.entries(value).flatMap(([key, each]) =>
      fieldLines(name === '' ? key : `${name}.${key}`, each),
    );
  }
  if (!isJsonArray(value)) return [`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  const plain = value.every((each) => typeof each === 'string' && !each.includes(', '));
  if (plain) return [`${name}: ${value.join(', ')}`];
  return value.flatMap((each, i) => fieldLines(`${name}[${i}]`, each));
}

/** Beside a picture; all of it stands elsewhere. */
const SHORT = 300;

/** Lines of which each has an end that is in sight. */
export function shortLines(lines: readonly string[]): readonly string[] {
  return lines.map((line) => (line.length <= SHORT ? line : `${line.slice(0, SHORT)}…`));
}
