#!/usr/bin/env bash
# A User Mode Linux kernel as $1/kernel-$2: `linux`, `config.gz` and
# `lib/modules/RELEASE`. $2 is 6.1 (bookworm's) or 7 (sid's newest, which has
# io_uring commands on /dev/bsg from 7.1 on). Nothing is installed.
rig=$(realpath "$1") version=$2
. "$(dirname "$0")/common.sh"

part=$rig/kernel-$version new=$rig/kernel-$version.new
skip_if_made "$part"
mkdir -p "$new/packages" "$new/tree" "$new/lib/modules"
cd "$new/packages"
case $version in
6.1)
    lists $suite
    download $suite user-mode-linux
    ;;
7)
    lists sid
    download sid user-mode-linux libc6
    ;;
*)
    say "no kernel $version is known"
    exit 1
    ;;
esac
dpkg-deb -x user-mode-linux_*.deb "$new/tree"
mv "$new"/tree/usr/lib/uml/modules/* "$new/lib/modules/"
mv "$new/tree/usr/bin/linux.uml" "$new/linux"
mv "$new/tree/usr/share/doc/user-mode-linux/config.gz" "$new/"
if [ "$version" = 7 ]; then
    # sid's binary wants sid's C library: it gets it, and keeps it to itself.
    dpkg-deb -x libc6_*.deb "$new/libc"
    loader=$(cd "$new" && find libc -name 'ld-linux-x86-64.so.2' | head -1)
    library=$(cd "$new" && find libc -name 'libc.so.6' | head -1)
    [ -n "$loader" ] && [ -n "$library" ] || cannot "sid's libc6 holds no loader or library"
    patchelf --set-interpreter "$part/$loader" --set-rpath "$part/$(dirname "$library")" "$new/linux"
fi
release=$(cd "$new/lib/modules" && echo *)
case $release in
"$version".*) ;;
*) cannot "the package's kernel is $release, not $version" ;;
esac
rm -rf "$new/packages" "$new/tree"
cp "$0" "$new/made-by"
mv "$new" "$part"
say "kernel $release is there"
