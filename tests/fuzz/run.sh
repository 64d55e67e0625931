#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs fuzzers: run.sh BUILD SECONDS NAME.. Seeds come from the golden files; a finding is kept in BUILD and fails.
set -eu
build=$1 seconds=$2
shift 2
tree=$(cd "$(dirname "$0")/../.." && pwd)
/usr/bin/python3 "$tree/tests/fuzz/seeds.py" "$tree" "$build/seeds"
for name in "$@"; do
    echo "== $name, $seconds s"
    mkdir -p "$build/corpus/$name"
    # The log is long and says little unless something was found.
    if ! "$build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
        -artifact_prefix="$build/$name-" -print_final_stats=1 \
        "$build/corpus/$name" "$build/seeds/$name" >"$build/$name.log" 2>&1; then
        tail -n 60 "$build/$name.log" >&2
        echo "$name found something; run $build/fuzz/$name with the file that it names above" >&2
        exit 1
    fi
    grep -E "stat::number_of_executed_units|stat::new_units_added" "$build/$name.log"
done
