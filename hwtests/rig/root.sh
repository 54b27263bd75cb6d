#!/usr/bin/env bash
# The guests' root as $1/root: a minimal bookworm with the programs that talk
# to tapes, libraries and SANs, and those of a cluster. Guests mount it
# read-only, with a layer of their own above it, so any number of them share it.
rig=$(realpath "$1")
. "$(dirname "$0")/common.sh"

include=kmod,procps,iproute2,iputils-ping,ethtool,udev,sg3-utils,mt-st,mtx,lsscsi,open-iscsi
include=$include,python3,zstd,strace,e2fsprogs
# The programs of a cluster, and their users, hacluster and haclient. debootstrap
# starts nothing of what it installs, nor does a guest that is not asked to.
include=$include,corosync,pacemaker,pacemaker-cli-utils,resource-agents,crmsh,pcs,libxml2-utils
# debootstrap takes no virtual package for a dependency: pcs wants this one.
include=$include,python3-cffi-backend

part=$rig/root new=$rig/root.new
skip_if_made "$part"
# No mirror is a skip, a root that cannot be made from one is not.
lists $suite
from=$(mirror)
if ! debootstrap --variant=minbase --keyring="$keyring" --include="$include" \
    $suite "$new" "$from" >"$rig/root.log" 2>&1; then
    tail -5 "$rig/root.log" >&2
    say "debootstrap of $suite failed, see $rig/root.log"
    exit 1
fi
# It passes over a mount of its own that is busy when it ends.
unmount_below "$new"
# Where init mounts the modules, the host and the folder shared with it.
mkdir -p "$new/lib/modules" "$new/host" "$new/share"
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
cp "$0" "$new/made-by"
mv "$new" "$part"
say "the guests' root is there"
