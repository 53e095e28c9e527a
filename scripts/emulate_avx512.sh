#!/usr/bin/env bash
# Runs a test binary on an emulated CPU that has AVX-512, for machines that have none.
#
#   cargo test --release -p deltarule-kernels --lib --no-run
#   scripts/emulate_avx512.sh target/release/deps/deltarule_kernels-HASH loss:: gemm::parallel
#
# Behind the binary come the arguments it gets there, filters of names for example. It takes about a
# minute to boot, and then runs some forty million instructions a second: leave out the sweeps, and
# `products_larger`. The exit status is that of the tests.
#
# BOCHS      is Bochs with AVX-512, built in its source folder bochs/ (https://github.com/bochs-emu/Bochs)
#            after ./configure --enable-x86-64 --enable-cpu-level=6 --enable-avx --enable-evex
#            --enable-handlers-chaining --enable-all-optimizations --disable-debugger --with-nogui
# BOCHS_BIOS is the folder bios/ beside it, unless that is where the sources have it.
# KERNEL     is a Linux kernel that needs no module for a serial line, /boot's newest otherwise.
# SECONDS_AT_MOST ends it, after an hour otherwise.
#
# Needs Debian's busybox-static, cpio, isolinux, syslinux-common and xorriso, or the same files.
set -euo pipefail

bochs=${BOCHS:?the path of a Bochs with AVX-512: see the head of this script}
bios=${BOCHS_BIOS:-$(dirname "$bochs")/bios}
kernel=${KERNEL:-$(ls -v /boot/vmlinuz-* | tail -n 1)}
binary=${1:?the path of a test binary}
shift

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root disc=$folder/disc
mkdir -p "$root"/{bin,dev,proc,sys,tmp} "$disc/isolinux"

# The binary, and the libraries it is linked with, where it looks for them.
strip -o "$root/tests" "$binary"
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "$root$library"
done
cp "$(command -v busybox)" "$root/bin/busybox"
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
export PATH=/bin
grep -m 1 flags /proc/cpuinfo | tr ' ' '\n' | grep -E 'avx|fma' | tr '\n' ' '
$(printf '%q ' /tests --test-threads=1 "$@")
echo "status \$?"
sleep 2 # what the serial line still holds
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$disc/initrd"

cp "$kernel" "$disc/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$disc/isolinux/"
cat >"$disc/isolinux/isolinux.cfg" <<'END'
default linux
prompt 0
label linux
kernel /vmlinuz
append initrd=/initrd console=ttyS0 nokaslr mitigations=off tsc=reliable lpj=1000000 loglevel=4 idle=halt lsm= apparmor=0 panic=5
END
xorriso -as mkisofs -quiet -o "$folder/disc.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$disc" 2>"$folder/xorriso"

cat >"$folder/bochsrc" <<END
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=2048, host=2048
romimage: file=$bios/BIOS-bochs-latest
vgaromimage: file=$bios/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin
display_library: nogui
ata0: enabled=1
ata0-master: type=cdrom, path=$folder/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$folder/serial
clock: sync=none
log: $folder/log
panic: action=fatal
error: action=report
info: action=ignore
END
touch "$folder/serial"
tail -f "$folder/serial" &
shown=$!
timeout "${SECONDS_AT_MOST:-3600}" "$bochs" -q -f "$folder/bochsrc" >"$folder/out" 2>&1 </dev/null ||
    true # it ends with an error when Linux turns the machine off
sleep 1
kill "$shown"
if ! status=$(grep -ao '^status [0-9]*' "$folder/serial"); then
    echo "it did not come to an end: $(tail -n 1 "$folder/out")" >&2
    exit 1
fi
exit "${status#status }"
