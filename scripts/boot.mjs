#!/usr/bin/env node
// What dist/cli/main.js is: starts the compiled program, with V8's code kept between runs where Node can (22.1).
// It is plain enough for an old Node to read, so that one gets a message and not a syntax error.
import * as module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `res: Node.js ${process.version} is too old; res needs version 20.19 or newer: https://nodejs.org/en/download`,
  );
  process.exit(1);
}
if (module.enableCompileCache !== undefined) {
  // Node's own default lies in the temporary folder, which others may write to; relative paths do not count (XDG).
  const { NODE_COMPILE_CACHE, XDG_CACHE_HOME = '' } = process.env;
  const caches = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache');
  module.enableCompileCache(NODE_COMPILE_CACHE || join(caches, 'res'));
}
// Threads that wait for disks cost no processor; each says when bytes are safe, and many may be waited for at once.
process.env.UV_THREADPOOL_SIZE ??= '16';
await import('./app.js');
