#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts promtool, Prometheus' own checker, to the path $1. It is taken out of Debian's package, which is not installed:
# that would start a server and bring its web pages.
set -eu

target=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if command -v promtool >/dev/null; then
    mkdir -p "$(dirname "$target")"
    ln -sf "$(command -v promtool)" "$target"
    exit 0
fi
command -v apt-get >/dev/null || { echo "get_promtool.sh: no apt-get here; put promtool into PATH" >&2; exit 1; }
chmod 755 "$folder" # for apt's own user
cd "$folder"
echo "== fetching promtool"
apt-get download -qq prometheus >/dev/null 2>&1 || {
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    apt-get download -qq prometheus >/dev/null
}
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool
cd - >/dev/null
mkdir -p "$(dirname "$target")"
mv "$folder/usr/bin/promtool" "$target"
