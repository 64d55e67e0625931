#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into an empty root, runs the installed program there, and takes everything away again.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make --no-print-directory install DESTDIR="$root" >/dev/null
"$root/usr/bin/fieldgate" version
"$root/usr/bin/fieldgate" check --config "$root/etc/fieldgate/fieldgate.yaml" --profiles "$root/usr/share/fieldgate/profiles"
grep -q '^ExecStart=/usr/bin/fieldgate run' "$root/usr/lib/systemd/system/fieldgate.service"
# Every file that the program and its man pages name is where they say.
for file in $(grep -oh '/usr/share/[a-z]*/fieldgate[A-Za-z./]*' docs/fieldgate.1 docs/fieldgate.yaml.5 gateway/*.c | sort -u); do
  [ -e "$root${file%.}" ] || { echo "named but not installed: $file" >&2; exit 1; }
done
echo '# edited by a technician' >>"$root/etc/fieldgate/fieldgate.yaml"
make --no-print-directory install DESTDIR="$root" >/dev/null
tail -n 1 "$root/etc/fieldgate/fieldgate.yaml" | grep -q 'edited by a technician'
make --no-print-directory uninstall DESTDIR="$root" >/dev/null
left=$(find "$root" -type f)
[ "$left" = "$root/etc/fieldgate/fieldgate.yaml" ] || { echo "uninstall left: $left" >&2; exit 1; }
echo "install and uninstall are clean"
