#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package: build_package.sh VERSION FOLDER. It is made from a copy of the sources inside FOLDER, with a
# debian/changelog written from CHANGELOG.md, so that the tree stays clean and the version has one place, the Makefile.
# The same sources and SOURCE_DATE_EPOCH (default: the time of the last commit) give the same package, byte by byte.
set -eu
version=$1
cd "$(dirname "$0")/.."
mkdir -p "$2"
folder=$(cd "$2" && pwd)
work=$folder/package
source=$work/fieldgate-$version

changed=$(sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
[ "$changed" = "$version" ] || { echo "CHANGELOG.md begins with $changed, the Makefile says $version" >&2; exit 1; }

epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)}
rm -rf "$work"
mkdir -p "$source"
if [ -e .git ]; then
    git ls-files -z --cached --others --exclude-standard
else
    find . -path ./build -prune -o -type f -print0
fi | tar -c --null --no-recursion --files-from=- --ignore-failed-read 2>/dev/null | tar -x -C "$source"

# The entry of this version: its list, wrapped as Debian's tools expect.
{
    printf 'fieldgate (%s) unstable; urgency=medium\n\n' "$version"
    awk -v version="$version" '
        /^## / { on = index($0, "## " version) == 1; next }
        !on { next }
        /^- / { if (item != "") print item; item = "* " substr($0, 3); next }
        /^  / && item != "" { sub(/^ +/, ""); item = item " " $0; next }
        item != "" { print item; item = "" }
        END { if (item != "") print item }' CHANGELOG.md | tr -d '`' | while read -r line; do
        printf '%s\n' "$line" | fold -s -w 74 | sed -e '1s/^/  /' -e '2,$s/^/    /' -e 's/ *$//'
    done
    printf '\n -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' debian/control)" "$(LC_ALL=C date -u -R -d "@$epoch")"
} >"$source/debian/changelog"

cd "$source"
# Neither the maker's settings nor his tests: `make test` has run those.
env -u CFLAGS -u CPPFLAGS -u LDFLAGS -u MAKEFLAGS -u FLAVOR -u PREFIX -u DESTDIR -u SYSCONFDIR \
    DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" SOURCE_DATE_EPOCH="$epoch" LC_ALL=C.UTF-8 TZ=UTC0 \
    dpkg-buildpackage --build=binary --build-profiles=nocheck --unsigned-source --unsigned-changes \
    >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; exit 1; }
cd "$work"
lintian --allow-root --fail-on error,warning ./*.changes
rm -f "$folder"/fieldgate_*.deb
cp "$work"/fieldgate_"$version"_*.deb "$folder/"
echo "$folder"/fieldgate_"$version"_*.deb
