// The flags --matrix together: each param once, each value once.
import type { Matrix } from '../graph/matrix.js';
import { ResError } from '../model/error.js';
import type { MatrixFlag } from './flags.js';

/**
 * Throws ResError `usage`.
 * @param assigned params that the command line gives one value
 */
export function readMatrix(
  flags: readonly MatrixFlag[],
  assigned: readonly (readonly [param: string, value: string])[],
): Matrix {
  const matrix = new Map<string, readonly string[]>();
  for (const [param, values] of flags) {
    const before = matrix.get(param);
    if (before) {
      throw new ResError('usage', `--matrix gives \`${param}\` twice`, {
        hint: `Say \`--matrix ${param}=${[...new Set([...before, ...values])].join(',')}\`.`,
      });
    }
    const twice = values.find((value, i) => values.indexOf(value) !== i);
    if (twice !== undefined) {
      throw new ResError('usage', `--matrix ${param}: the value \`${twice}\` stands there twice`, {
        hint: `Say \`--matrix ${param}=${[...new Set(values)].join(',')}\`.`,
      });
    }
    if (assigned.some(([name]) => name === param)) {
      throw new ResError('usage', `\`${param}\` has a value of its own, and several by --matrix`, {
        hint: `Give it by --${param} or by --matrix.`,
      });
    }
    matrix.set(param, values);
  }
  return Object.fromEntries(matrix);
}
