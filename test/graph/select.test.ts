// Choosing nodes: by name, by group, by default, with all that they need.
import { describe, expect, it } from 'vitest';
import { closure, expandGroups, selectNodes } from '../../src/graph/select.js';
import { errorOf, load } from '../manifest/workspace.js';

const TEXT = `res: 1
artifacts:
  parts: { path: "x.*" }
  sums: { path: sums }
  kernel: { url: https://e.org/k, output: kernel }
targets:
  merged: { merge: parts }
  disk: { extract: merged, member: disk, verify: { sums: sums } }
  raw: { convert: disk, to: raw, output: raw }
  both: { group: [raw, kernel] }
  all: { group: [both, disk, raw] }
`;

describe('groups', () => {
  it('are taken apart, each member once, in the order first met', () => {
    const graph = load(TEXT);
    expect(expandGroups(graph, ['all'])).toEqual(['raw', 'kernel', 'disk']);
    expect(expandGroups(graph, ['disk', 'both', 'all', 'raw'])).toEqual(['disk', 'raw', 'kernel']);
  });
});

describe('the nodes asked for', () => {
  it('are those named', () => {
    expect(selectNodes(load(TEXT), ['raw', 'both', 'sums'])).toEqual(['raw', 'kernel', 'sums']);
  });

  it('are the default ones when none is named', () => {
    expect(selectNodes(load(`${TEXT}default: [sums, both]\n`), [])).toEqual(['sums', 'raw', 'kernel']);
  });

  it('are all named outputs when there is no default either', () => {
    expect(selectNodes(load(TEXT), [])).toEqual(['kernel', 'raw']);
  });

  it('are those that no other uses when nothing has an output', () => {
    const text = 'res: 1\nartifacts:\n  a: { path: x }\n  b: { path: y }\ntargets:\n  c: { copy: a }\n';
    expect(selectNodes(load(text), [])).toEqual(['b', 'c']);
  });

  it('must exist', () => {
    const error = errorOf(() => selectNodes(load(TEXT), ['kernle', 'raw', 'dsk']));
    expect(error).toMatchObject({
      code: 'unknown-node',
      message: 'no node is called `kernle`',
      hint: 'did you mean `kernel`?',
      exitStatus: 2,
    });
    expect(error.diagnostics).toEqual([{ message: 'no node is called `dsk`', hint: 'did you mean `disk`?' }]);
    expect(errorOf(() => selectNodes(load('res: 1\n'), ['x'])).hint).toBe('`res list` shows all nodes');
    expect(errorOf(() => selectNodes(load(TEXT), ['constructor'])).code).toBe('unknown-node');
  });
});

describe('the closure', () => {
  it('is all that is needed, inputs first, checksums too', () => {
    const graph = load(TEXT);
    expect(closure(graph, ['raw'])).toEqual(['parts', 'sums', 'merged', 'disk', 'raw']);
    expect(closure(graph, ['kernel', 'merged'])).toEqual(['parts', 'kernel', 'merged']);
    expect(closure(graph, [])).toEqual([]);
  });
});
