// What the from-source half of the manifest fetches and runs, small: repositories of the shape of vSwarm-u, Linux and gem5, an
// installer's ISO, and stand-ins for compilers, scons, xorriso and QEMU that leave traces of what they were given.
import { mkdtempSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type GitFile, type GitRepository, gitRepository } from './git.js';
import { runFolder } from './places.js';
import { tarBytes } from './tar.js';

type Files = Readonly<Record<string, GitFile>>;

/** A folder with the three repositories, for a server of them; the tags are those that the manifest names. */
export function sourceRepositories(): { readonly root: string; readonly project: GitRepository } {
  const root = realpathSync(mkdtempSync(join(runFolder(), 'sources-')));
  const project = gitRepository(join(root, 'vSwarm-u'));
  project.commit(PROJECT);
  const linux = gitRepository(join(root, 'linux'));
  for (const [tag, objects] of [
    ['v5.4.84', 'smpboot.o ucount.o'],
    ['v5.15.59', 'smpboot.o ucount.o regset.o'],
  ] as const) {
    linux.commit({
      Makefile: LINUX_MAKEFILE,
      'kernel/Makefile': `# ${tag}\nobj-y = ${objects}\n\nobj-m = kmod.o\n`,
    });
    linux.git('tag', tag);
  }
  const gem5 = gitRepository(join(root, 'gem5'));
  gem5.commit({
    SConstruct: 'gem5\n',
    'configs/example/fs.py': 'a script\n',
    'util/m5/SConstruct': 'm5\n',
    'util/term/term.c': 'm5term\n',
    'util/term/Makefile': 'm5term: term.c\n\tgcc -o $@ $^\n',
  });
  gem5.git('tag', 'v24.0.0.0');
  return { root, project };
}

const CLIENT_MAKEFILE = `CC = none
ARCH ?= none
all: client
m5/m5op.S:
\tcp m5/$(ARCH)/* m5
client: m5/m5op.S
\t$(CC) -o m5/m5op.o m5/m5op.S
\tar rc m5/libm5ops.a m5/m5op.o
\tranlib m5/libm5ops.a
\tCGO_LDFLAGS="-no-pie" go build -o $@ -v .
`;

const LINUX_MAKEFILE = `olddefconfig:
\techo "# completed for $(ARCH)" >> .config
vmlinux: kernel/Makefile .config
\t$(CROSS_COMPILE)gcc -o $@ $^
\techo "$(ARCH) at $$KBUILD_BUILD_TIMESTAMP by $$KBUILD_BUILD_USER" >> $@
`;

const PATCH = `diff --git a/kernel/Makefile b/kernel/Makefile
--- a/kernel/Makefile
+++ b/kernel/Makefile
@@ -2,3 +2,4 @@
 obj-y = smpboot.o ucount.o
 
+obj-y += m5struct.o
 obj-m = kmod.o
`;

const AUTOINSTALL = (arch: string) => `#cloud-config
# ${arch}
autoinstall:
  late-commands:
    - wget -P /root/ http://_gateway:3003/init_disk_image.sh
`;

const INIT_DISK_IMAGE = `#!/bin/bash
wget http://_gateway:3003/m5.amd64
wget http://_gateway:3003/m5.arm64
wget -P /sbin/ http://_gateway:3003/gem5init
wget -P /root/ http://_gateway:3003/client
`;

const SCRIPT = (name: string, config: string, mode: string) => `#!/bin/bash
# ${name}
GEM5=<__GEM5__>
GEM5_CONFIG=${config}
FN=\${1:-fibonacci-go}
sudo $GEM5 $GEM5_CONFIG --kernel kernel --disk disk.img --function \${FN} --mode=${mode}
`;

export const TEMPLATES = 'simulation/wkdir-tmpl';

/** The vSwarm-u repository, in so far as the manifest names its files. */
export const PROJECT: Files = {
  ...Object.fromEntries(
    ['v5.4.84', 'v5.15.59'].flatMap((version) =>
      ['amd64', 'arm64'].map((arch) => [
        `configs/linux-configs/${version}-${arch}.config`,
        `CONFIG_OF="${version} ${arch}"\n`,
      ]),
    ),
  ),
  'configs/linux-configs/kernel_m5.patch': PATCH,
  'configs/disk-image-configs/autoinstall-amd64.yaml': AUTOINSTALL('amd64'),
  'configs/disk-image-configs/autoinstall-arm64.yaml': AUTOINSTALL('arm64'),
  'configs/disk-image-configs/init_disk_image.sh': INIT_DISK_IMAGE,
  'configs/disk-image-configs/gem5init': { program: 'the gem5init service\n' },
  'configs/disk-image-configs/m5.amd64': { program: 'm5 for amd64\n' },
  'configs/disk-image-configs/m5.arm64': { program: 'm5 for arm64\n' },
  'tools/client/Makefile': CLIENT_MAKEFILE,
  'tools/client/main.go': 'package main\n',
  'tools/client/m5/amd64/m5op.S': '# x86\n',
  'tools/client/m5/arm64/m5op.S': '# aarch64\n',
  'simulation/functions/functions.yaml': 'services: {}\n',
  'simulation/functions/functions.list': 'fibonacci-go\n',
  [`${TEMPLATES}/setup_function.tmpl.sh`]: SCRIPT('setup one', '<__GEM5_CONFIG__>', 'setup'),
  [`${TEMPLATES}/setup_all_functions.tmpl.sh`]: SCRIPT('setup all', '<__GEM5_CONFIG__>', 'setup'),
  // One with a placeholder less, as there is in the project.
  [`${TEMPLATES}/sim_function.tmpl.sh`]: SCRIPT('sim one', 'run_sim.py', 'evaluation'),
  [`${TEMPLATES}/sim_all_functions.tmpl.sh`]: SCRIPT('sim all', '<__GEM5_CONFIG__>', 'evaluation'),
  [`${TEMPLATES}/run_sim.tmpl.py`]: "ROOT = '<__ROOT__>'\nsys.path.append(ROOT + '/gem5utils/systems/')\n",
  [`${TEMPLATES}/vswarm_simple.tmpl.py`]: 'requires(isa_required=ISA.X86)\n',
  [`${TEMPLATES}/vswarm_simple_arm.tmpl.py`]: 'requires(isa_required=ISA.ARM)\n',
  'gem5utils/systems/simple/system.py': 'class SimpleSystem: pass\n',
};

