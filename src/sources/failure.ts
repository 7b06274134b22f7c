// What can go wrong on the way to a URL, told apart: whether to try again, and what to say in the end.
import { ResError } from '../model/error.js';
import { redactText, redactUrl } from './redact.js';
import { MAX_RETRY_AFTER_MS, retryAfterMs } from './retry-after.js';

export interface Failure {
  readonly kind: 'failed';
  readonly error: ResError;
  /** `once`: may be a hiccup, but most often is not. */
  readonly retry: 'yes' | 'once' | 'no';
  /** How long the server asked to wait, ms, cut to a bound; or 0, when there is nothing to wait for. */
  readonly waitMs?: number;
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  /** There are bytes, and they are not the expected ones. */
  readonly wrongContent?: boolean;
  /** No connection came about: where there is another place to ask, insisting is a waste of time. */
  readonly unreachable?: boolean;
}

export type Headers = Readonly<Record<string, string>>;

interface Hop {
  readonly url: string;
  /** `host:port` */
  readonly proxy: string | undefined;
}

/** What to do about a connection that broke off. */
export const TRY_AGAIN = 'Try again later. What has arrived is kept, and the next build goes on from there.';

/** Why a request got no (whole) answer. A thing that is no network error is a bug and is thrown. */
export function networkFailure(error: unknown, hop: Hop): Failure {
  if (!(error instanceof Error)) throw error;
  if (error instanceof ResError) throw error;
  const code = codeOf(error);
  if (code === undefined) throw error;
  const url = redactUrl(hop.url);
  const target = new URL(hop.url);
  const via = hop.proxy === undefined ? '' : ` (through the proxy ${hop.proxy})`;
  const peer = hop.proxy === undefined ? target.host : `the proxy ${hop.proxy}`;
  const proxyHint = { hint: 'Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.' };
  const failed = (
    message: string,
    rest: Omit<Failure, 'kind' | 'error'>,
    details: { hint?: string } = {},
  ): Failure => ({
    kind: 'failed',
    error: new ResError('network', `${url}: ${message}`, { hint: TRY_AGAIN, ...details, cause: error }),
    ...rest,
  });

  const proxyStatus = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(error.message);
  if (proxyStatus !== null) return proxyFailure(Number(proxyStatus[1] ?? proxyStatus[2]), hop);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA': {
      const host = hop.proxy === undefined ? target.hostname : peer;
      const hint =
        hop.proxy === undefined ? { hint: 'Check the name, and whether this machine is online.' } : proxyHint;
      const retry = code === 'EAI_AGAIN' ? 'yes' : 'once';
      return failed(`could not resolve host ${host}`, { retry, unreachable: true }, hint);
    }
    case 'ECONNREFUSED':
      return failed(
        `${peer} refused the connection`,
        { retry: 'yes', unreachable: true },
        hop.proxy === undefined ? { hint: 'Check the port, and whether the server is running.' } : proxyHint,
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
      return failed(
        `no route to ${peer}`,
        { retry: 'yes', unreachable: true },
        { hint: 'Check whether this machine is online.' },
      );
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return failed(
        `${peer} did not answer in time`,
        { retry: 'yes', unreachable: true },
        { hint: 'Check whether this machine is online, and whether it needs a proxy (HTTPS_PROXY).' },
      );
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return failed(`the connection stalled${via}`, { retry: 'yes' });
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return failed('the connection was closed', { retry: 'no' });
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_ABORTED':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ECONNRESET':
    case 'EPIPE':
      return failed(`the connection was lost${via}`, { retry: 'yes' });
    default:
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_|^ERR_TLS|^CRL_|^UND_ERR_PRX_TLS/.test(code)) {
    return failed(
      `the TLS certificate of ${target.host} is not trusted: ${redactText(error.message)} (${code})`,
      { retry: 'no', unreachable: true },
      {
        hint: 'If a company proxy or a private authority signs it, name its certificate in NODE_EXTRA_CA_CERTS=FILE.pem.',
      },
    );
  }
  if (/^ERR_SSL|^EPROTO/.test(code)) {
    return failed(
      `no TLS connection to ${target.host} (${code})${via}`,
      { retry: 'once' },
      { hint: 'Check whether the server speaks https on that port.' },
    );
  }
  if (code.startsWith('HPE_')) {
    return failed(`the answer is not HTTP (${code})${via}`, { retry: 'once' });
  }
  return failed(`${redactText(error.message)} (${code})${via}`, { retry: 'yes' });
}

function codeOf(error: Error): string | undefined {
  if ('code' in error && typeof error.code === 'string') return error.code;
  // undici gives what is no HTTP a name of its own, and a code only sometimes.
  return error.name === 'HTTPParserError' ? 'HPE_INVALID' : undefined;
}

function proxyFailure(status: number, hop: Hop): Failure {
  const what =
    status === 407
      ? 'wants a user name and password (407)'
      : `does not let the connection through (status ${status})`;
  return {
    kind: 'failed',
    error: new ResError('network', `${redactUrl(hop.url)}: the proxy ${hop.proxy ?? 'in use'} ${what}`, {
      hint:
        status === 407
          ? 'Set them in the proxy setting: http://USER:PASSWORD@HOST:PORT.'
          : 'Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
    }),
    retry: status >= 500 ? 'yes' : 'no',
    status,
  };
}

/** Whether the same request may well succeed a little later. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** An answer that brings nothing. */
export function statusFailure(status: number, headers: Headers, hop: Hop): Failure {
  if (status === 407) return proxyFailure(status, hop);
  const url = redactUrl(hop.url);
  const asked = retryAfterMs(headers['retry-after']);
  const transient = isTransient(status);
  return {
    kind: 'failed',
    error: statusError(status, url, asked),
    // 501 and 505 say that the server will never do it.
    retry: transient && status !== 501 && status !== 505 ? 'yes' : 'no',
    status,
    ...(asked === undefined ? {} : { waitMs: Math.min(asked, MAX_RETRY_AFTER_MS) }),
  };
}

function statusError(status: number, url: string, asked: number | undefined): ResError {
  switch (status) {
    case 401:
      return new ResError('unauthorized', `${url}: the server wants credentials (status 401)`, {
        hint: 'Without them it cannot be had: a URL may carry them as https://USER:PASSWORD@HOST/.',
      });
    case 403:
      return new ResError('unauthorized', `${url}: access denied (status 403)`, {
        hint: 'The address may have expired, or want credentials.',
      });
    case 404:
    case 410:
      return new ResError('http-status', `${url}: not found (status ${status})`, {
        hint: 'Check the address. If it moved, correct the manifest, or run `res update`.',
      });
    case 429:
      return new ResError('rate-limited', `${url}: too many requests (status 429)`, {
        hint: asked === undefined ? 'Try again later.' : `Try again in ${Math.ceil(asked / 1000)} s.`,
      });
    default:
      return new ResError('http-status', `${url}: the server answered with status ${status}`, {
        hint: status >= 500 ? 'The trouble is on the server; try again later.' : 'Check the address.',
      });
  }
}
