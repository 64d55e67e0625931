#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing for the named purposes: build, demo, test, fuzz, package, system, node,
# plots, interop, peers (the servers of the last two are installed and not started).
set -eu

packages=
not_started=
for purpose in "$@"; do
    case $purpose in
    build) packages="$packages gcc libc6-dev make libmodbus-dev libpaho-mqtt-dev libsqlite3-dev libyaml-dev
            libcjson-dev zlib1g-dev libssl-dev libsystemd-dev gettext" ;;
    demo) packages="$packages mosquitto python3 python3-paho-mqtt python3-yaml" ;;
    test) packages="$packages mosquitto mosquitto-clients python3 python3-paho-mqtt python3-pytest python3-pytest-xdist
            python3-pymodbus python3-serial python3-jsonschema python3-yaml python3-polib libcmocka-dev clang-format
            cppcheck mandoc openssl sqlite3 systemd bash-completion" ;;
    package) packages="$packages build-essential debhelper dpkg-dev lintian" ;;
    system) packages="$packages python3 python3-pytest qemu-system-x86 mmdebstrap genext2fs e2fsprogs" ;;
    plots) packages="$packages gnuplot-nox python3" ;;
    interop) packages="$packages rabbitmq-server postgresql" not_started=yes ;;
    # What the modbus and mqtt plugins of collectd-core need is only suggested by it.
    peers) packages="$packages collectd-core libmodbus5 libmosquitto1" not_started=yes ;;
    # Other packages of Node.js than Debian's bring npm in the same package, and refuse Debian's beside them.
    node) { command -v node && command -v npm; } >/dev/null || packages="$packages nodejs npm" ;;
    fuzz) packages="$packages clang-14 libclang-rt-14-dev" ;;
    *) echo "install_packages.sh: unknown purpose $purpose" >&2; exit 64 ;;
    esac
done

command -v dpkg-query >/dev/null || { echo "This is not a Debian system; install by hand:" $packages >&2; exit 1; }

missing=
for p in $packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

echo "== installing:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run this as root, or install sudo. Missing:$missing" >&2; exit 1; }
    as_root=sudo
fi
$as_root apt-get update -qq
# Debian asks this script before a package's service is started; the tests run servers of their own.
policy=/usr/sbin/policy-rc.d
if [ -n "$not_started" ] && [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
# --no-install-recommends: mosquitto and systemd would bring services nobody here needs.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "== packages are there"
