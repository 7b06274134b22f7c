// The part of undici that res uses, behind names: a bundle gives a CommonJS package that is imported with `import()`
// only its default export, so what loads it late loads this.
export { Agent, ProxyAgent, request } from 'undici';
