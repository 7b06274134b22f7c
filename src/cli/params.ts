// The params of the manifest that a command line is about, before anything else of it is read.
import { findManifest } from '../manifest/find.js';
import { readParams } from '../manifest/params.js';
import { ResError } from '../model/error.js';
import type { ParamDeclaration } from '../model/manifest.js';
import { keptParams } from './graph-cache.js';
import type { Host } from './host.js';
import type { Scanned } from './scan.js';

/** None where there is no manifest: that must not break `--help` or `doctor`, and is told where one is needed. */
export function findParams(
  { dir, file }: Scanned,
  { cwd, build }: Pick<Host, 'cwd' | 'build'>,
): readonly ParamDeclaration[] {
  const path = file ?? findManifest(dir);
  try {
    return path === undefined ? [] : (keptParams(path, cwd, build) ?? readParams(path, cwd));
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}
