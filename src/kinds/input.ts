// The one input of a kind that has one.
import type { KindContext, KindInput } from './kind.js';

export function inputOf(context: KindContext): KindInput {
  const [input] = context.inputs;
  if (input === undefined) throw new Error('a kind was run without its input');
  return input;
}

/** What messages call an input: its node, and its file's name where that says more. */
export function nameOf({ node, items }: KindInput): string {
  const [item] = items;
  return items.length === 1 && item !== undefined && item.name !== node ? `${node} (${item.name})` : node;
}

/** All bytes of the input, in order, until the build is stopped. */
export async function* bytesOf(context: KindContext): AsyncGenerator<Uint8Array> {
  for await (const piece of inputOf(context).stream()) {
    context.signal.throwIfAborted();
    yield piece;
  }
}
