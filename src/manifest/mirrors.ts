// Mirrors: other servers for the same content, from the manifest and from RES_MIRRORS.
import { ResError } from '../model/error.js';
import type { Mirror } from '../model/manifest.js';

const URL_PREFIX = /^(?:https?:\/\/[^\s/]|file:[^\s])\S*$/;

/**
 * RES_MIRRORS: `FROM=TO[,TO…][;FROM=TO…]`, each a URL prefix; a `,`, `;` or `=` within a URL is written %2C, %3B, %3D.
 * Throws ResError `config-invalid`.
 */
export function parseMirrors(text: string): readonly Mirror[] {
  return text
    .split(';')
    .map((rule) => rule.trim())
    .filter((rule) => rule !== '')
    .map((rule) => {
      const [from = '', ...rest] = rule.split('=').map((side) => side.trim());
      const to = rest
        .join('=')
        .split(',')
        .map((url) => url.trim());
      for (const url of [from, ...to]) {
        if (URL_PREFIX.test(url)) continue;
        const wrong =
          rest.length === 0
            ? `\`${shown(rule)}\` has no \`=\``
            : `\`${shown(url)}\` is not an http, https or file URL`;
        throw new ResError('config-invalid', `RES_MIRRORS: ${wrong}`, {
          hint: 'write FROM=TO, or FROM=TO,TO;FROM=TO for several: RES_MIRRORS=https://github.com=https://mirror.example/github',
        });
      }
      return { from, to };
    });
}

/** An address without what could be a password in it. */
function shown(address: string): string {
  return address.replace(/\/\/[^/]*@/, '//');
}
