#!/bin/sh
# Makes the files in release/ anew, the way a real release is made: a file system image, as qcow2, in a gzipped tar,
# cut into parts, with the checksum of the image beside them.
#
# You do not need this to run the example; the files are in the repository. The same tools give the same bytes: names,
# UUIDs and times are fixed. Another version of mke2fs, qemu-img or gzip may lay the bytes out in another way, which
# is as good, but has another checksum.
#
# Needs: mke2fs, debugfs, e2fsck (e2fsprogs), qemu-img (qemu-utils), GNU tar, gzip, split, sha256sum, awk.
set -eu
umask 022
export LC_ALL=C TZ=UTC PATH="$PATH:/usr/sbin:/sbin"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
when=1767225600 # 2026-01-01 00:00 UTC

# What is in the image. It is data only: there is no kernel and no boot loader, it does not boot.
mkdir -p "$work/tree/data"
cat > "$work/tree/README.txt" <<'TEXT'
This file lies in an ext4 file system of 16 MiB. It came to you as a qcow2 image
in a gzipped tar that was cut into parts, and was put together again by res.

data/numbers.txt holds pseudo-random numbers, to give the image some weight.
TEXT
# The minimal standard generator of Park and Miller: all products are exact in awk's floating point numbers.
awk 'BEGIN { x = 1; for (i = 0; i < 30000; i++) { x = (x * 16807) % 2147483647; print x } }' > "$work/tree/data/numbers.txt"
chmod 755 "$work/tree" "$work/tree/data"
chmod 644 "$work/tree/README.txt" "$work/tree/data/numbers.txt"
find "$work/tree" -exec touch -h -d "@$when" {} +

# No journal: the image is read, and without one it is smaller.
export E2FSPROGS_FAKE_TIME=$when SOURCE_DATE_EPOCH=$when
truncate -s 16M "$work/disk-image.raw"
mke2fs -q -t ext4 -O '^has_journal' -L quickstart \
  -U 6f8d3c1e-0000-4000-8000-000000000001 \
  -E hash_seed=6f8d3c1e-0000-4000-8000-000000000002,root_owner=0:0 \
  -d "$work/tree" "$work/disk-image.raw"
# The one time that mke2fs takes from the copied files and that nobody can set on those.
for file in /README.txt /data /data/numbers.txt; do
  echo "set_inode_field $file ctime @$when"
done > "$work/times"
debugfs -w -f "$work/times" "$work/disk-image.raw" > /dev/null 2>&1
e2fsck -fn "$work/disk-image.raw" > /dev/null 2>&1

mkdir "$work/temp"
qemu-img convert -f raw -O qcow2 "$work/disk-image.raw" "$work/temp/disk-image.qcow2"

cd "$work"
mkdir release
tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=644 --mtime="@$when" \
  -cf - temp/disk-image.qcow2 | gzip -9n > disk-image.qcow2.tar.gz
split -b 48K disk-image.qcow2.tar.gz release/disk-image.qcow2.tar.gz.
sha256sum temp/disk-image.qcow2 > release/disk-image.qcow2.sums

rm -rf "$here/release"
cp -r release "$here/release"
ls -l "$here/release"
