// As undici.ts: the way through a proxy, which needs all of the package.
export { ProxyAgent } from 'undici';
