// Records of builds that never were.
import type { BuildRecord, RecordedNode, RecordedRun } from '../../src/model/build-record.js';

/** @param runs start and end of each, ms */
export function recorded(
  name: string,
  inputs: readonly string[],
  runs: readonly (readonly [number, number])[],
  through: readonly string[] = [],
): RecordedNode {
  return {
    name,
    section: 'target',
    kind: 'merge',
    description: null,
    recipe: {},
    verify: null,
    inputs: inputs.map((node) => ({ role: 'in', node })),
    output: null,
    state: 'stale',
    reasons: [],
    outcome: 'ran',
    key: null,
    tools: {},
    content: null,
    source: null,
    runs: runs.map(
      ([start_ms, end_ms]): RecordedRun => ({
        work: 'execute',
        detail: '',
        pool: 'cpu',
        start_ms,
        end_ms,
        through,
      }),
    ),
    bytes: { downloaded: 0, read: 0, written: 0 },
    last_ms: null,
    error: null,
  };
}

export function buildRecord(nodes: readonly RecordedNode[]): BuildRecord {
  return {
    version: 1,
    id: '20260102-030405-006-0a0b',
    started: '2026-01-02T03:04:05.006Z',
    duration_ms: Math.max(1, ...nodes.flatMap(({ runs }) => runs.map(({ end_ms }) => end_ms))),
    outcome: 'done',
    error: null,
    requested: nodes.slice(-1).map(({ name }) => name),
    options: {
      jobs: 2,
      keep_going: false,
      force: false,
      offline: false,
      frozen: false,
      overwrite: false,
      as_is: false,
    },
    manifest: {
      name: null,
      file: 'resources.yaml',
      sha256: null,
      lock_sha256: null,
      params: {},
      commit: null,
    },
    environment: {
      res: '0',
      node: 'v20',
      platform: 'linux',
      arch: 'x64',
      release: '6',
      cpus: 2,
      cpu: 'some',
      memory_bytes: 1,
      file_system: null,
      tools: {},
    },
    pools: { jobs: 2, network: 4, disk: 2, cpu: 2 },
    nodes,
    left_out: 0,
    notices: [],
    bytes: { downloaded: 0, read: 0, written: 0 },
    cache: { fresh: 0, restored: 0, ran: nodes.length, saved_ms: 0, saved_download_bytes: 0 },
    changes: null,
  };
}
