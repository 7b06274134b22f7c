import { describe, expect, it } from 'vitest';
import { chooseFace } from '../../src/cli/faces/create.js';
import { createOutput, shownPath, wantsColour } from '../../src/cli/output.js';
import { FakeTerminal } from './terminal.js';

describe('colours', () => {
  it.each([
    ['on a terminal', 'auto', {}, true, true],
    ['not in a pipe', 'auto', {}, false, false],
    ['not on a dumb terminal', 'auto', { TERM: 'dumb' }, true, false],
    ['not with NO_COLOR', 'auto', { NO_COLOR: '1' }, true, false],
    ['with NO_COLOR that is empty', 'auto', { NO_COLOR: '' }, true, true],
    ['in a pipe with FORCE_COLOR', 'auto', { FORCE_COLOR: '1' }, false, true],
    ['not with FORCE_COLOR=0', 'auto', { FORCE_COLOR: '0' }, true, false],
    ['not with both: NO_COLOR wins', 'auto', { NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    ['with --color always, whatever else', 'always', { NO_COLOR: '1' }, false, true],
    ['not with --color never, whatever else', 'never', { FORCE_COLOR: '1' }, true, false],
  ] as const)('%s', (_, mode, env, isTerminal, wanted) => {
    expect(wantsColour(mode, env, isTerminal)).toBe(wanted);
  });
});

describe('the face', () => {
  const base = { quiet: false, verbose: false, place: (path: string) => path, progress: 'auto' as const };
  const to = (isTTY: boolean) =>
    createOutput(new FakeTerminal({ isTTY }), { color: 'never', env: {}, cwd: '/' });

  it.each([
    ['live on a terminal', true, {}, 'fancy'],
    ['plain in a pipe', false, {}, 'plain'],
    ['plain in CI, terminal or not', true, { CI: 'true' }, 'plain'],
    ['live where CI says no', true, { CI: 'false' }, 'fancy'],
    ['plain on a dumb terminal', true, { TERM: 'dumb' }, 'plain'],
  ])('is %s', (_, isTTY, env, face) => {
    expect(chooseFace({ ...base, to: to(isTTY), env })).toBe(face);
  });

  it('is what was asked for', () => {
    expect(chooseFace({ ...base, to: to(true), env: {}, progress: 'plain' })).toBe('plain');
    expect(chooseFace({ ...base, to: to(false), env: { CI: '1' }, progress: 'fancy' })).toBe('fancy');
    expect(chooseFace({ ...base, to: to(false), env: {}, progress: 'json', quiet: true })).toBe('json');
  });

  it('is plain, and silent but for trouble, with -q', () => {
    expect(chooseFace({ ...base, to: to(true), env: {}, quiet: true })).toBe('plain');
  });
});

it('paths are shown relative to the user where that is shorter', () => {
  expect(shownPath('/home/ann/exp/resources/kernel', '/home/ann/exp')).toBe('resources/kernel');
  expect(shownPath('/data/x', '/home/ann/exp')).toBe('/data/x');
  expect(shownPath('/home/ann', '/home/ann')).toBe('.');
});

it('lines are cut on a terminal only', () => {
  const options = { color: 'never', env: {}, cwd: '/' } as const;
  expect(createOutput(new FakeTerminal({ columns: 100 }), options).page.width).toBe(100);
  expect(createOutput(new FakeTerminal({ isTTY: false }), options).page.width).toBe(Number.POSITIVE_INFINITY);
});
