// The system's package manager: which one it is, and what it must run to install qemu-img.

import { ResError } from '../../model/error.js';
import { formatCommand } from '../../report/command-line.js';
import type { Check } from '../../report/doctor.js';

type Argv = readonly [string, ...string[]];

interface Manager {
  /** The program that says that it is there. */
  readonly program: string;
  readonly commands: readonly Argv[];
  /** Homebrew refuses to run as root. */
  readonly root: boolean;
}

/** In order of preference; brew comes last, for it is also found on Linux beside the system's own. */
const MANAGERS: readonly Manager[] = [
  {
    program: 'apt-get',
    commands: [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', 'qemu-utils'],
    ],
    root: true,
  },
  { program: 'dnf', commands: [['dnf', 'install', '-y', 'qemu-img']], root: true },
  // -y: a fresh system has no package lists yet.
  { program: 'pacman', commands: [['pacman', '-Sy', '--noconfirm', '--needed', 'qemu-img']], root: true },
  { program: 'zypper', commands: [['zypper', '--non-interactive', 'install', 'qemu-tools']], root: true },
  { program: 'brew', commands: [['brew', 'install', 'qemu']], root: false },
];

export interface System {
  /** The absolute path of a program on PATH, or undefined. */
  which(program: string): string | undefined;
  /** Runs a program with the user's terminal; gives its exit status, null when a signal ended it. */
  run(argv: Argv): Promise<number | null>;
  readonly isRoot: boolean;
}

/** What must be run to install qemu-img; undefined where no known package manager is there. */
export function installCommands({
  which,
  isRoot,
}: Pick<System, 'which' | 'isRoot'>): readonly Argv[] | undefined {
  const manager = MANAGERS.find(({ program }) => which(program) !== undefined);
  if (!manager) return undefined;
  const sudo = manager.root && !isRoot && which('sudo') !== undefined;
  return manager.commands.map((argv): Argv => (sudo ? ['sudo', ...argv] : argv));
}

/**
 * Installs qemu-img, after saying what will be run. Rejects with ResError `tool-missing` where there is no known
 * package manager or it leaves no qemu-img behind, `command-failed` where it fails.
 */
export async function installQemuImg(system: System, say: (line: string) => void): Promise<void> {
  const commands = installCommands(system);
  if (!commands) {
    throw new ResError(
      'tool-missing',
      'no known package manager is here (apt-get, dnf, pacman, zypper, brew)',
      {
        hint: 'Install qemu-img by hand; it is part of QEMU: https://www.qemu.org/download/',
      },
    );
  }
  say('qemu-img is missing; to install it, this will be run:');
  for (const argv of commands) say(`  ${formatCommand(argv)}`);
  for (const argv of commands) {
    const status = await system.run(argv);
    if (status === 0) continue;
    const ended = status === null ? 'was stopped by a signal' : `ended with exit status ${status}`;
    const needsRoot = !system.isRoot && argv[0] !== 'sudo' && argv[0] !== 'brew';
    if (argv !== commands.at(-1) && status !== null && !needsRoot) {
      // One broken repository among many fails it; the lists at hand often do.
      say(`${formatCommand(argv)} ${ended}; going on with the package lists that are here`);
      continue;
    }
    throw new ResError('command-failed', `${formatCommand(argv)} ${ended}`, {
      hint: needsRoot
        ? 'Installing takes root, and there is no sudo here: run the command above as root.'
        : 'What it printed above says why. The same command can be run by hand.',
    });
  }
  if (system.which('qemu-img') === undefined) {
    throw new ResError('tool-missing', 'the package was installed, but there is still no qemu-img on PATH', {
      hint: 'Open a new shell, or add the folder of qemu-img to PATH.',
    });
  }
}

export function missingQemuImg(system: Pick<System, 'which' | 'isRoot'>, needed: boolean): Check {
  const commands = installCommands(system);
  const how =
    commands === undefined
      ? 'install QEMU: https://www.qemu.org/download/'
      : `run \`res doctor --fix\`, or: ${commands.map(formatCommand).join(' && ')}`;
  return {
    name: 'qemu-img',
    state: needed ? 'fail' : 'warn',
    detail: needed ? 'not on PATH' : 'not on PATH; this manifest does not need it',
    hint: how,
  };
}
