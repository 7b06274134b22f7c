// extract: one file out of a tar (in any known compression) or zip, streamed; or all of it, into a directory.
import { ResError } from '../model/error.js';
import type { JsonObject } from '../model/json.js';
import type { Glimpse, InputGlimpse } from './glimpse.js';
import type { Kind, KindContext } from './kind.js';
import { count, single, text } from './recipe.js';

type Extract =
  | { readonly take: 'member'; readonly member: string }
  | { readonly take: 'all'; readonly strip: number };

export const extract: Kind = {
  name: 'extract',
  references: (recipe) => single(recipe, 'extract'),
  check: (recipe) => void parse(recipe),
  keyed(recipe) {
    const parsed = parse(recipe);
    return parsed.take === 'member' ? { member: parsed.member } : { strip: parsed.strip };
  },
  tools: () => [],
  pool: 'cpu',
  making: {
    by: 'recipe',
    choose(recipe) {
      const parsed = parse(recipe);
      return parsed.take === 'member'
        ? { by: 'streaming', open: (_recipe, context) => member(parsed.member, context) }
        : { by: 'filling', fill: (_recipe, context) => all(parsed.strip, context) };
    },
  },
  glimpse: (recipe, inputs) => glimpse(parse(recipe), inputs),
};

function parse(recipe: JsonObject): Extract {
  const member = text(recipe, 'member');
  const strip = count(recipe, 'strip');
  if (member === undefined) return { take: 'all', strip: strip ?? 0 };
  if (strip !== undefined) {
    throw new ResError('manifest-invalid', '`strip` has no meaning beside `member`', {
      hint: 'One file has no folders to take off. Leave `strip` out, or leave `member` out for a directory.',
    });
  }
  return { take: 'member', member };
}

// Reading archives is loaded when it is needed: a build with nothing to do starts without it.
async function* member(pattern: string, context: KindContext): AsyncGenerator<Uint8Array> {
  const { memberOf } = await import('./extraction.js');
  yield* memberOf(context, pattern);
}

async function all(strip: number, context: KindContext): Promise<void> {
  const { unpackInput } = await import('./extraction.js');
  await unpackInput(context, strip);
}

async function glimpse(recipe: Extract, inputs: readonly InputGlimpse[]): Promise<Glimpse> {
  const { glimpseOfMember, glimpseOfAll } = await import('./archive-glimpse.js');
  return recipe.take === 'member' ? glimpseOfMember(inputs, recipe.member) : glimpseOfAll(inputs);
}
