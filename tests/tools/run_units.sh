#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every unit test program of a folder, a few side by side because they wait most of their time; prints a line
# for each and the whole output of those that fail. A test that skips itself prints "skipped: why" before; that is told at
# the end, and to the file $FG_SKIPS as well: see skips.py.
set -u
folder=$1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT
export outputs
find "$folder" -name 'test_*' ! -name '*.d' | sort | xargs -P "${WORKERS:-4}" -I{} sh -c '
    name=$(basename "{}")
    if "{}" >"$outputs/$name" 2>&1; then
        n=$(grep -c "\[       OK \]" "$outputs/$name")
        printf "  ok    %-24s %s tests\n" "$name" "$n"
        echo "$n" >"$outputs/$name.passed"
    else
        touch "$outputs/$name.failed"
        printf "  FAIL  %s\n" "$name"
    fi'
for failure in "$outputs"/*.failed; do
    [ -e "$failure" ] && cat "${failure%.failed}"
done
for output in "$outputs"/test_*; do
    skipped=$(grep -c '^skipped: ' "$output")
    [ "$skipped" -gt 0 ] || continue
    echo "SKIPPED $skipped tests: $(sed -n 's/^skipped: //p' "$output" | sort -u | paste -sd ';'): $folder/$(basename "$output")" |
        tee -a "${FG_SKIPS:-/dev/null}"
done
passed=$(cat "$outputs"/*.passed 2>/dev/null | awk '{ n += $1 } END { print n + 0 }')
failed=$(find "$outputs" -name '*.failed' | wc -l)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
