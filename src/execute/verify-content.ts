// `verify`: what a publisher or the manifest says a content's sha256 is, against what it is.
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Digest } from '../model/digest.js';
import { digestHex } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';

const LARGEST_SUMS = 16 * 1024 * 1024;

/** Sums by name, as `sha256sum` prints them (text or binary mode), or in the BSD form `SHA256 (NAME) = HEX`. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const gnu = /^\\?([0-9a-fA-F]{64}) [ *](.+)$/.exec(line);
    const bsd = /^SHA256 \((.+)\) = ([0-9a-fA-F]{64})$/.exec(line);
    const [name, hex] = gnu ? [gnu[2], gnu[1]] : bsd ? [bsd[1], bsd[2]] : [];
    if (name !== undefined && hex !== undefined) sums.set(name.replace(/^\.\//, ''), hex.toLowerCase());
  }
  return sums;
}

/** The sum for the first of the names that the list holds: the whole name, or the one entry with that last part. */
export function findSum(
  sums: ReadonlyMap<string, string>,
  names: readonly string[],
): { name: string; sha256: string } | undefined {
  for (const wanted of names) {
    const sha256 = sums.get(wanted.replace(/^\.\//, ''));
    if (sha256 !== undefined) return { name: wanted, sha256 };
  }
  for (const wanted of names) {
    const same = [...sums].filter(([name]) => basename(name) === basename(wanted));
    const [only] = same;
    if (only && same.every(([, sha256]) => sha256 === only[1])) return { name: only[0], sha256: only[1] };
  }
  return undefined;
}

/**
 * Throws ResError `checksum-mismatch`, or `sums-entry-missing`, naming the node.
 * @param names what the content may be called in the list of sums, most exact first
 */
export async function verifyContent(
  node: Node,
  sha256: Digest,
  names: readonly string[],
  sumsPath: string | undefined,
): Promise<void> {
  if (!node.verify) return;
  const actual = digestHex(sha256);
  if ('sha256' in node.verify) {
    if (actual === node.verify.sha256.toLowerCase()) return;
    throw mismatch(node, actual, node.verify.sha256.toLowerCase(), 'the manifest', ['verify']);
  }
  if (sumsPath === undefined) throw new Error('the list of sums was not made ready');
  const { size } = await stat(sumsPath);
  if (size > LARGEST_SUMS) {
    throw new ResError(
      'sums-entry-missing',
      `${node.name}: ${node.verify.sums} is ${size} bytes long and cannot be a list of sums`,
    );
  }
  const sums = parseSums(await readFile(sumsPath, 'utf8'));
  const found = findSum(sums, names);
  if (!found) {
    const listed = [...sums.keys()].slice(0, 10).join(', ') || 'nothing';
    throw new ResError(
      'sums-entry-missing',
      `${node.name}: ${node.verify.sums} has no sum for ${names.join(' or ')}`,
      {
        hint: `It lists ${listed}.`,
      },
    );
  }
  if (actual !== found.sha256)
    throw mismatch(node, actual, found.sha256, `${node.verify.sums} for ${found.name}`, ['verify']);
}

function mismatch(
  node: Node,
  actual: string,
  expected: string,
  who: string,
  path: readonly string[],
): ResError {
  return new ResError('checksum-mismatch', `${node.name}: the content does not have the published checksum`, {
    hint: `It has sha256 ${actual}, but ${who} says ${expected}. Nothing was put in place. The release may be broken or half replaced: ask its publisher, or choose another version.`,
    diagnostics: [{ message: 'verified as said here', location: node.locate(path) }],
  });
}
