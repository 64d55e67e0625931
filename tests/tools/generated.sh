#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the documents generated from the configuration tables, or checks that they are as the tables say.
set -eu
tool=$1 what=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$tool" reference >"$folder/CONFIG.md"
"$tool" schema >"$folder/fieldgate.json"
for pair in CONFIG.md:docs/CONFIG.md fieldgate.json:config/schema/fieldgate.json; do
    new=$folder/${pair%%:*} old=${pair#*:}
    if [ "$what" = write ]; then
        mkdir -p "$(dirname "$old")"
        cp "$new" "$old"
    elif ! diff -u "$old" "$new"; then
        echo "$old is not what the tables say; run \`make docs\`" >&2
        exit 1
    fi
done
