#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every unit test program of a folder; prints a line for each and the whole output of those that fail.
set -u
folder=$1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
passed=0 failed=0
for test in "$folder"/test_*; do
    case $test in *.d) continue ;; esac
    if "$test" >"$output" 2>&1; then
        n=$(grep -c '\[       OK \]' "$output")
        passed=$((passed + n))
        printf '  ok    %-24s %s tests\n' "$(basename "$test")" "$n"
    else
        failed=$((failed + 1))
        printf '  FAIL  %s\n' "$(basename "$test")"
        cat "$output"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
