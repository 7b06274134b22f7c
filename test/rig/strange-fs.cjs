// Loaded into a process with --require: makes its file systems as odd as those of networks, containers and other
// systems can be. RES_STRANGE says how, by words with commas between them:
//   coarse=N       time stamps count in steps of N seconds
//   no-replace=E   a rename onto a file that is there fails with the code E (EEXIST, EBUSY, ETXTBSY, …)
//   silly=once     a folder `tmp` cannot be removed at the first try (ENOTEMPTY: an open file's .nfs… is in it); =always: at none
//   busy-open      a rename onto a file that the process has open fails (EBUSY), as on SMB
//   stale          a path that is there, but for manifests, is stale (ESTALE) when it is first opened or looked at
//   no-links       there are no hard links (EPERM)
//   no-dir-sync    a folder cannot be synced (EINVAL)
//   shift=N        the process's clock is N seconds ahead
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');

const words = new Map(
  (process.env.RES_STRANGE ?? '')
    .split(',')
    .filter((word) => word !== '')
    .map((word) => word.split('=')),
);
/** Paths below it; the program's own files are as they are. */
const root = process.env.RES_STRANGE_ROOT ?? '/nonexistent';

function failure(code, syscall, path) {
  const error = new Error(`${code}: strange file system, ${syscall} '${path}'`);
  return Object.assign(error, { code, syscall, path, errno: -1 });
}

const isOurs = (path) => typeof path === 'string' && path.startsWith(root);

/** Puts `check(...args)` before the function, in each of its forms: it throws where the call is to fail. */
function before(name, check) {
  const asynchronous = fs.promises[name];
  if (asynchronous !== undefined)
    fs.promises[name] = async (...args) => {
      check(...args);
      return asynchronous(...args);
    };
  const synchronous = fs[`${name}Sync`];
  if (synchronous !== undefined)
    fs[`${name}Sync`] = (...args) => {
      check(...args);
      return synchronous(...args);
    };
}

const { existsSync, lstatSync } = fs;
const isThere = (path) => lstatSync(path, { throwIfNoEntry: false });

const noReplace = words.get('no-replace');
if (noReplace !== undefined)
  before('rename', (from, to) => {
    if (isOurs(to) && isThere(from)?.isFile() && isThere(to)) throw failure(noReplace, 'rename', to);
  });

if (words.has('busy-open'))
  before('rename', (_from, to) => {
    if (!isOurs(to)) return;
    for (const fd of fs.readdirSync('/proc/self/fd')) {
      let path;
      try {
        path = fs.readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        continue;
      }
      if (path === to) throw failure('EBUSY', 'rename', to);
    }
  });

const silly = words.get('silly');
if (silly !== undefined) {
  const tried = new Set();
  const check = (path, options) => {
    // Who tries again by himself comes to the end of a moment.
    if (silly === 'once' && (options?.maxRetries ?? 0) > 0) return;
    if (!isOurs(path) || !path.endsWith('/tmp') || !isThere(path) || (silly === 'once' && tried.has(path)))
      return;
    tried.add(path);
    throw failure('ENOTEMPTY', 'rmdir', path);
  };
  before('rm', check);
  before('rmdir', check);
}

if (words.has('stale')) {
  const seen = new Set();
  const check = (name) => (path) => {
    if (!isOurs(path) || path.endsWith('.yaml') || seen.has(path) || !existsSync(path)) return;
    seen.add(path);
    throw failure('ESTALE', name, path);
  };
  for (const name of ['open', 'stat', 'lstat']) before(name, check(name));
}

if (words.has('no-links'))
  before('link', (_from, to) => {
    throw failure('EPERM', 'link', to);
  });

if (words.has('no-dir-sync')) {
  const { open } = fs.promises;
  fs.promises.open = async (...args) => {
    const file = await open(...args);
    if ((await file.stat()).isDirectory())
      file.sync = async () => {
        throw failure('EINVAL', 'fsync', args[0]);
      };
    return file;
  };
}

if (words.has('coarse')) {
  const step = BigInt(words.get('coarse')) * 1_000_000_000n;
  const cut = (stats) => {
    for (const name of ['mtime', 'ctime']) {
      if (stats?.[`${name}Ns`] !== undefined) {
        stats[`${name}Ns`] -= stats[`${name}Ns`] % step;
        stats[`${name}Ms`] = stats[`${name}Ns`] / 1_000_000n;
      } else if (stats?.[`${name}Ms`] !== undefined) {
        stats[`${name}Ms`] -= stats[`${name}Ms`] % Number(step / 1_000_000n);
      }
    }
    return stats;
  };
  for (const name of ['stat', 'lstat']) {
    const asynchronous = fs.promises[name];
    fs.promises[name] = async (...args) => cut(await asynchronous(...args));
  }
  for (const name of ['statSync', 'lstatSync', 'fstatSync']) {
    const synchronous = fs[name];
    fs[name] = (...args) => cut(synchronous(...args));
  }
  const { open } = fs.promises;
  fs.promises.open = async (...args) => {
    const file = await open(...args);
    const stat = file.stat.bind(file);
    file.stat = async (...options) => cut(await stat(...options));
    return file;
  };
}

if (words.has('shift')) {
  const ms = Number(words.get('shift')) * 1000;
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...args) {
      if (args.length === 0) super(Real.now() + ms);
      else super(...args);
    }
    static now() {
      return Real.now() + ms;
    }
  };
}

syncBuiltinESMExports();
