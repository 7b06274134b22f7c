// Room on disk: what a plan will write, by file system, against what is free.

import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ResError } from '../model/error.js';
import type { Plan, Step } from '../model/plan.js';
import type { SpaceEstimate } from '../model/report.js';
import type { Workspace } from '../plan/workspace.js';
import { freeBytes } from '../store/files.js';
import { partialPath } from './download.js';
import { remoteNodes } from './resolve.js';

interface Need {
  readonly path: string;
  bytes: number;
}

/** Bytes to come on each file system that the plan writes to. What is not known before counts as nothing. */
export async function estimateSpace(workspace: Workspace, plan: Plan): Promise<SpaceEstimate> {
  return needs(workspace, plan, (step) => step.writeBytes ?? 0);
}

/** Throws ResError `no-space` when even what is certain (downloads of known size) does not fit. */
export async function checkSpace(workspace: Workspace, plan: Plan): Promise<void> {
  const { fileSystems } = await needs(workspace, plan, (step) =>
    step.work === 'download' ? (step.downloadBytes ?? 0) : 0,
  );
  for (const { path, neededBytes, freeBytes: free } of fileSystems) {
    if (neededBytes <= free) continue;
    throw new ResError(
      'no-space',
      `the file system of ${path} has ${mebibytes(free)} free, and ${mebibytes(neededBytes)} are needed: ${mebibytes(neededBytes - free)} are missing`,
      {
        hint: 'Make room, or put outputs or store elsewhere (`output-dir`, RES_STORE). Nothing was downloaded.',
      },
    );
  }
}

async function needs(
  workspace: Workspace,
  plan: Plan,
  bytesOf: (step: Step) => number,
): Promise<SpaceEstimate> {
  const byDevice = new Map<number, Need>();
  const add = (folder: string, bytes: number) => {
    if (bytes <= 0) return;
    const device = statSync(folder).dev;
    const need = byDevice.get(device) ?? { path: folder, bytes: 0 };
    need.bytes += bytes;
    byDevice.set(device, need);
  };
  for (const step of plan.steps) {
    const node = workspace.graph.nodes.get(step.node);
    const folder = existing(
      node?.output === undefined
        ? workspace.paths.store
        : dirname(join(workspace.graph.manifest.outputDir, node.output)),
    );
    if (step.work !== 'download') {
      add(folder, bytesOf(step));
      continue;
    }
    // Downloads arrive beside the manifest; from there they move, or are copied to another file system.
    const arrival = existing(workspace.paths.partial);
    add(arrival, bytesOf(step) - alreadyFetched(workspace, step));
    if (statSync(arrival).dev !== statSync(folder).dev) add(folder, bytesOf(step));
  }
  const fileSystems = await Promise.all(
    [...byDevice.values()].map(async ({ path, bytes }) => ({
      path,
      neededBytes: bytes,
      freeBytes: await freeBytes(path),
    })),
  );
  return { fileSystems };
}

/** Bytes of a download that an earlier build left on disk. */
function alreadyFetched(workspace: Workspace, { node }: Step): number {
  return remoteNodes(workspace, [node])
    .flatMap(({ identity }) =>
      (workspace.lock.get(identity)?.files ?? []).map((_, i, files) =>
        partialPath(workspace, identity, files, i),
      ),
    )
    .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** The nearest folder that is there. */
function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
