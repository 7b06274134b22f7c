// Loaded into a process with --require, which reaches worker threads too: the file system as a test wants to see it. It counts
// the operations below the folder RES_DISK_ROOT, kills the process group at number RES_DISK_KILL, just before it is done, and
// notes in RES_DISK_JOURNAL (a file, one JSON a line) what happened to names and what was synced. power-cut.ts reads that.
//
// An operation is a change of a name (create, mkdir, rename, link, symlink, unlink, rmdir), a truncation by name, or a sync of a
// file or a folder. Recursive mkdir and rm are taken apart into their steps, so that there is a moment between any two of them.
// Writing of bytes is no operation: what is written and not synced is as good as not written. A change is noted once it was made;
// a sync has a note where it begins, as only what came before that is sure to be on disk when it ends. The bytes of a file are
// copied beside the journal when its sync begins.
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const path = require('node:path');

const root = process.env.RES_DISK_ROOT;
const journal = process.env.RES_DISK_JOURNAL;
const killAt = Number(process.env.RES_DISK_KILL ?? 0);

if (root !== undefined) {
  const real = { ...fs };
  const promises = { ...fs.promises };
  const out = journal === undefined ? undefined : real.openSync(journal, 'a');
  let count = 0;
  let syncs = 0;
  let watched = false;

  const note = (record) => {
    if (out !== undefined) real.writeSync(out, `${JSON.stringify(record)}\n`);
  };

  const isOurs = (name) => typeof name === 'string' && path.resolve(name).startsWith(`${root}/`);
  const step = () => {
    count += 1;
    if (count === killAt) process.kill(-process.pid, 'SIGKILL');
  };

  const look = (name) => real.lstatSync(name, { throwIfNoEntry: false });
  const kindOf = (stats) => (stats.isDirectory() ? 'dir' : stats.isSymbolicLink() ? 'link' : 'file');
  /** A name as its folder's inode and its last part. */
  const entry = (name) => {
    const full = path.resolve(name);
    return { dir: real.statSync(path.dirname(full)).ino, name: path.basename(full) };
  };
  const noteCreated = (name, isNewName = true) => {
    const stats = look(name);
    if (!isNewName || stats === undefined) return;
    const kind = kindOf(stats);
    const target = kind === 'link' ? { target: real.readlinkSync(name) } : {};
    note({ op: 'create', ...entry(name), ino: stats.ino, kind, ...target });
  };

  /** For each function: what to do before, whose result goes to what is to be done after it went well. */
  const rules = {
    rename: {
      paths: (from, to) => [from, to],
      before: (from) => ({ stats: look(from), from: look(from) && entry(from) }),
      after: ({ stats, from }, [, to]) =>
        note({ op: 'rename', from, to: entry(to), ino: stats.ino, kind: kindOf(stats) }),
    },
    unlink: {
      paths: (name) => [name],
      before: (name) => look(name) && { ...entry(name), ino: look(name).ino },
      after: (gone) => note({ op: 'unlink', ...gone }),
    },
    rmdir: {
      paths: (name) => [name],
      before: (name) => look(name) && { ...entry(name), ino: look(name).ino },
      after: (gone) => note({ op: 'unlink', ...gone }),
    },
    mkdir: { paths: (name) => [name], before: () => true, after: (_, [name]) => noteCreated(name) },
    link: { paths: (_, name) => [name], before: () => true, after: (_, [, name]) => noteCreated(name) },
    symlink: { paths: (_, name) => [name], before: () => true, after: (_, [, name]) => noteCreated(name) },
    truncate: { paths: (name) => [name], before: () => true, after: () => undefined },
    copyFile: {
      paths: (_, name) => [name],
      before: (_, name) => ({ isNew: look(name) === undefined }),
      after: ({ isNew }, [, name]) => noteCreated(name, isNew),
    },
    open: { creates: (_, flags = 'r') => flags },
    writeFile: { creates: (_, __, options) => options?.flag ?? 'w' },
    appendFile: { creates: (_, __, options) => options?.flag ?? 'a' },
  };
  const { O_CREAT, O_TRUNC } = fs.constants;
  for (const rule of Object.values(rules)) {
    if (rule.creates === undefined) continue;
    const touches = (args) => {
      const flags = rule.creates(...args.filter((arg) => typeof arg !== 'function'));
      return typeof flags === 'number' ? (flags & (O_CREAT | O_TRUNC)) !== 0 : /[wa]/.test(String(flags));
    };
    rule.paths = (...args) => (touches(args) ? [args[0]] : []);
    rule.before = (name) => ({ isNew: look(name) === undefined });
    rule.after = ({ isNew }, [name]) => noteCreated(name, isNew);
  }

  const begin = (rule, args) => {
    if (!rule.paths(...args).some(isOurs)) return undefined;
    step();
    return { context: rule.before(...args) };
  };

  for (const [name, rule] of Object.entries(rules)) {
    fs[`${name}Sync`] = function (...args) {
      const begun = begin(rule, args);
      const result = real[`${name}Sync`].apply(this, args);
      if (begun) rule.after(begun.context, args);
      return result;
    };
    fs.promises[name] = async function (...args) {
      const begun = begin(rule, args);
      const result = await promises[name].apply(this, args);
      if (begun) rule.after(begun.context, args);
      if (name === 'open') watchHandles(result);
      return result;
    };
    fs[name] = function (...args) {
      const begun = begin(rule, args);
      const callback = args.at(-1);
      if (!begun || typeof callback !== 'function') return real[name].apply(this, args);
      return real[name].call(this, ...args.slice(0, -1), (error, ...results) => {
        if (!error) rule.after(begun.context, args);
        callback(error, ...results);
      });
    };
  }

  // Step by step

  const code = (error) => error?.code;
  const isGone = (error, options) => code(error) === 'ENOENT' && options?.force;

  fs.promises.rm = async (name, options) => {
    if (!isOurs(name)) return promises.rm(name, options);
    const stats = look(name);
    if (!stats?.isDirectory() || !options?.recursive) {
      if (stats?.isDirectory()) return promises.rm(name, options);
      return fs.promises.unlink(name).catch((error) => {
        if (!isGone(error, options)) throw error;
      });
    }
    for (const child of await promises.readdir(name))
      await fs.promises.rm(path.join(name, child), { recursive: true, force: true });
    await fs.promises.rmdir(name);
  };
  fs.rmSync = (name, options) => {
    if (!isOurs(name)) return real.rmSync(name, options);
    const stats = look(name);
    if (stats?.isDirectory()) {
      if (!options?.recursive) return real.rmSync(name, options);
      for (const child of real.readdirSync(name))
        fs.rmSync(path.join(name, child), { recursive: true, force: true });
      return fs.rmdirSync(name);
    }
    try {
      fs.unlinkSync(name);
    } catch (error) {
      if (!isGone(error, options)) throw error;
    }
  };

  const { mkdir: mkdirOnce } = fs.promises;
  fs.promises.mkdir = async (name, options) => {
    if (!isOurs(name) || !options?.recursive) return mkdirOnce(name, options);
    try {
      await mkdirOnce(name);
      return name;
    } catch (error) {
      if (code(error) === 'EEXIST' && real.statSync(name).isDirectory()) return undefined;
      if (code(error) !== 'ENOENT') throw error;
    }
    const first = await fs.promises.mkdir(path.dirname(name), options);
    return (await fs.promises.mkdir(name, options)) && (first ?? name);
  };
  const { mkdirSync: mkdirOnceSync } = fs;
  fs.mkdirSync = (name, options) => {
    if (!isOurs(name) || !options?.recursive) return mkdirOnceSync(name, options);
    const missing = [];
    for (let at = path.resolve(name); look(at) === undefined; at = path.dirname(at)) missing.push(at);
    for (const folder of missing.toReversed()) mkdirOnceSync(folder);
    return missing.at(-1);
  };

  // Syncs

  const shadows = new Map();
  const beginSync = (fd) => {
    const name = real.readlinkSync(`/proc/self/fd/${fd}`);
    if (name !== root && !isOurs(name)) return undefined;
    const stats = real.fstatSync(fd, { bigint: true });
    step();
    syncs += 1;
    const id = `${process.pid}-${syncs}`;
    const ino = Number(stats.ino);
    if (stats.isDirectory()) {
      note({ op: 'syncing', id });
      return { op: 'synced-dir', ino, id };
    }
    return { op: 'synced', ino, shadow: out === undefined ? undefined : shadowOf(fd, stats, id) };
  };
  /** One copy for all syncs between which nothing was written. */
  const shadowOf = (fd, stats, id) => {
    const version = `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
    const known = shadows.get(version);
    if (known !== undefined) return known;
    const name = `${journal}.${id}`;
    real.copyFileSync(`/proc/self/fd/${fd}`, name, fs.constants.COPYFILE_FICLONE);
    // Within one tick of the clock a file may be written to and look the same.
    if (Date.now() - Number(stats.mtimeNs / 1_000_000n) > 50) shadows.set(version, name);
    return name;
  };
  for (const name of ['fsync', 'fdatasync']) {
    fs[`${name}Sync`] = (fd) => {
      const begun = beginSync(fd);
      real[`${name}Sync`](fd);
      if (begun) note(begun);
    };
    fs[name] = (fd, callback) => {
      const begun = beginSync(fd);
      real[name](fd, (error) => {
        if (!error && begun) note(begun);
        callback(error);
      });
    };
  }
  /** The class of file handles is seen only once there is one. */
  const watchHandles = (handle) => {
    if (watched) return;
    watched = true;
    const prototype = Object.getPrototypeOf(handle);
    for (const name of ['sync', 'datasync']) {
      const original = prototype[name];
      prototype[name] = async function () {
        const begun = beginSync(this.fd);
        await original.call(this);
        if (begun) note(begun);
      };
    }
  };

  syncBuiltinESMExports();
}
