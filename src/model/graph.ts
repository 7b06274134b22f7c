// The graph as data: nodes by name with their users, in an order where inputs come first.
import type { Manifest } from './manifest.js';
import type { Node } from './node.js';

export interface Graph {
  readonly manifest: Manifest;
  readonly nodes: ReadonlyMap<string, Node>;
  /** All names, every node after its inputs; among equals, in the manifest's order. */
  readonly order: readonly string[];
  /** The same for the same manifest, params and environment, and for no other graph; undefined where that is not known. */
  readonly id?: string | undefined;
}
