// What a kind of artifact is to the rest of res: how it is named in the lock, and how it is resolved to files.
// Fetching the bytes is the same for all (sources/fetch.ts).
import type { JsonObject } from '../model/json.js';
import type { LockEntry } from '../model/lock.js';
import type { Mirror } from '../model/manifest.js';
import type { KindReferences } from '../model/node.js';

export interface Source extends KindReferences {
  /** The key in the manifest. */
  readonly name: string;
  /** `remote`: locked and downloaded. `workspace`: files hashed where they lie, never locked, never copied. */
  readonly place: 'remote' | 'workspace';
  /**
   * Identity in the lock, e.g. `github:owner/name@v0.3.0/vmlinux-focal-amd64`; never a node's name.
   * For a workspace source, the pattern.
   */
  identity(recipe: JsonObject): string;
  /** Whether `resolve` opens connections; by default it does not. */
  asks?(recipe: JsonObject): boolean;
  /** Programs that it fetches by. */
  readonly programs?: readonly string[];
  /** Of a source whose content is one directory: how that is fetched. `locate` then gives nothing. */
  readonly tree?: TreeSource;
  /** Asks the outside what the recipe stands for now. Rejects with ResError. */
  resolve(recipe: JsonObject, context: SourceContext): Promise<LockEntry>;
  /** Where to get each file of an entry from; index matches `entry.files`. Asks the outside only where a token makes that necessary. */
  locate(recipe: JsonObject, entry: LockEntry, context: SourceContext): Promise<readonly FetchLocation[]>;
  /** Whether the recipe stands for a list of files (a glob, parts) rather than for one; by default it does not. */
  many?(recipe: JsonObject): boolean;
  /** What the manifest itself pins, without asking anyone: digests and sizes by file order; undefined when nothing. */
  pins(recipe: JsonObject): readonly Pin[] | undefined;
}

/** Fetches a directory in its own way; writing it down, its digest and its place are the same for all. */
export interface TreeSource {
  /**
   * Brings all of the directory to this machine that is not in `context.folder` yet. Rejects with ResError.
   * @param entry resolved: it says which state of the source is meant
   */
  fetch(recipe: JsonObject, entry: LockEntry, context: TreeContext): Promise<FetchedTree>;
}

export interface FetchedTree {
  /** The source's own name of the content: what has one name has one content, and is not written down twice. */
  readonly tree: string;
  /** Bytes that came over the network. */
  readonly downloadedBytes: number;
  /** All that is in the directory, to be read once. */
  entries(): AsyncIterable<TreeEntry>;
}

export interface TreeEntry {
  /** Path in the directory, with `/`; not checked for where it leads. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Bytes of the content. */
  readonly size: number;
  readonly executable: boolean;
  /** Where a link leads; empty for all else. */
  readonly target: string;
  /** To be read at most once, and before the next entry is asked for. */
  content(): AsyncIterable<Uint8Array>;
}

export interface TreeContext extends SourceContext {
  /** A folder for what arrives; there or not. It outlives a build that was killed, and is removed when the directory is in its place. */
  readonly folder: string;
  readonly onPercent: (percent: number) => void;
  readonly onNotice: (message: string) => void;
}

export interface Pin {
  readonly sha256?: string;
  readonly size?: number;
}

export interface FetchLocation {
  readonly urls: readonly string[];
  /** Sent to the host of the first URL only, never along a redirect. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Another way, asked for only when a URL was answered with 401, 403, 404 or 410: what it costs (an API call) is spent only
   * where it is needed. Undefined: there is none. May reject with a ResError that explains the refusal better.
   */
  readonly alternative?: () => Promise<FetchLocation | undefined>;
}

export interface SourceContext {
  /** Folder of the manifest, for relative `file:` URLs and patterns. */
  readonly dir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly http: HttpClient;
  readonly programs: ProgramRunner;
  readonly mirrors: readonly Mirror[];
  readonly signal: AbortSignal;
}

/** External programs: no shell, just this environment, gone when res is; nothing of what they print is logged. */
export interface ProgramRunner {
  /** Rejects with ResError `tool-missing`, `command-failed`, `interrupted`. */
  exec(
    argv: readonly [string, ...string[]],
    options: {
      readonly env: Readonly<Record<string, string>>;
      /** Called with each chunk that the program prints on stderr. */
      readonly onStderr?: (text: string) => void;
      /** Stops just this one. */
      readonly signal?: AbortSignal;
    },
  ): Promise<{ readonly stdout: string }>;
  /** Sends bytes through a program; throws as `exec` rejects. */
  pipe(
    argv: readonly [string, ...string[]],
    input: AsyncIterable<Uint8Array>,
    options: { readonly env: Readonly<Record<string, string>> },
  ): AsyncIterable<Uint8Array>;
}

/** Small requests (API calls). Answers of one URL are kept for the life of the client: one call a release. */
export interface HttpClient {
  getJson(
    url: string,
    headers?: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<JsonResponse>;
}

export interface JsonResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}
