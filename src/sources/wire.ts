// One GET: redirects followed by hand, so that credentials stay with the host they are for.
import { ResError } from '../model/error.js';
import { exchange } from './exchange.js';
import { type Failure, type Headers, networkFailure } from './failure.js';
import { basicAuth, type Network } from './network.js';
import { redactUrl } from './redact.js';
import { interrupted } from './retry.js';

export interface GetOptions {
  readonly url: string;
  /** Sent to whoever answers in the end. */
  readonly headers?: Headers;
  /** Sent to the origin of `url` only, and to nobody once a redirect has left it. User info of `url` counts as such. */
  readonly ownHeaders?: Headers;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Headers;
  /** Rejects with what `networkFailure` understands. To be read to its end, or closed with `discard`. */
  readonly body: AsyncIterable<readonly Uint8Array[]>;
  /** Gives the answer up; the connection is kept when little is left of it. */
  discard(): Promise<void>;
  /** Who answered: after redirects, and the proxy in between. */
  readonly hop: { readonly url: string; readonly proxy: string | undefined };
}

const MAX_REDIRECTS = 10;

/** Rejects with ResError `interrupted`, `config-invalid`. A redirect is never the answer. */
export async function get(network: Network, o: GetOptions): Promise<Answer | Failure> {
  const first = new URL(o.url);
  const auth = basicAuth(first);
  let own: Headers = {
    ...(auth === undefined ? {} : { authorization: auth }),
    ...lowerCase(o.ownHeaders ?? {}),
  };
  let url = withoutUserInfo(first);
  const seen = new Set<string>();
  for (;;) {
    seen.add(url.href);
    const answer = await getOnce(network, url, { ...o.headers, ...own }, o.signal);
    if (answer.kind === 'failed') return answer;
    const location = isRedirect(answer.status) ? answer.headers.location : undefined;
    if (location === undefined) return answer;
    await answer.discard();
    const next = URL.canParse(location, url.href) ? withoutUserInfo(new URL(location, url.href)) : undefined;
    if (next === undefined || !/^https?:$/.test(next.protocol)) {
      return redirectFailure(url, 'redirects to an address that is not http or https');
    }
    if (seen.has(next.href)) return redirectFailure(url, 'redirects in a circle');
    if (seen.size > MAX_REDIRECTS) return redirectFailure(first, `more than ${MAX_REDIRECTS} redirects`);
    if (next.origin !== url.origin) own = {};
    url = next;
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function withoutUserInfo(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.hash = '';
  return bare;
}

function redirectFailure(url: URL, what: string): Failure {
  return {
    kind: 'failed',
    error: new ResError('network', `${redactUrl(url.href)}: ${what}`, {
      hint: 'Check the address in a browser.',
    }),
    retry: 'no',
  };
}

async function getOnce(
  network: Network,
  url: URL,
  headers: Headers,
  signal: AbortSignal | undefined,
): Promise<Answer | Failure> {
  const hop = { url: url.href, proxy: network.proxyOf(url) };
  const dispatcher = await network.dispatcher(url);
  try {
    const {
      status,
      headers: received,
      body,
      discard,
    } = await exchange(
      dispatcher,
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        // A compressed answer could neither be resumed nor compared with a size.
        headers: { 'user-agent': 'res', accept: '*/*', 'accept-encoding': 'identity', ...headers },
        headersTimeout: network.stallMs,
        bodyTimeout: network.stallMs,
      },
      signal,
    );
    return { kind: 'answer', status, headers: flat(received), body, discard, hop };
  } catch (error) {
    if (signal?.aborted === true) throw interrupted();
    return networkFailure(error, hop);
  }
}

function lowerCase(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined)
      result[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
  }
  return result;
}
