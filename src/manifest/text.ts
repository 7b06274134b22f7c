// A text that the user wrote, and the places in it: what every complaint about it points at.
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Diagnostic, Location } from '../model/diagnostic.js';
import { sawContent, sawFile, spoilLooks } from '../model/looks.js';

/** Larger files are refused before they are read. Bytes. */
export const MAX_TEXT_BYTES = 16 * 1024 * 1024;

export interface SourceText {
  /** Absolute. */
  readonly file: string;
  /** As the user would type it. */
  readonly shown: string;
  readonly text: string;
  /** Of the file's bytes, hexadecimal. */
  readonly sha256: string;
  /** The place of the code units from `start` up to `end`; of several lines, the first. */
  readonly locate: (start: number, end: number) => Location;
}

/** A file that could not be read as text. `missing`: there is no such file. */
export interface Unreadable {
  readonly missing: boolean;
  readonly diagnostic: Diagnostic;
}

export function sourceText(file: string, shown: string, text: string, sha256: string): SourceText {
  // Most texts have nothing wrong in them: lines are counted when the first place is asked for.
  let starts: number[] | undefined;
  const locate = (start: number, end: number): Location => {
    starts ??= lineStarts(text);
    const line = lineOf(starts, start);
    const from = starts[line] ?? 0;
    const until = starts[line + 1] ?? text.length + 1;
    const content = text.slice(from, until - 1).replace(/\r$/, '');
    const column = Math.min(start - from, content.length);
    const length = Math.max(1, Math.min(end - from, content.length) - column);
    return { file: shown, line: line + 1, column: column + 1, text: content, length };
  };
  return { file, shown, text, sha256, locate };
}

/** The shorter of the absolute path and the one from `cwd`. */
export function shownPath(file: string, cwd: string): string {
  const short = relative(cwd, file);
  return short !== '' && short.length < file.length ? short : file;
}

/** Reads a file of at most `MAX_TEXT_BYTES` as UTF-8; a byte order mark is left out. */
export function readText(file: string, cwd: string): SourceText | Unreadable {
  const shown = shownPath(file, cwd);
  const bytes = readBytes(file);
  if (typeof bytes === 'string') {
    return unreadable(
      shown,
      `cannot read ${shown}: ${READ_ERRORS[bytes] ?? bytes}`,
      bytes === 'ENOENT' || bytes === 'ENOTDIR',
    );
  }
  if (bytes.length > MAX_TEXT_BYTES) {
    return unreadable(shown, `${shown} is larger than 16 MiB`, false, 'Is this the right file?');
  }
  const text = new TextDecoder('utf-8').decode(bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const source = sourceText(resolve(file), shown, text, sha256);
  const bad = text.indexOf('\uFFFD');
  if (bad >= 0 && !isUtf8(bytes)) {
    const diagnostic = { message: 'this is not UTF-8 text', location: source.locate(bad, bad + 1) };
    return { missing: false, diagnostic };
  }
  return source;
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'no permission',
  ELOOP: 'too many symbolic links',
};

function unreadable(shown: string, message: string, missing: boolean, hint?: string): Unreadable {
  const location = { file: shown, line: 1, column: 1, text: '', length: 1 };
  return { missing, diagnostic: hint === undefined ? { message, location } : { message, location, hint } };
}

/** The bytes, one more than the limit at most; or the system's error code. */
function readBytes(file: string): Buffer | string {
  const path = resolve(file);
  try {
    const fd = openSync(path, 'r');
    try {
      const stats = fstatSync(fd, { bigint: true });
      if (stats.isFile()) sawContent(path, stats);
      else spoilLooks();
      // The size says nothing of a pipe, and a file may grow: read until the end or past the limit.
      let buffer = Buffer.alloc(Math.min(Number(stats.size), MAX_TEXT_BYTES) + 1);
      let filled = 0;
      while (filled <= MAX_TEXT_BYTES) {
        if (filled === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length + 65536)]);
        const count = readSync(fd, buffer, filled, buffer.length - filled, null);
        if (count === 0) break;
        filled += count;
      }
      return buffer.subarray(0, filled);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    if (code === 'ENOENT' || code === 'ENOTDIR') sawFile(path, undefined);
    else spoilLooks();
    return code;
  }
}

/** The code of a failed system call (`ENOENT`); undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Index of the last line that starts at or before `offset`. */
function lineOf(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
