// The plan as data: what state each node is in, why, and what a build would do about it.
import type { Action } from './action.js';
import type { Content } from './content.js';
import type { Digest } from './digest.js';
import type { Work } from './event.js';

export type NodeState = 'fresh' | 'cached' | 'stale' | 'modified' | 'failed';

export type ReasonCode =
  | 'never-built'
  | 'recipe-changed'
  | 'input-changed'
  | 'tool-changed'
  | 'output-missing'
  | 'output-modified'
  | 'forced'
  | 'input-stale';

export interface Reason {
  readonly code: ReasonCode;
  /** In short, for a table: `to: raw -> qcow2`, `merged`, `qemu-img 7.2.0 -> 8.0.2`. */
  readonly detail: string;
  /** What it is about: a recipe field, an input node, a tool, a path. */
  readonly subject?: string;
  readonly was?: string;
  readonly now?: string;
}

export interface PlannedOutput {
  /** Absolute path where it is or will be. Null: content without a place of its own at the moment. */
  readonly path: string | null;
  readonly digest: Digest;
  readonly size: number;
}

/** What is known of one node before anything is done. */
export interface NodePlan {
  readonly name: string;
  readonly kind: string;
  readonly state: NodeState;
  readonly reasons: readonly Reason[];
  /** Null while an input's digest is not known; of artifacts, the source's identity in the lock. */
  readonly key: string | null;
  readonly action: Action | null;
  /** Null while not known. */
  readonly content: Content | null;
  /** Whether the bytes are at hand: in the output's place, in the store, or in the workspace. */
  readonly present: boolean;
  readonly outputs: readonly PlannedOutput[];
  /** What its last run failed with, whole; only of a node in the state `failed`. */
  readonly failure?: string;
}

/** An output path that holds what res will not touch unless it is told to. */
export interface BlockedOutput {
  readonly node: string;
  /** Absolute. */
  readonly path: string;
  /** `changed`: made by res and changed since. `foreign`: not made by res. */
  readonly is: 'changed' | 'foreign';
}

/** A step of a build, in the order of the plan. */
export interface Step {
  readonly node: string;
  readonly work: Work;
  readonly reasons: readonly Reason[];
  /** Intermediates that stream through this step and never touch the disk, first one first. */
  readonly through: readonly string[];
  /** Bytes to come from outside, null when not known before. */
  readonly downloadBytes: number | null;
  /** Bytes of new content on disk, null when not known before. */
  readonly writeBytes: number | null;
  /** From the last run of the same node, ms; null when it never ran. */
  readonly expectedMs: number | null;
}

/** What a plan comes to, in nodes; what streams through a step is run too. */
export interface StepCounts {
  readonly run: number;
  readonly restore: number;
  readonly fresh: number;
}

export interface Plan {
  /** The nodes asked for (groups taken apart), in the order asked. */
  readonly requested: readonly string[];
  /** Every node of the closure, inputs first. */
  readonly nodes: ReadonlyMap<string, NodePlan>;
  readonly steps: readonly Step[];
  /** What a build would stop at without `overwrite`. */
  readonly blocked: readonly BlockedOutput[];
}

export function countSteps({ steps, nodes }: Plan): StepCounts {
  const restored = steps.filter(({ work }) => work === 'restore').map(({ node }) => node);
  const touched = new Set(steps.flatMap(({ node, through }) => [...through, node]));
  const fresh = [...nodes.values()].filter(({ name, state }) => state === 'fresh' && !touched.has(name));
  return { run: touched.size - restored.length, restore: restored.length, fresh: fresh.length };
}
