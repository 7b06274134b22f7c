import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type Kind, makingOf } from '../../src/kinds/kind.js';
import { kinds } from '../../src/kinds/registry.js';
import type { JsonObject } from '../../src/model/json.js';
import { collect, failureOf, makeContext, removeTemporary, streamed } from './context.js';

afterAll(removeTemporary);

function kind(name: string): Kind {
  const found = kinds.get(name);
  if (!found) throw new Error(`no kind ${name}`);
  return found;
}

async function stream(name: string, recipe: JsonObject, ...inputs: Uint8Array[]): Promise<Buffer> {
  const context = await makeContext({
    inputs: inputs.map((bytes, i) => streamed(bytes, { step: 1000, node: `n${i}` })),
  });
  const making = makingOf(kind(name), recipe);
  if (making.by !== 'streaming') throw new Error(making.by);
  return collect(making.open(recipe, context));
}

it('every kind stands under its own name', () => {
  expect([...kinds].map(([name, { name: own }]) => [name, own])).toEqual(
    ['merge', 'decompress', 'extract', 'convert', 'overlay', 'copy', 'template', 'run', 'group'].map(
      (name) => [name, name],
    ),
  );
});

describe('merge', () => {
  it('is the concatenation of its inputs, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 5 }),
        async (parts) => {
          expect((await stream('merge', { merge: 'x' }, ...parts)).equals(Buffer.concat(parts))).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('opens an input only when it is its turn, and ends it when left', async () => {
    const inputs = [streamed(Buffer.alloc(5000), { step: 1000 }), streamed(Buffer.alloc(5000))];
    const making = makingOf(kind('merge'), { merge: ['a', 'b'] });
    if (making.by !== 'streaming') throw new Error(making.by);
    for await (const piece of making.open({ merge: ['a', 'b'] }, await makeContext({ inputs }))) {
      expect(piece.length).toBe(1000);
      break;
    }
    expect(inputs.map(({ source }) => [source.read, source.ended])).toEqual([
      [1000, true],
      [0, false],
    ]);
  });

  it('refers to one node or to several, each where it is written', () => {
    expect(kind('merge').references({ merge: 'a' })).toEqual([{ role: 'in', node: 'a', path: ['merge'] }]);
    expect(kind('merge').references({ merge: ['a', 'b'] })).toEqual([
      { role: 'in', node: 'a', path: ['merge', 0] },
      { role: 'in', node: 'b', path: ['merge', 1] },
    ]);
  });

  it('has no key of its own', () => {
    expect(kind('merge').keyed({ merge: ['a', 'b'] })).toEqual(kind('merge').keyed({ merge: 'c' }));
  });
});

describe('decompress', () => {
  it('takes parts as one stream', async () => {
    const bytes = gzipSync('one stream in two parts');
    expect((await stream('decompress', { decompress: 'x' }, bytes)).toString()).toBe(
      'one stream in two parts',
    );
  });

  it('names its node and file in errors', async () => {
    const context = await makeContext({
      inputs: [streamed(Buffer.from('x'), { node: 'kernel', name: 'vmlinux.gz' })],
    });
    const making = makingOf(kind('decompress'), { decompress: 'kernel' });
    if (making.by !== 'streaming') throw new Error(making.by);
    const error = await failureOf(collect(making.open({ decompress: 'kernel' }, context)));
    expect(error.message).toMatch(/^kernel \(vmlinux\.gz\) is in no compression format/);
  });

  it('is keyed by a declared format only; programs are not part of the key', () => {
    expect(kind('decompress').keyed({ decompress: 'x' })).toEqual({});
    expect(kind('decompress').keyed({ decompress: 'x', format: 'xz' })).toEqual({ format: 'xz' });
    expect(kind('decompress').tools({ decompress: 'x' })).toEqual([]);
  });
});

it('copy shares its input, and an image stays what it is', () => {
  expect(makingOf(kind('copy'), { copy: 'a' }).by).toBe('sharing');
  expect(kind('copy').imageFormat?.({ copy: 'a' }, 'raw')).toBe('raw');
  expect(kind('copy').references({ copy: 'a' })).toEqual([{ role: 'in', node: 'a', path: ['copy'] }]);
});

it('group names nodes', () => {
  expect(makingOf(kind('group'), { group: ['a', 'b'] }).by).toBe('naming');
  expect(
    kind('group')
      .references({ group: ['a', 'b'] })
      .map(({ node }) => node),
  ).toEqual(['a', 'b']);
});
