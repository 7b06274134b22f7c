// Where an output lies.
import type { Graph } from '../model/graph.js';

/** @param output in its normal form, relative to the folder of outputs */
export function outputPlace({ manifest: { outputDir } }: Graph, output: string): string {
  return outputDir.endsWith('/') ? `${outputDir}${output}` : `${outputDir}/${output}`;
}