/** To the stand-in of xorriso, a tar is an ISO. */
export function installerIso(seed: string): Buffer {
  return tarBytes([
    { name: 'casper/vmlinuz', body: `installer's kernel ${seed}\n` },
    { name: 'casper/initrd', body: `installer's initrd ${seed}\n` },
  ]);
}

const version = (text: string) => `if test "\${1:-}" = --version; then echo "${text}"; exit; fi\n`;

/** Writes a line and all its inputs into what -o names. */
const COMPILER = `${version('gcc 1.0')}
inputs= output=
while test $# -gt 0; do
  case $1 in -o) output=$2; shift ;; -*) ;; *) inputs="$inputs $1" ;; esac
  shift
done
{ echo "compiled by $(basename "$0")"; cat $inputs; } > "$output"
chmod +x "$output"
`;

const ARCHIVER = `${version('ar 1.0')}test $# -lt 3 || { echo "joined by $(basename "$(readlink -f "$0")")"; cat "$3"; } > "$2"\n`;

/** As the real one, it has no --version. */
const GO = `if test "$1" = --version; then echo 'flag provided but not defined: -version' >&2; exit 2; fi
test "$1 $2" = 'build -o'
{ echo "go for $GOOS $GOARCH with $CC and cgo $CGO_ENABLED"; cat main.go m5/libm5ops.a; } > "$3"
chmod +x "$3"
`;

const SCONS = `${version('SCons 4.0')}
setting=
for word; do
  case $word in *CROSS_COMPILE=*) setting=$word ;; build/*) target=$word ;; esac
done
mkdir -p "$(dirname "$target")"
echo 'as large as can be' > "$(dirname "$target")/all.o"
{ echo "$target $setting"; cat SConstruct; } > "$target"
chmod +x "$target"
`;

const XORRISO = `${version('xorriso 1.5')}
while test $# -gt 0; do
  case $1 in
    -indev) iso=$2; shift ;;
    -extract) tar -xOf "$iso" "\${2#/}" > "$3"; chmod a-w "$3"; shift 2 ;;
  esac
  shift
done
`;

/** The installer: what it was booted with, and all that its late-commands fetch, lies at the beginning of the disk. */
const QEMU = `${version('QEMU emulator version 9.0')}
machine=no
while test $# -gt 0; do
  case $1 in
    -machine) machine=$2; shift ;;
    -drive)
      case $2 in
        file=flash0.img,*) test "$(head -c 8 flash0.img) $(stat -c %s flash0.img)" = "firmware $((64 * 1024 * 1024))" ;;
        file=flash1.img,*) ;;
        *) disk=\${2#file=}; disk=\${disk%%,*} ;;
      esac
      shift ;;
    -kernel) kernel=$2; shift ;;
    -initrd) initrd=$2; shift ;;
    -cdrom) test -s "$2"; shift ;;
    -append) seed=\${2##*;s=}; shift ;;
  esac
  shift
done
get() {
  python3 -c 'import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())' \\
    "$(echo "$1" | sed s/_gateway/127.0.0.1/)"
}
get "\${seed}user-data" > answers
get "\${seed}meta-data" > /dev/null
{
  echo "$(basename "$0"), machine $machine"
  cat "$kernel" "$initrd"
  sed 's/:[0-9][0-9]*//' answers
  for url in $(grep -o 'http://[^ ]*' answers); do
    get "$url" > script
    for each in $(grep -o 'http://[^ ]*' script); do get "$each"; done
  done
} > installed
truncate -s %512 installed
qemu-io -f qcow2 -c "write -s installed 0 $(stat -c %s installed)" "$disk" > /dev/null
`;

export const STAND_INS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['', 'aarch64-linux-gnu-'].flatMap((prefix) => [
      [`${prefix}gcc`, COMPILER],
      [`${prefix}ld`, version('ld 1.0')],
      [`${prefix}ar`, ARCHIVER],
      [`${prefix}ranlib`, ARCHIVER],
    ]),
  ),
  'g++': COMPILER,
  bc: version('bc 1.0'),
  bison: version('bison 1.0'),
  flex: version('flex 1.0'),
  go: GO,
  scons: SCONS,
  xorriso: XORRISO,
  'qemu-system-x86_64': QEMU,
  'qemu-system-aarch64': QEMU,
};
