// Connections to the outside: kept alive between requests, and through the proxy that the environment names.
import type { Agent, Dispatcher } from 'undici';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';

export interface Network {
  dispatcher(url: URL): Promise<Dispatcher>;
  /** `host:port` of the proxy that requests for the URL go through; never its credentials. */
  proxyOf(url: URL): string | undefined;
  /** ms without a byte after which a connection counts as dead. */
  readonly stallMs: number;
  /** Breaks what is still under way. */
  close(): Promise<void>;
}

const DEFAULT_STALL_MS = 30_000;

/** RES_STALL_TIMEOUT, in seconds, as ms; 30 000 by default. Throws ResError `config-invalid`. */
export function stallTimeoutMs(env: Env): number {
  const text = env.RES_STALL_TIMEOUT?.trim() ?? '';
  if (text === '') return DEFAULT_STALL_MS;
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  // Timers count in 32 bits.
  if (ms >= 1 && ms < 2 ** 31) return ms;
  throw new ResError('config-invalid', `RES_STALL_TIMEOUT: \`${text}\` is not a number of seconds above 0`, {
    hint: 'It is how long a connection may bring nothing before it is given up and tried again: RES_STALL_TIMEOUT=120. Unset, it is 30.',
  });
}

/** Opens nothing yet. A proxy setting that is no URL: ResError `config-invalid` at the first request. */
export function openNetwork(env: Env, o: { readonly stallMs: number }): Network {
  const dispatchers = new Map<string, Promise<Agent | import('undici').ProxyAgent>>();

  function dispatcher(url: URL): Promise<Dispatcher> {
    const proxy = proxyFor(url, env);
    const key = proxy?.href ?? 'direct';
    const known = dispatchers.get(key);
    if (known !== undefined) return known;
    const opened = proxy === undefined ? direct(o.stallMs) : through(proxy, o.stallMs);
    dispatchers.set(key, opened);
    return opened;
  }

  return {
    dispatcher,
    proxyOf: (url) => proxyFor(url, env)?.host,
    stallMs: o.stallMs,
    async close() {
      const opened = await Promise.all(dispatchers.values());
      dispatchers.clear();
      await Promise.all(opened.map((one) => one.destroy()));
    },
  };
}

// undici is loaded when something is asked of the network: an up-to-date build does without it.
async function direct(stallMs: number) {
  const { Agent } = await import('./undici.js');
  return new Agent({ connect: { timeout: stallMs } });
}

async function through(proxy: URL, stallMs: number) {
  const { ProxyAgent } = await import('./undici-proxy.js');
  const bare = new URL(proxy);
  bare.username = '';
  bare.password = '';
  const token = basicAuth(proxy);
  return new ProxyAgent({
    uri: bare.href,
    // Proxies commonly refuse CONNECT to port 80: plain http is asked for in absolute form, as curl does.
    proxyTunnel: false,
    proxyTls: { timeout: stallMs },
    ...(token === undefined ? {} : { token }),
  });
}

/** The Authorization that the user info of a URL stands for. */
export function basicAuth(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/**
 * The proxy for a URL. Chosen here and not by undici's EnvHttpProxyAgent, which reads the process' own environment, sends
 * https through HTTP_PROXY, and does not tell which proxy it took: an error has to name it.
 */
export function proxyFor(url: URL, env: Env): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = setting(env, name);
  if (value === undefined || isExempt(url, setting(env, 'NO_PROXY') ?? '')) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  if (URL.canParse(text)) {
    const proxy = new URL(text);
    if (['http:', 'https:', 'socks5:'].includes(proxy.protocol) && proxy.hostname !== '') return proxy;
  }
  throw new ResError('config-invalid', `${name} is not the address of a proxy`, {
    hint: `Set it to http://HOST:PORT, or unset it. http, https and socks5 proxies are supported.`,
  });
}

function setting(env: Env, name: string): string | undefined {
  const value = env[name.toLowerCase()] ?? env[name];
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}

/** NO_PROXY: `*`, or hosts with an optional port; a name stands for the names below it too. */
function isExempt(url: URL, noProxy: string): boolean {
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return noProxy.split(/[\s,]+/).some((entry) => {
    if (entry === '') return false;
    if (entry === '*') return true;
    const withPort = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry);
    if (withPort !== null && withPort[2] !== port) return false;
    const name = (withPort?.[1] ?? entry)
      .replace(/^\[|\]$/g, '')
      .replace(/^\*?\./, '')
      .toLowerCase();
    return host === name || host.endsWith(`.${name}`);
  });
}
