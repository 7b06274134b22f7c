// A graph as data for other programs.
import type { Drawing } from './graph-edges.js';

export type GraphJson = Pick<Drawing, 'nodes' | 'edges'>;

export function graphJson({ nodes, edges }: Drawing): GraphJson {
  return { nodes, edges };
}
