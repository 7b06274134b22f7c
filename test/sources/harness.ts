// What the tests of fetching share: a release server, a fetcher that waits milliseconds where the real one waits
// seconds, and a folder, all gone after each test.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { sourcePrograms } from '../../src/execute/source-programs.js';
import { ResError } from '../../src/model/error.js';
import {
  createFetcher,
  type Fetched,
  type FetcherOptions,
  type FetchRequest,
} from '../../src/sources/fetch.js';
import type { FetchLocation, SourceContext } from '../../src/sources/source.js';
import { type ReleaseServer, type ServerOptions, startReleaseServer } from '../rig/release-server.js';

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export function onCleanup(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup);
}

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'res-sources-'));
  onCleanup(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function server(options?: ServerOptions): Promise<ReleaseServer> {
  const started = await startReleaseServer(options);
  onCleanup(() => started.close());
  return started;
}

export interface Bench {
  readonly partial: string;
  readonly notices: string[];
  readonly progress: (readonly [number, number | null])[];
  fetch(location: FetchLocation | string, request?: Partial<FetchRequest>): Promise<Fetched>;
  context(env?: SourceContext['env']): SourceContext;
  /** What is in the partial file now. */
  bytes(): Buffer;
  exists(): boolean;
}

export async function unusedPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function bench(options: Partial<FetcherOptions> = {}, dir: string = tempDir()): Bench {
  const notices: string[] = [];
  const progress: (readonly [number, number | null])[] = [];
  const partial = join(dir, 'partial');
  const onNotice = (message: string) => {
    notices.push(message);
  };
  const fetcher = createFetcher({
    env: {},
    mirrors: [],
    baseDelayMs: 2,
    stallMs: 5000,
    onNotice,
    ...options,
  });
  onCleanup(() => fetcher.close());
  return {
    partial,
    notices,
    progress,
    fetch: (location, request = {}) =>
      fetcher.fetch({
        location: typeof location === 'string' ? { urls: [location] } : location,
        partial,
        expected: {},
        onProgress: (done, total) => progress.push([done, total]),
        onNotice,
        signal: new AbortController().signal,
        ...request,
      }),
    context: (env = {}) => {
      const { signal } = new AbortController();
      return { dir, env, http: fetcher.client, programs: sourcePrograms(env, signal), mirrors: [], signal };
    },
    bytes: () => readFileSync(partial),
    exists: () => existsSync(partial),
  };
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const content = (size: number): Buffer => randomBytes(size);

/** The ResError that a promise rejects with; anything else fails the test. */
export async function failure(promise: Promise<unknown>): Promise<ResError> {
  const result = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in result)) throw new Error('expected a failure');
  if (!(result.error instanceof ResError)) throw result.error;
  return result.error;
}

/** What a promise comes to, a ResError too; anything else that it rejects with fails the test. */
export async function outcome<T>(promise: Promise<T>): Promise<T | ResError> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof ResError) return error;
    throw error;
  }
}

/** Message and hint, as a user reads them. */
export const said = (error: ResError): string => `${error.message}\n${error.hint ?? ''}`;
