// Loaded into a process with --require: notes what it asks of the file system, as lines of JSON in the file RES_LOOKOUT: of
// every path that was looked at or opened the path and whether it was opened, and the bytes that were read.
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const path = require('node:path');

const file = process.env.RES_LOOKOUT;
if (file !== undefined) {
  const real = { ...fs };
  const out = real.openSync(file, 'a');
  // Told at the end in one piece: what is watched may look at a hundred thousand paths.
  const seen = [];
  process.on('exit', () => real.writeSync(out, seen.join('')));
  const note = (name, opened) => {
    if (typeof name === 'string') seen.push(`${JSON.stringify({ path: path.resolve(name), opened })}\n`);
  };
  const LOOKS = ['stat', 'lstat', 'access', 'readdir', 'realpath', 'readlink', 'exists', 'opendir'];
  const OPENS = ['open', 'readFile'];
  const watch = (object, name, opened) => {
    const original = object[name];
    if (typeof original !== 'function') return;
    object[name] = Object.assign(function (...args) {
      note(args[0], opened);
      return original.apply(this, args);
    }, original);
  };
  for (const [names, opened] of [
    [LOOKS, false],
    [OPENS, true],
  ]) {
    for (const name of names) {
      watch(fs, name, opened);
      watch(fs, `${name}Sync`, opened);
      watch(fs.promises, name, opened);
    }
  }
  const { readSync, readFileSync } = fs;
  fs.readSync = function (...args) {
    const bytes = readSync.apply(this, args);
    seen.push(`${JSON.stringify({ bytes })}\n`);
    return bytes;
  };
  fs.readFileSync = function (...args) {
    const content = readFileSync.apply(this, args);
    seen.push(`${JSON.stringify({ bytes: content.length })}\n`);
    return content;
  };
  syncBuiltinESMExports();
}
