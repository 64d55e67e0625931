#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs fuzzers: run.sh BUILD SECONDS NAME.. Seeds come from the golden files; a finding is kept in BUILD and fails,
# when all have run. With FG_SEED they take the same way from the same corpus, as far as they come in their time; else a
# new one.
set -eu
build=$1 seconds=$2
shift 2
tree=$(cd "$(dirname "$0")/../.." && pwd)

# whole VARIABLE TEXT: libFuzzer takes what is no number for "for ever", or ends in the middle of its work.
whole() {
    case $2 in
    *[!0-9]* | 0* | "") echo "$1=$2: write a whole number, 1 or more" >&2; exit 64 ;;
    esac
}
whole FUZZ_SECONDS "$seconds"
[ -z "${FG_SEED:-}" ] || whole FG_SEED "$FG_SEED"
/usr/bin/python3 "$tree/tests/fuzz/seeds.py" "$tree" "$build/seeds"

# The same way needs the same addresses, and a corpus that is not read again by the clock.
same=
if [ -n "${FG_SEED:-}" ]; then
    if setarch -R true 2>/dev/null; then
        same="setarch -R"
    else
        echo "addresses cannot be fixed here (setarch -R): FG_SEED leads by these inputs only for a while" >&2
    fi
fi

# run NAME: the log is long and says little unless something was found.
run() {
    mkdir -p "$build/corpus/$1"
    $same "$build/fuzz/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
        -seed="${FG_SEED:-0}" -reload=0 -artifact_prefix="$build/$1-" -print_final_stats=1 \
        "$build/corpus/$1" "$build/seeds/$1" >"$build/$1.log" 2>&1
}

# tell NAME: what was found, also when the log is all that is left of this machine.
tell() {
    grep -aE "^(DEMAND|SUMMARY)|runtime error:|ERROR:|^Base64:" "$build/$1.log" | cut -c 1-2000 >&2 || :
    if kept=$(grep -ao "Test unit written to .*" "$build/$1.log"); then
        echo "$1 found something; it is shown again by: $build/fuzz/$1 ${kept#Test unit written to }" >&2
    else
        tail -n 5 "$build/$1.log" >&2
        echo "$1 could not run: $build/$1.log" >&2
    fi
}

found=
for name in "$@"; do
    echo "== $name, $seconds s"
    run "$name" || found="$found $name"
    grep -aE "stat::number_of_executed_units|stat::new_units_added" "$build/$name.log" || :
done
for name in $found; do
    tell "$name"
done
[ -z "$found" ]
