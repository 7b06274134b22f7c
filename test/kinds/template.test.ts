// What template fills in, what it leaves alone, and what it has against texts and values that do not go together.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { makingOf } from '../../src/kinds/kind.js';
import { fillText, template } from '../../src/kinds/template.js';
import { ResError } from '../../src/model/error.js';
import type { JsonObject } from '../../src/model/json.js';
import { collect, failureOf, makeContext, removeTemporary, streamed } from './context.js';

afterAll(removeTemporary);

const D = '$';

function open(
  recipe: JsonObject,
  context: Awaited<ReturnType<typeof makeContext>>,
): AsyncIterable<Uint8Array> {
  const making = makingOf(template, recipe);
  if (making.by !== 'streaming') throw new Error('a template streams');
  return making.open(recipe, context);
}

async function filled(text: string | Uint8Array, values: JsonObject, step = 7): Promise<Buffer> {
  const input = streamed(typeof text === 'string' ? Buffer.from(text) : text, { node: 'tmpl', step });
  return collect(open({ template: 'tmpl', values }, await makeContext({ inputs: [input] })));
}

function problem(text: string, values: Record<string, string>): ResError {
  try {
    fillText(text, values, 'run.sh');
  } catch (error) {
    if (error instanceof ResError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('a template', () => {
  it(`has its <__NAME__> filled in, and its own ${D}{NAME} left alone where it has any`, async () => {
    const text = `cd <__ROOT__>/x; echo ${D}{HOME} ${D}${D}{X} ${D}{x:-y}; run <__GEM5__> <__ROOT__>\n`;
    expect((await filled(text, { ROOT: '/data', GEM5: '/opt/gem5' })).toString()).toBe(
      `cd /data/x; echo ${D}{HOME} ${D}${D}{X} ${D}{x:-y}; run /opt/gem5 /data\n`,
    );
  });

  it(`without any has its ${D}{NAME} filled in, and ${D}${D}{ is a literal`, async () => {
    const text = `a=${D}{A}; b=${D}{b.c-d}; ${D}${D}{A} ${D}HOME ${D}(x) ${D}\n`;
    expect((await filled(text, { A: 1, 'b.c-d': true })).toString()).toBe(
      `a=1; b=true; ${D}{A} ${D}HOME ${D}(x) ${D}\n`,
    );
  });

  it('may have values that it has no placeholder for, where that is allowed; a misspelt placeholder is an error', async () => {
    const input = () => streamed(Buffer.from('run <__GEM5__>\n'), { node: 'tmpl' });
    const allowing = async (recipe: JsonObject) =>
      collect(
        open({ template: 'tmpl', 'allow-unused': true, ...recipe }, await makeContext({ inputs: [input()] })),
      );
    const values = { GEM5: '/opt/gem5', ROOT: '/data' };
    expect((await allowing({ values })).toString()).toBe('run /opt/gem5\n');
    expect((await failureOf(allowing({ values: { GEM55: 'x' } }))).message).toContain(
      'no value is given for <__GEM5__>',
    );
    expect(template.keyed({ template: 'a', values, 'allow-unused': true })).toEqual(
      template.keyed({ template: 'a', values }),
    );
  });

  it('gives values as they are: nothing in them is a placeholder', async () => {
    expect((await filled('<__A__><__B__>', { A: '<__B__>', B: '$&$1$$' })).toString()).toBe('<__B__>$&$1$$');
    expect((await filled(`${D}{A}`, { A: `${D}{A}ü` })).toString()).toBe(`${D}{A}ü`);
  });

  it('keeps all other bytes, in whatever encoding and however they are cut', async () => {
    const noise = fc
      .uint8Array({ maxLength: 200 })
      .filter((bytes) => !/<__|\$/.test(Buffer.from(bytes).toString('latin1')));
    await fc.assert(
      fc.asyncProperty(noise, noise, fc.integer({ min: 1, max: 50 }), async (before, after, step) => {
        const text = Buffer.concat([before, Buffer.from('<__N__>'), after]);
        const expected = Buffer.concat([before, Buffer.from('välue'), after]);
        expect((await filled(text, { N: 'välue' }, step)).equals(expected)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('without a placeholder and without values is a copy', async () => {
    expect((await filled('plain\n', {})).toString()).toBe('plain\n');
  });

  it('stays a program', async () => {
    const input = { ...streamed(Buffer.from('x')), items: [{ name: 'run.tmpl', size: 1, executable: true }] };
    const context = await makeContext({ inputs: [input] });
    await collect(open({ template: 'x' }, context));
    expect(context.members).toEqual([{ name: 'run.tmpl', executable: true }]);
  });

  it('of several files is refused', async () => {
    const input = {
      ...streamed(Buffer.from('x')),
      items: [
        { name: 'a', size: 1 },
        { name: 'b', size: 1 },
      ],
    };
    const context = await makeContext({ inputs: [input] });
    expect(await failureOf(collect(open({ template: 'x' }, context)))).toMatchObject({ code: 'bad-format' });
  });

  it('is keyed by its values as text', () => {
    expect(template.keyed({ template: 'x', values: { A: 1, B: 'b' } })).toEqual({
      values: { A: '1', B: 'b' },
    });
    expect(template.keyed({ template: 'x' })).toEqual({ values: {} });
  });
});

describe('a template that does not fit its values', () => {
  it('is told by file and line, with the nearest value', () => {
    const error = problem('one\n<__ROOT__>\n<__RO0T__> <__OTHER__>\n', { ROOT: '/' });
    expect(error.code).toBe('bad-format');
    expect(error.message.split('\n')).toEqual([
      'run.sh:3: no value is given for <__RO0T__>; did you mean `ROOT`?',
      'run.sh:3: no value is given for <__OTHER__>',
    ]);
  });

  it('is told of values that nothing uses', () => {
    expect(problem('<__A__>', { A: '1', B: '2' }).message).toBe(
      'run.sh: the value `B` is not used: the text has no placeholder of that name',
    );
    expect(problem(`<__A__> ${D}{B}`, { A: '1', B: '2' }).message).toContain(
      'is none where there are any like <__NAME__>',
    );
  });

  it('is told of ${ that begins nothing, and how a literal one is written', () => {
    const error = problem(`${D}{A} ${D}{x:-y}\n${D}{ B }`, { A: '1' });
    expect(error.message.split('\n')).toEqual([
      expect.stringMatching(/^run\.sh:1: `\$\{` begins no placeholder/),
      expect.stringMatching(/^run\.sh:2: `\$\{` begins no placeholder/),
    ]);
    expect(error.hint).toContain('`$${`');
  });
});
