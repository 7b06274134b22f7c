// Loaded into a process with --require, which reaches worker threads of every sort: notes every process it starts, every connection and name look-up, and every
// byte it hashes, as lines of JSON in the file RES_WITNESS. Lines, written at once, survive kill -9 and come from
// worker threads too; no count at exit would.
const childProcess = require('node:child_process');
const crypto = require('node:crypto');
const dgram = require('node:dgram');
const dns = require('node:dns');
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const net = require('node:net');
const { isMainThread } = require('node:worker_threads');

const file = process.env.RES_WITNESS;
if (file !== undefined) {
  const out = fs.openSync(file, 'a');
  const { writeSync } = fs;
  const note = (record) => writeSync(out, `${JSON.stringify(record)}\n`);
  note({ loaded: isMainThread ? 'main' : 'worker' });

  const before = (object, name, tell) => {
    const original = object?.[name];
    if (typeof original !== 'function') return;
    object[name] = function (...args) {
      tell(args);
      return original.apply(this, args);
    };
  };

  // spawn, exec, execFile and fork all come through here; the synchronous ones do not.
  before(childProcess.ChildProcess.prototype, 'spawn', ([options]) =>
    note({ process: options?.args ?? [options?.file] }),
  );
  for (const name of ['spawnSync', 'execSync', 'execFileSync']) {
    before(childProcess, name, ([command, args]) =>
      note({ process: [command, ...(Array.isArray(args) ? args : [])] }),
    );
  }

  before(net.Socket.prototype, 'connect', ([first, second]) => note({ connection: address(first, second) }));
  for (const name of ['connect', 'send', 'bind']) {
    before(dgram.Socket.prototype, name, () => note({ connection: `udp ${name}` }));
  }
  for (const object of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    for (const name of Object.getOwnPropertyNames(object)) {
      if (/^(lookup|resolve|reverse)/.test(name)) {
        before(object, name, ([host]) => note({ lookup: String(host) }));
      }
    }
  }

  const hashed = (data) => note({ hash: sizeOf(data) });
  before(crypto.Hash.prototype, 'update', ([data]) => hashed(data));
  // A hash that is piped to gets its bytes this way.
  before(crypto.Hash.prototype, '_transform', ([data]) => hashed(data));
  before(crypto, 'hash', ([, data]) => hashed(data));
  before(crypto.webcrypto.subtle.constructor.prototype, 'digest', ([, data]) => hashed(data));

  syncBuiltinESMExports();
}

function sizeOf(data) {
  return typeof data === 'string' ? Buffer.byteLength(data) : (data?.byteLength ?? 0);
}

function address(first, second) {
  const options = Array.isArray(first) ? first[0] : first;
  if (typeof options === 'object' && options !== null) {
    return options.path ?? `${options.host ?? 'localhost'}:${options.port}`;
  }
  return `${typeof second === 'string' ? second : 'localhost'}:${options}`;
}
