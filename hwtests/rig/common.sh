# Sourced by the scripts here. Each makes one part of the rig below the folder
# $rig and exits 0; or exits 75 with the reason on the last line of standard
# error if the part cannot be had here (no mirror, a package that is gone): a
# skip, that the caller says aloud. Every other exit code is a failure.
set -euo pipefail

suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# What these lines made is remade when they change: a part holds a copy of the
# script that made it.
skip_if_made() {
    cmp -s "$0" "$1/made-by" && exit 0
    unmount_below "$1"
    unmount_below "$1.new"
    rm -rf "$1" "$1.new"
}

# Whoever removes a folder in which something is mounted removes what that holds.
unmount_below() {
    awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r at; do umount --lazy "$at"; done
}

say() { echo "rig: $*" >&2; }

cannot() {
    echo "$*" >&2
    exit 75
}

# Where the machine itself gets Debian from.
mirror() {
    local release
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt fills in what stands in the dollars
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' |
        awk -v release="$release" '$1 == release && $2 == "main" && !seen { print $3; seen = 1 }'
}

# apt with lists of its own, so that the machine's are neither used nor
# changed: private_apt SUITE ARGUMENT...
private_apt() {
    local dir=$rig/apt-$1
    shift
    apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/parts" \
        -o Dir::Etc::PreferencesParts="$dir/parts" -o Dir::State::Lists="$dir/lists" \
        -o Dir::State::Status="$dir/status" -o Dir::Cache="$dir/cache" \
        -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@" >&2
}

# Fetches a suite's package lists: what is in them can be downloaded.
lists() {
    local dir=$rig/apt-$1 from
    [ -r "$keyring" ] || cannot "no Debian archive keyring on this machine"
    from=$(mirror)
    [ -n "$from" ] || cannot "apt's sources name no Debian mirror"
    mkdir -p "$dir"/{lists/partial,cache/archives/partial,parts}
    echo "deb [signed-by=$keyring] $from $1 main" >"$dir/sources.list"
    : >"$dir/status"
    private_apt "$1" update || cannot "no package lists of $1 from the mirror"
}

# Downloads packages into the current folder: download SUITE PACKAGE...
download() {
    private_apt "$1" download "${@:2}" && return
    # What the stable suite has today it has tomorrow. sid promises nothing.
    [ "$1" != "$suite" ] || exit 1
    cannot "$1 has no package ${*:2} any more"
}
