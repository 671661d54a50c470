#!/bin/sh
# A minimal Debian with Python as a tar of its root: debian.sh <tar>. MIRROR says where packages come from.
# It runs in a mount namespace of its own, so whatever it mounts ends with it.
set -eu
root=$(mktemp -d "$1.XXXXXX")
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM
debootstrap --variant=minbase --include=ca-certificates,python3 bookworm "$root" "$MIRROR"

# What nothing in a container reads; and no mirror, which is this machine's and not the image's.
cd "$root"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* var/cache/debconf/*-old var/cache/ldconfig/* \
    usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian etc/apt/sources.list
: > etc/hostname
: > etc/resolv.conf
printf 'path-exclude /usr/share/%s/*\n' doc man info locale lintian > etc/dpkg/dpkg.cfg.d/slim
find . -xdev -name __pycache__ -prune -exec rm -rf {} +
chroot . python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.11 \
    || echo 'some of the standard library does not compile, as in its test data'
tar --numeric-owner --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* -cf "$1" .
