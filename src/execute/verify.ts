// `res verify`: outputs and store read again, every byte, against what the records say.

import { stat } from 'node:fs/promises';
import { closure } from '../graph/select.js';
import { type Digest, digestAlgorithm } from '../model/digest.js';
import type { VerifyReport } from '../model/report.js';
import { outputPaths } from '../plan/places.js';
import { planNodes } from '../plan/plan.js';
import { findProgram } from '../plan/tools.js';
import type { Workspace } from '../plan/workspace.js';
import { digestDirectory } from '../store/directory.js';
import { dataExtents } from '../store/extents.js';
import { digestFile } from '../store/hashing.js';

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

interface Claim {
  readonly path: string;
  readonly place: 'output' | 'store';
  readonly node: string | null;
  readonly type: 'file' | 'directory';
  readonly expected: Digest;
  readonly size: number;
}

/** Checks the outputs of the nodes and of what they are made of, and all of the store. Changes nothing. */
export async function verify(
  workspace: Workspace,
  names: readonly string[],
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const claims = [...(await outputClaims(workspace, names)), ...(await storeClaims(workspace))];
  const total = claims.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const checked: VerifyReport['checked'][number][] = [];
  for (const claim of claims) {
    const before = done;
    const actual = await digestNow(workspace, claim, {
      ...(options.signal ? { signal: options.signal } : {}),
      onBytes: (bytes) => {
        done += bytes;
        options.onProgress?.(done, total);
      },
    });
    // Holes are not read, and still count as checked.
    done = before + claim.size;
    options.onProgress?.(done, total);
    const { path, place, node, expected, size } = claim;
    const state = actual === null ? 'missing' : actual === expected ? 'ok' : 'mismatch';
    checked.push({ path, place, node, state, expected, actual, size });
  }
  return { ok: checked.every(({ state }) => state === 'ok'), checked, bytes: done };
}

async function outputClaims(workspace: Workspace, names: readonly string[]): Promise<readonly Claim[]> {
  const plan = await planNodes(workspace, names);
  return closure(workspace.graph, names).flatMap((name) => {
    const node = workspace.graph.nodes.get(name);
    if (!node) return [];
    return outputPaths(workspace, node, plan.nodes.get(name)?.content ?? null).flatMap(
      ({ path }): Claim[] => {
        const record = workspace.state.outputs.get(path);
        if (!record) return [];
        return [
          {
            path,
            place: 'output',
            node: name,
            type: record.type,
            expected: record.digest,
            size: record.size,
          },
        ];
      },
    );
  });
}

async function storeClaims(workspace: Workspace): Promise<readonly Claim[]> {
  const claims: Claim[] = [];
  for await (const { digest, type, path, size } of workspace.store.list()) {
    claims.push({ path, place: 'store', node: null, type, expected: digest, size });
  }
  return claims;
}

async function digestNow(
  workspace: Workspace,
  { path, type, expected }: Claim,
  options: { readonly signal?: AbortSignal; readonly onBytes: (bytes: number) => void },
): Promise<string | null> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return null;
  if (found.isDirectory() !== (type === 'directory')) return 'another type of file';
  if (type === 'directory') return (await digestDirectory(path, options)).digest;
  if (digestAlgorithm(expected) === 'sha256') return (await digestFile(path, 'sha256', options)).digest;
  const qemuImg = findProgram('qemu-img', workspace.env);
  const extents = await dataExtents(path, { ...options, ...(qemuImg === undefined ? {} : { qemuImg }) });
  return (await digestFile(path, 'derived', { ...options, ...(extents === undefined ? {} : { extents }) }))
    .digest;
}
