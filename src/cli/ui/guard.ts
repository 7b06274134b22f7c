// Who may talk to the live page's server. It listens on this machine only, but other programs run here too, and any page
// in the browser can send requests to it: all need the token, and none may come by another name or from another page.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface Guarded {
  readonly port: number;
  readonly token: string;
}

/** Why a request is refused; undefined when it is not. */
export function refusal(
  { headers, url }: { readonly headers: IncomingHttpHeaders; readonly url: URL },
  { port, token }: Guarded,
): string | undefined {
  const names = [`127.0.0.1:${port}`, `localhost:${port}`];
  // A name of somebody else's that leads here (DNS rebinding).
  if (headers.host === undefined || !names.includes(headers.host)) return 'not by this name';
  const { origin } = headers;
  if (origin !== undefined && !names.some((name) => origin === `http://${name}`))
    return 'not from another page';
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'not from another page';
  const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? url.searchParams.get('token') ?? '';
  return isSame(given, token) ? undefined : 'the address needs its token: take it from the terminal';
}

/** In a time that tells nothing of the token. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
