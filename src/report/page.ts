// The frame of all pages that res writes: one file that needs no other, that lets no script or style in but its own, and
// that opens no connection it was not meant to.
import { createHash } from 'node:crypto';
import { graphStyle, pageStyle } from './assets.generated.js';
import { escapeMarkup, scriptJson } from './markup.js';

export interface Page {
  /** Plain text. */
  readonly title: string;
  /** Markup. */
  readonly body: string;
  readonly script: string;
  /** For the script. */
  readonly data: unknown;
  /** Whether the script talks to the server that the page comes from. */
  readonly live?: boolean;
}

const GENERATOR = '<meta name="generator" content="res">';

/** Whether a file is one of these pages, as far as its beginning tells. */
export function isOwnPage(text: string): boolean {
  return text.startsWith('<!doctype html>') && text.slice(0, 2000).includes(GENERATOR);
}

export function htmlPage({ title, body, script, data, live = false }: Page): string {
  const style = pageStyle + graphStyle;
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    ...(live ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
${GENERATOR}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escapeMarkup(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
