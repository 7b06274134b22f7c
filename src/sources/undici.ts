// What undici needs to ask a server directly, behind a name: a bundle gives a CommonJS package that is imported with
// `import()` only its default export, so what loads it late loads this. It takes 25 ms and 11 MiB to load; with the rest of the
// package (fetch, cookies, WebSocket, mocks) it would be 65 ms and 19 MiB.
export { default as Agent } from 'undici/lib/dispatcher/agent.js';
