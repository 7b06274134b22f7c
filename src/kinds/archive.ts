// An archive as both formats give it: entries one after the other, each with its content on demand; and what a name may be.
import { ResError } from '../model/error.js';

export interface ArchiveEntry {
  /** As it stands in the archive. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo';
  /** Bytes of the content, holes included. */
  readonly size: number;
  readonly executable: boolean;
  /** Where a link leads; empty for all else. */
  readonly target: string;
  /** To be read at most once, and before the next entry is asked for. */
  content(): AsyncIterable<Uint8Array>;
}

/** More entries than any tree that goes into a disk image has: an endless archive is stopped here. */
export const MAX_ENTRIES = 10_000_000;

export function unsafe(archive: string, name: string, why: string): ResError {
  return new ResError('unsafe-archive', `${archive}: the entry ${quote(name)} ${why}`, {
    hint: 'Nothing was taken out of it. Make the archive anew without that entry, or take single files out with `member`.',
  });
}

export function quote(name: string): string {
  return JSON.stringify(name);
}

/** The name as paths are compared and looked up: without `.` and empty segments, without a `/` at the end. */
export function plainName(name: string): string {
  return name
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/');
}

/**
 * The segments of a name that stays within the folder it is put in; none for the folder itself.
 * Throws ResError `unsafe-archive`.
 */
export function safeSegments(archive: string, name: string): readonly string[] {
  if (name === '') throw unsafe(archive, name, 'has no name');
  if (name.includes('\0')) throw unsafe(archive, name, 'has a zero byte in its name');
  if (name.includes('\ufffd')) throw unsafe(archive, name, 'has a name that is not UTF-8');
  if (name.includes('\\'))
    throw unsafe(archive, name, 'has a backslash in its name, which some systems take for a separator');
  if (name.startsWith('/')) throw unsafe(archive, name, 'has an absolute path');
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) throw unsafe(archive, name, 'has `..` in its path');
  return segments;
}

/**
 * Throws ResError `unsafe-archive` unless the target of a symbolic link at `segments` stays within the root whatever other
 * links there are: `..` only at its beginning, where the folders passed are real ones.
 */
export function checkLinkTarget(
  archive: string,
  name: string,
  segments: readonly string[],
  target: string,
): void {
  const leads = `is a symbolic link to ${quote(target)}`;
  if (target === '' || target.includes('\0') || target.includes('\ufffd'))
    throw unsafe(archive, name, `${leads}, which is no path`);
  if (target.startsWith('/') || target.includes('\\'))
    throw unsafe(archive, name, `${leads}, outside of the archive`);
  const steps = target.split('/').filter((step) => step !== '' && step !== '.');
  const up = steps.findIndex((step) => step !== '..');
  const climbs = up === -1 ? steps.length : up;
  if (climbs > segments.length - 1) throw unsafe(archive, name, `${leads}, outside of the archive`);
  if (steps.slice(climbs).includes('..'))
    throw unsafe(archive, name, `${leads}, whose way leads down and up again`);
}
