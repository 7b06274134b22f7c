import { describe, expect, it } from 'vitest';
import { scan } from '../../src/cli/scan.js';

describe('the manifest that a line is about', () => {
  it.each([
    ['nothing', ['build'], '/w', undefined],
    ['-C', ['-C', 'a', 'build'], '/w/a', undefined],
    ['-C in one word', ['build', '-Ca'], '/w/a', undefined],
    ['several -C, which add up', ['-C', 'a', '-C', '../b', 'build'], '/w/b', undefined],
    ['-f', ['build', '-f', 'm.yaml'], '/w', '/w/m.yaml'],
    ['-f, which counts from -C, wherever it stands', ['-f', 'm.yaml', '-C', 'a'], '/w/a', '/w/a/m.yaml'],
    ['the last -f', ['-f', 'one', '-f', '/two'], '/w', '/two'],
    ['-C behind other letters', ['build', '-knC', 'a'], '/w/a', undefined],
    ['no -C that is the value of -j', ['build', '-j', '-C'], '/w', undefined],
    ['no -C behind --', ['build', '--', '-C', 'a'], '/w', undefined],
    ['no -C that is the value of --set', ['build', '--set', '-Ca'], '/w', undefined],
    ['a -C without a value, which is told later', ['build', '-C'], '/w', undefined],
  ])('%s', (_, argv, dir, file) => {
    expect(scan(argv, '/w')).toMatchObject({ dir, file });
  });

  it('finds the command behind flags with values', () => {
    expect(scan(['-C', 'a', '-j2', '--color', 'never', 'status', 'x'], '/w').command).toBe('status');
  });
});
