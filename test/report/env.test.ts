import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCommand, quoteFish, quoteSh } from '../../src/report/command-line.js';
import { envFish, envReport, envSh, variableOf } from '../../src/report/env.js';
import { graph, node } from './samples.js';

/** What an environment variable can hold. */
const value = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'\'"\\$`! \n\t*;&|<>(){}[]~#%-='),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  .filter((text) => !text.includes('\0'));

describe('shell lines', () => {
  it('are exports, then a variable a named output', () => {
    const { variables } = envReport(graph.manifest, graph.nodes.values());
    expect(envSh(variables)).toEqual([
      'export RESOURCES=/home/ann/exp/resources',
      'export RES_KERNEL=/home/ann/exp/resources/kernel',
      'export RES_QCOW2=/home/ann/exp/resources/disk-image.qcow2',
      'export RES_RAW_DISK=/home/ann/exp/resources/disk-image.raw',
    ]);
    expect(envFish(variables)[0]).toBe('set -gx RESOURCES /home/ann/exp/resources');
  });

  it('give a real shell exactly the values, whatever is in them', () => {
    fc.assert(
      fc.property(value, value, (one, two) => {
        const script = `${envSh({ ONE: one, TWO: two }).join('\n')}\nexec printenv -0 ONE TWO`;
        const got = execFileSync('sh', ['-c', script], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        expect(got).toBe(`${one}\0${two}\0`);
      }),
      { numRuns: 60 },
    );
  });

  it('give fish exactly the values', ({ skip }) => {
    try {
      execFileSync('fish', ['--version'], { stdio: 'ignore' });
    } catch {
      skip('fish is not installed');
    }
    fc.assert(
      fc.property(value, (one) => {
        const script = `${envFish({ ONE: one }).join('\n')}\nprintenv -0 ONE`;
        expect(execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8' })).toBe(`${one}\0`);
      }),
      { numRuns: 20 },
    );
  });

  it('in fish, escape the two characters that count inside single quotes', () => {
    expect(quoteFish("it's \\n $HOME")).toBe("'it\\'s \\\\n $HOME'");
  });

  it('do not quote what need not be', () => {
    expect(quoteSh('/a/b-c_d.e=f:g,h@i%j+k')).toBe('/a/b-c_d.e=f:g,h@i%j+k');
    expect(quoteSh('')).toBe("''");
    expect(formatCommand(['a', 'b c'])).toBe("a 'b c'");
  });
});

describe('variables', () => {
  it('are named after nodes, in capitals', () => {
    expect(variableOf('disk-image.raw')).toBe('RES_DISK_IMAGE_RAW');
  });

  it('that two nodes would have go to the first, and the other is named', () => {
    const nodes = [node('a-b', 'url', { output: 'one' }), node('a.b', 'url', { output: 'two' })];
    expect(envReport({ ...graph.manifest, exports: {} }, nodes)).toEqual({
      variables: { RES_A_B: '/home/ann/exp/resources/one' },
      clashes: [['a.b', 'RES_A_B']],
    });
  });

  it('that the manifest exports itself are as it says', () => {
    const exports = { RES_KERNEL: '/other' };
    const { variables, clashes } = envReport({ ...graph.manifest, exports }, [
      node('kernel', 'url', { output: 'k' }),
    ]);
    expect({ variables, clashes }).toEqual({ variables: { RES_KERNEL: '/other' }, clashes: [] });
  });
});
