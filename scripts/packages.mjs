// The packages of node_modules against package-lock.json: compared by what was installed, not by times.
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Whether every package that the lock file asks for on this machine is installed in the locked version. */
export function packagesInstalled(root, { dev }) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  // npm writes this one last: without it an installation is not complete.
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (wanted === undefined) throw new Error(`${join(root, 'package-lock.json')} is missing`);
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '' || (!dev && (entry.dev || entry.devOptional)) || !isForThisMachine(entry)) return true;
    const found = installed[name];
    if (found === undefined && isOfAnother(entry)) return true;
    return (
      found?.version === entry.version && found?.integrity === entry.integrity && existsSync(join(root, name))
    );
  });
}

/** Whether the development tools are there, in whatever version: a later installation must not take them away. */
export function hasDevPackages(root) {
  return existsSync(join(root, 'node_modules/vitest/package.json'));
}

/**
 * Runs `npm ci`, which starts from an empty node_modules. Rejects with an Error whose message is npm's own.
 * Install scripts are not run: no package needs one.
 */
export async function installPackages(root, { dev }) {
  // npm would empty what the link leads to: another checkout's packages.
  const folder = join(root, 'node_modules');
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(`${folder} is a symbolic link; remove it, and the packages are installed here`);
  }
  // So that an installation that is cut off in the middle is never taken for a complete one.
  rmSync(join(root, 'node_modules/.package-lock.json'), { force: true });
  const args = [
    'ci',
    dev ? '--include=dev' : '--omit=dev',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--no-progress',
  ];
  const { code, output } = await run('npm', args, root);
  if (code === 0) return;
  const tail = output.trimEnd().split('\n').slice(-20).join('\n');
  throw new Error(`npm ${args.join(' ')} failed (exit status ${code}):\n${tail}`);
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Optional packages are mostly one binary for each platform. Which libc this is takes asking; npm knows. */
function isForThisMachine(entry) {
  if (!entry.optional && !entry.devOptional) return true;
  return matches(entry.os, process.platform) && matches(entry.cpu, process.arch) && entry.libc === undefined;
}

/** Says not for which machine it is, and npm left it out: what depends on it is for another one. */
function isOfAnother(entry) {
  return entry.optional === true && entry.os === undefined && entry.cpu === undefined;
}

function matches(list, value) {
  return list === undefined || list.includes(value);
}

function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = () => child.kill('SIGTERM');
    process.on('exit', stop);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => {
      process.off('exit', stop);
      reject(
        error.code === 'ENOENT'
          ? new Error(`${command} is missing; it comes with Node.js (Debian, Ubuntu: apt-get install npm)`)
          : error,
      );
    });
    child.on('close', (code, signal) => {
      process.off('exit', stop);
      resolve({ code: code ?? signal, output });
    });
  });
}
