// template: text whose placeholders are filled in. A text has one of two styles of them: where `<__NAME__>` is in it, that is its
// style, and a `${NAME}` is the text's own (a shell script has many); where there is none, `${NAME}` is. All bytes but
// those of the placeholders stay as they are, in whatever encoding.
import { nearest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import { isJsonObject, type JsonObject } from '../model/json.js';
import { bytesOf, inputOf, nameOf } from './input.js';
import type { Kind, KindContext } from './kind.js';
import { single, truth, unfit } from './recipe.js';

/** Bytes of a text: it is held in memory. */
const MAX_TEXT = 64 * 1024 * 1024;

const NAME = '[A-Za-z_][A-Za-z0-9_.-]*';
const ANGLE = new RegExp(`<__(${NAME}?)__>`, 'g');
/** `$${` is a literal `${`; a `${` that begins no placeholder is found too, by the empty end. */
const DOLLAR = new RegExp(`\\$\\$\\{|\\$\\{(?:(${NAME})\\}|)`, 'g');

export const template: Kind = {
  name: 'template',
  references: (recipe) => single(recipe, 'template'),
  check(recipe) {
    valuesOf(recipe);
    truth(recipe, 'allow-unused');
  },
  keyed: (recipe) => ({ values: valuesOf(recipe) }),
  tools: () => [],
  pool: 'disk',
  making: { by: 'streaming', open: (recipe, context) => fill(recipe, context) },
};

type Values = Readonly<Record<string, string>>;

function valuesOf(recipe: JsonObject): Values {
  const { values } = recipe;
  if (values === undefined) return {};
  if (!isJsonObject(values)) throw unfit('values', 'a map', values);
  return Object.fromEntries(
    Object.entries(values).map(([name, value]): [string, string] => {
      if (typeof value === 'object') throw unfit(`values.${name}`, 'text', value);
      return [name, String(value)];
    }),
  );
}

async function* fill(recipe: JsonObject, context: KindContext): AsyncGenerator<Uint8Array> {
  const input = inputOf(context);
  const what = nameOf(input);
  const [item, ...others] = input.items;
  if (item === undefined || others.length > 0) {
    throw new ResError(
      'bad-format',
      `template takes one text, and ${input.node} has ${input.items.length} files`,
      { hint: `Join them first: \`merge: ${input.node}\`.` },
    );
  }
  // One character a byte: what is no placeholder comes out as it went in.
  const text = (await wholeOf(context, what)).toString('latin1');
  context.member(item.name, { executable: item.executable === true });
  const allowUnused = truth(recipe, 'allow-unused') ?? false;
  yield Buffer.from(fillText(text, valuesOf(recipe), what, allowUnused), 'latin1');
}

async function wholeOf(context: KindContext, what: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bytesOf(context)) {
    length += piece.length;
    if (length > MAX_TEXT) {
      throw new ResError('bad-format', `${what} is too large for a template: over ${MAX_TEXT >> 20} MiB`, {
        hint: 'Only the small files that differ from one set-up to the next are templates.',
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * @param text one character a byte, as the result
 * @param what the text's name in messages
 * @param allowUnused values are for several texts: that one has no placeholder in this is no fault
 * Throws ResError `bad-format` that names all that is wrong: placeholders without a value by line, values without a placeholder.
 */
export function fillText(text: string, values: Values, what: string, allowUnused = false): string {
  const known = new Map(
    Object.entries(values).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
  );
  const used = new Set<string>();
  const problems: string[] = [];
  const lineAt = lineCounter(text);
  const angle = text.search(ANGLE) !== -1;
  const filled = text.replace(
    angle ? ANGLE : DOLLAR,
    (mark: string, name: string | undefined, at: number) => {
      if (mark === '$${') return '${';
      const value = name === undefined ? undefined : known.get(name);
      if (name !== undefined && value !== undefined) {
        used.add(name);
        return value;
      }
      problems.push(`${what}:${lineAt(at)}: ${name === undefined ? NO_NAME : unknown(mark, name, known)}`);
      return mark;
    },
  );
  for (const name of known.keys())
    if (!used.has(name) && !allowUnused) problems.push(`${what}: ${unusedValue(name, angle, text)}`);
  if (problems.length > 0) throw wrong(problems, angle);
  return filled;
}

const NO_NAME = '`$' + '{` begins no placeholder: no name and `}` follow it';

function unknown(mark: string, name: string, known: ReadonlyMap<string, string>): string {
  const meant = nearest(name, known.keys());
  return `no value is given for ${mark}${meant === undefined ? '' : `; did you mean \`${meant}\`?`}`;
}

function unusedValue(name: string, angle: boolean, text: string): string {
  const other = angle && text.includes(`\${${name}}`);
  const why = other ? `, and \${${name}} is none where there are any like <__NAME__>` : '';
  return `the value \`${name}\` is not used: the text has no placeholder of that name${why}`;
}

function wrong(problems: readonly string[], angle: boolean): ResError {
  const [first = '', ...more] = problems;
  const literal = angle ? '' : ' A `${' + '` that is to stay as it is is written `$${' + '`.';
  return new ResError('bad-format', [first, ...more.slice(0, 19)].join('\n'), {
    hint: `Placeholders and \`values\` must name the same.${literal}`,
  });
}

/** The line of an offset, counted from 1; asked in rising order, each line is counted once. */
function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let at = 0;
  return (offset) => {
    for (let next = text.indexOf('\n', at); next !== -1 && next < offset; next = text.indexOf('\n', at)) {
      line++;
      at = next + 1;
    }
    return line;
  };
}
