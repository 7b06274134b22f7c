// Builds that were, as programs ask for them.
import { resolve } from 'node:path';
import type { BuildRecord } from '../model/build-record.js';
import { workspacePaths } from '../store/paths.js';
import { writePage } from './page-file.js';
import { findBuild, type History, readHistory } from './records.js';
import type { Workspace } from './workspace.js';

export interface HistoryOptions {
  /** How many builds; all by default. */
  readonly most?: number;
}

export interface ReportOptions {
  /** Id of the build, or as much of its beginning as no other has; by default the newest. */
  readonly build?: string;
  /** Write the page there too, in place of nothing but a page of res. */
  readonly file?: string;
}

/** The records of builds, the newest first. A build that found nothing to do left none. Rejects with ResError. */
export async function history(
  workspace: Workspace,
  { most = Number.POSITIVE_INFINITY }: HistoryOptions = {},
): Promise<History> {
  return readHistory(buildsFolder(workspace), most);
}

/** All that is recorded of one build; by default of the newest. Rejects with ResError, also when there is none. */
export async function record(workspace: Workspace, build?: string): Promise<BuildRecord> {
  return findBuild(buildsFolder(workspace), build);
}

/**
 * The page about a build, as HTML that needs no other file and no network. Rejects with ResError, also when there is no such build, and
 * when `file` is something else.
 */
export async function report(workspace: Workspace, { build, file }: ReportOptions = {}): Promise<string> {
  const found = await record(workspace, build);
  const { buildReport } = await import('../report/build-report.js');
  const page = await buildReport(found);
  if (file !== undefined) await writePage(resolve(file), page);
  return page;
}

function buildsFolder({ graph, env }: Workspace): string {
  return workspacePaths(graph.manifest.dir, env).builds;
}
