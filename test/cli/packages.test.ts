// qemu-img by the system's package manager: real scripts on PATH in the places of the managers.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  installCommands,
  installQemuImg,
  missingQemuImg,
  type System,
} from '../../src/cli/doctor/packages.js';

let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'res-bin-'));
});
afterEach(() => {
  rmSync(bin, { recursive: true });
});

const which = (program: string) => (existsSync(join(bin, program)) ? join(bin, program) : undefined);
const calls = () =>
  existsSync(join(bin, 'calls')) ? readFileSync(join(bin, 'calls'), 'utf8').trimEnd().split('\n') : [];

function script(name: string, body = ''): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >> '${bin}/calls'\n${body}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** A manager that installs when its arguments say so. */
function manager(name: string): void {
  script(name, `case "$*" in *qemu*) : > '${bin}/qemu-img'; chmod +x '${bin}/qemu-img';; esac`);
}

function system(isRoot: boolean): System {
  return {
    which,
    isRoot,
    run: async ([program, ...args]) =>
      spawnSync(join(bin, program), args, { env: { PATH: `${bin}:/usr/bin:/bin` }, stdio: 'ignore' }).status,
  };
}

describe.each([
  ['apt-get', ['apt-get update', 'apt-get install -y --no-install-recommends qemu-utils']],
  ['dnf', ['dnf install -y qemu-img']],
  ['pacman', ['pacman -Sy --noconfirm --needed qemu-img']],
  ['zypper', ['zypper --non-interactive install qemu-tools']],
  ['brew', ['brew install qemu']],
])('with %s', (name, commands) => {
  it('says what it will run, and runs just that', async () => {
    manager(name);
    const said: string[] = [];
    await installQemuImg(system(true), (line) => {
      // Nothing may have run before it was said.
      expect(calls()).toEqual([]);
      said.push(line.trim());
    });
    expect(said.slice(1)).toEqual(commands);
    expect(calls()).toEqual(commands);
  });
});

it('a user who is not root goes through sudo where it is there', async () => {
  manager('apt-get');
  script('sudo', 'exec "$@"');
  await installQemuImg(system(false), () => undefined);
  expect(calls()).toEqual([
    'sudo apt-get update',
    'apt-get update',
    'sudo apt-get install -y --no-install-recommends qemu-utils',
    'apt-get install -y --no-install-recommends qemu-utils',
  ]);
});

it('root does not', () => {
  manager('dnf');
  script('sudo', 'exec "$@"');
  expect(installCommands(system(true))).toEqual([['dnf', 'install', '-y', 'qemu-img']]);
});

it('brew never does', () => {
  manager('brew');
  script('sudo', 'exec "$@"');
  expect(installCommands(system(false))).toEqual([['brew', 'install', 'qemu']]);
});

it("the system's own manager comes before brew", () => {
  manager('brew');
  manager('pacman');
  expect(installCommands(system(true))?.[0]?.[0]).toBe('pacman');
});

describe('trouble is told', () => {
  it('when the manager fails, with its command and status', async () => {
    script('apt-get', '[ "$1" = update ] || exit 100');
    const install = installQemuImg(system(true), () => undefined);
    await expect(install).rejects.toMatchObject({
      code: 'command-failed',
      message: 'apt-get install -y --no-install-recommends qemu-utils ended with exit status 100',
    });
  });

  it('when package lists cannot be renewed, and the package is installed from those that are there', async () => {
    script('apt-get', `[ "$1" = update ] && exit 100; : > '${bin}/qemu-img'; chmod +x '${bin}/qemu-img'`);
    const said: string[] = [];
    await installQemuImg(system(true), (line) => said.push(line));
    expect(said.at(-1)).toBe(
      'apt-get update ended with exit status 100; going on with the package lists that are here',
    );
  });

  it('with the way out when there is neither root nor sudo', async () => {
    script('dnf', 'exit 1');
    await expect(installQemuImg(system(false), () => undefined)).rejects.toMatchObject({
      hint: expect.stringContaining('as root'),
    });
  });

  it('when there is no manager', async () => {
    await expect(installQemuImg(system(true), () => undefined)).rejects.toMatchObject({
      code: 'tool-missing',
    });
  });

  it('when the package brought no qemu-img', async () => {
    script('dnf');
    await expect(installQemuImg(system(true), () => undefined)).rejects.toMatchObject({
      code: 'tool-missing',
      message: expect.stringContaining('still no qemu-img'),
    });
  });
});

it('the finding says which commands would help', () => {
  manager('apt-get');
  expect(missingQemuImg(system(true), true)).toMatchObject({
    state: 'fail',
    hint: 'run `res doctor --fix`, or: apt-get update && apt-get install -y --no-install-recommends qemu-utils',
  });
  expect(missingQemuImg(system(true), false).state).toBe('warn');
});
