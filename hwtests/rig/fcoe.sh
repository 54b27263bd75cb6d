#!/usr/bin/env bash
# fcoe.ko for the kernel that kernel.sh made, as lib/modules/RELEASE/extra/fcoe.ko
# in it. Debian's package leaves this one module of the Fibre Channel stack out,
# since its Kconfig wants PCI, and User Mode Linux has none. It is built alone,
# with the package's configuration: CONFIG_FCOE stays off, for it would change
# the layout of structures that the kernel was built with.
rig=$(realpath "$1") version=$2
. "$(dirname "$0")/common.sh"

kernel=$rig/kernel-$version work=$rig/fcoe-$version.new
release=$(cd "$kernel/lib/modules" && echo *)
module=$kernel/lib/modules/$release/extra/fcoe.ko
{ [ -e "$module" ] && cmp -s "$0" "$module.made-by"; } && exit 0
log=$rig/fcoe-$version.log
rm -rf "$work"
mkdir -p "$work/module"
cd "$work"
line=${release%.*} from=$suite
[ "$version" = 6.1 ] || from=sid
lists $from
# The exact source if the mirror still has it, else the newest of the line.
private_apt $from download "linux-source-$line=$release-1" 2>"$log" ||
    download $from "linux-source-$line"
# Of the 80,000 files of the source, those that a module of this architecture
# is built with: the rest only keeps the disk busy.
top=linux-source-$line
dpkg-deb --fsys-tarfile "$top"_*.deb | tar -xO "./usr/src/$top.tar.xz" |
    tar -xJ --wildcards '*/Kconfig*' '*/Makefile*' '*/Kbuild*' "$top/scripts/*" \
        "$top/include/*" "$top/kernel/*" "$top/arch/um/*" "$top/arch/x86/*" \
        "$top/tools/include/*" "$top/tools/scripts/*" "$top/tools/build/*" \
        "$top/security/selinux/*" "$top/drivers/scsi/fcoe/*"
rm "$top"_*.deb
cd "$top"

# A module is loaded only if it names the very release of the kernel.
sed -i "s/^SUBLEVEL = .*/SUBLEVEL = ${release##*.}/" Makefile
zcat "$kernel/config.gz" >.config
build() {
    make ARCH=um "$@" >>"$log" 2>&1 || {
        tail -20 "$log" >&2
        cannot "fcoe.ko cannot be built for $release (make $*), see $log"
    }
}
build olddefconfig
build -j2 modules_prepare
cp drivers/scsi/fcoe/fcoe.c drivers/scsi/fcoe/fcoe.h drivers/scsi/fcoe/libfcoe.h "$work/module/"
echo 'obj-m := fcoe.o' >"$work/module/Makefile"

# Network cards may take work off fcoe's hands, through fields that a kernel
# without CONFIG_FCOE does not have: every such question is answered with no.
perl -0pi -e '
    s/if \(ops->ndo_fcoe_(enable|disable)\)/if (0)/g;
    s/ops->ndo_fcoe_(enable|disable)\(netdev\)/0/g;
    s/netdev->fcoe_ddp_xid/0/g;
    s/if \(netdev->netdev_ops->ndo_fcoe_ddp_(setup|target|done)\)\s*return .*?;/(void)netdev;/sg;
    s/if \(realdev->netdev_ops->ndo_fcoe_get_hbainfo\) \{.*?kfree\(fdmi\);\s*\} else \{/{ (void)rc; (void)realdev;/sg;
' "$work/module/fcoe.c"
# Without a Module.symvers, and with symbols without versions: modpost warns.
build M="$work/module" KBUILD_MODPOST_WARN=1 modules

mkdir -p "${module%/*}"
cp "$0" "$module.made-by"
install -m 644 "$work/module/fcoe.ko" "$module.new"
mv "$module.new" "$module"
cd "$rig"
rm -rf "$work"
say "fcoe.ko for $release is there"
