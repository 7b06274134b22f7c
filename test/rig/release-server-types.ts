// What a test says to the release server and what the server tells it.
import type { IncomingMessage } from 'node:http';
import type { Fault } from './answer.js';
import type { Bytes } from './content.js';

export interface ServerOptions {
  /** Whether the API gives a digest with each asset; true by default, may be changed later. */
  readonly digests?: boolean;
  /** Where downloads are redirected to: the object store on the other host (default), on the same host, or nowhere. */
  readonly storage?: 'other-host' | 'same-host' | 'none';
  /** Tokens that are good; any other one gets 401. */
  readonly tokens?: readonly string[];
  /** Path under which the API lies, as `/api/v3` on an Enterprise server; none by default. */
  readonly apiPrefix?: string;
}

export interface RequestRecord {
  readonly origin: 'main' | 'storage';
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<IncomingMessage['headers']>;
  /** Which connection it came over, counted from 1. */
  readonly connection: number;
  /** 0 while there is no answer. */
  readonly status: number;
  /** Of the body, handed to the connection. */
  readonly bytesSent: number;
  /**
   * `ended`: the answer was sent whole; `broken`: the connection went before that. Known a moment after the client
   * knows: see `until`.
   */
  readonly state: 'open' | 'stalled' | 'ended' | 'broken';
}

export interface AssetHandle {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  /** What a browser would open. */
  readonly url: string;
  readonly downloadPath: string;
  readonly apiPath: string;
  /** Where the bytes are served in the end, unless the server was started with `storage: 'none'`. */
  readonly contentPath: string;
}

export interface ReleaseHandle {
  readonly tag: string;
  asset(name: string): AssetHandle;
  /** Uploads an asset, in place of one of that name: new id, new digest. */
  put(name: string, bytes: Bytes): Promise<AssetHandle>;
  remove(name: string): void;
}

export interface FileHandle {
  readonly url: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface ReleaseOptions {
  readonly draft?: boolean;
  readonly prerelease?: boolean;
  /** Names of assets whose upload never finished (`state: "starter"`); the others are `uploaded`. */
  readonly unfinished?: readonly string[];
}

export interface RateLimit {
  /** API requests that still pass. */
  readonly remaining: number;
  /** When the limit is lifted, as told in headers; an hour from now by default. */
  readonly reset?: Date;
  /** `primary` (default): 403 and x-ratelimit-remaining 0. `secondary`: 429 and retry-after. */
  readonly kind?: 'primary' | 'secondary';
  /** Seconds, for the secondary one; 60 by default. */
  readonly retryAfter?: number;
  /** Requests with a good token pass nevertheless. */
  readonly anonymousOnly?: boolean;
}

/** A path of the server, or whatever has one. */
export type Target = string | AssetHandle | FileHandle;

export interface ReleaseServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** For GITHUB_API_URL. */
  readonly apiUrl: string;
  /** The other host: `http://localhost:PORT`. */
  readonly storageUrl: string;
  digests: boolean;
  release(
    repo: string,
    tag: string,
    assets: Readonly<Record<string, Bytes>>,
    options?: ReleaseOptions,
  ): Promise<ReleaseHandle>;
  removeRelease(repo: string, tag: string): void;
  /** From now on the repository is unknown to requests without a good token, and its browser addresses to all. */
  makePrivate(repo: string): void;
  /** A plain file at `/files/NAME`. */
  file(name: string, bytes: Bytes): Promise<FileHandle>;
  /** The next requests for the target go like this, one after another; those after them are answered normally. */
  fault(target: Target, ...queue: readonly Fault[]): void;
  /** Every request for the target that has no queued fault goes like this; `{}` ends it. */
  faultAlways(target: Target, fault: Fault): void;
  /** Ends all faults of the target. */
  heal(target: Target): void;
  /** Breaks all connections and refuses new ones, until `accept`. */
  refuse(): Promise<void>;
  /** On the same ports as before. */
  accept(): Promise<void>;
  rateLimit(limit: RateLimit | undefined): void;
  /** In order of arrival; those for one target, or all. */
  requests(target?: Target): readonly RequestRecord[];
  /** Bytes of bodies for one target, or for all. */
  bytesSent(target?: Target): number;
  /** Connections accepted since the start or the last reset. */
  readonly connections: number;
  /** Connections open now. */
  readonly openConnections: number;
  /** Resolves with the first request, past or to come, that is as described. Rejects after `timeoutMs` (10 000). */
  until(condition: (request: RequestRecord) => boolean, timeoutMs?: number): Promise<RequestRecord>;
  /** Forgets requests, counts, faults and the rate limit; content stays. */
  reset(): void;
  close(): Promise<void>;
}
