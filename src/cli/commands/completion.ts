// `res completion SHELL`: the script that a shell loads. The script only asks; what can be said next is res's to know.
import { nearest } from '../../manifest/nearest.js';
import { ResError } from '../../model/error.js';
import { bash, fish, zsh } from '../completion/scripts.js';
import type { Context } from '../context.js';

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish };

export async function run({ out }: Context, [shell]: readonly string[]): Promise<number> {
  if (shell === undefined) {
    throw new ResError('usage', 'res completion needs the name of a shell', {
      hint: 'Say `res completion bash`, `res completion zsh` or `res completion fish`.',
    });
  }
  const script = scripts[shell];
  if (script === undefined) {
    const near = nearest(shell, Object.keys(scripts));
    throw new ResError('usage', `there is no completion for ${shell}`, {
      hint: near === undefined ? 'There is one for bash, zsh and fish.' : `did you mean \`${near}\`?`,
    });
  }
  out.stream.write(script);
  return 0;
}
