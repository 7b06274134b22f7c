// The action key: the digest of all that decides a node's bytes. Equal keys, equal results.
import type { Content } from './content.js';
import type { Digest } from './digest.js';
import type { JsonObject } from './json.js';

/** Raised when the meaning of any field of an action, or of any digest, changes: everything is then built anew. */
export const KEY_FORMAT = 1;

export interface Action {
  readonly kind: string;
  /** Only the fields that can change the bytes, after interpolation. */
  readonly recipe: JsonObject;
  /** Program name to identity: what its `--version` says. */
  readonly tools: Readonly<Record<string, string>>;
  /** Digests of what each role gives, in order. */
  readonly inputs: readonly ActionInput[];
}

export interface ActionInput {
  readonly role: string;
  readonly digests: readonly Digest[];
  /** Of an input of several files, where the kind reads their names too. */
  readonly names?: readonly string[];
}

/** What is known of an action that once ran; it outlives the files. */
export interface Trace {
  readonly content: Content;
  readonly durationMs: number;
  /** Milliseconds since 1970, UTC. */
  readonly at: number;
  /** True when the action did not give the content: a person changed the output and had it accepted as it is. */
  readonly asIs?: true;
  /** Bytes on disk of what was made, holes not counted; what was only streamed took none, and has none. */
  readonly diskBytes?: number;
}
