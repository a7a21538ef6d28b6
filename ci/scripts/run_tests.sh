#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run_tests.sh BUILD_DIR PROGRAM...: runs each program as a child, with a time limit, and adds up.
#
# A program ends with a line `N passed, N failed, N skipped`; one that prints none counts as a single
# test (exit 0 passed, 77 skipped).  One that crashes, hangs, or exits non-zero with no failure
# counted is a failure.  ATT_TEST_SECONDS: the limit a program; ATT_TEST_JOBS: how many at a time.
# Exit: 0 only when something passed and nothing failed.
set -u

build=$1
shift
limit=${ATT_TEST_SECONDS:-180}
jobs=${ATT_TEST_JOBS:-$(nproc)}
logs=$build/test-logs
rm -rf "$logs" && mkdir -p "$logs" || exit 1

# Runs program $3 within $2 seconds; leaves $4.log and $4.rc (exit code, seconds) in directory $1.
one() {
    local log=$1/$4 begin=$EPOCHREALTIME
    timeout -k 5 "$2" "$3" >"$log.log" 2>&1 </dev/null
    local rc=$?
    echo "$rc $(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f", b - a}')" >"$log.rc"
}
export -f one
i=0
# shellcheck disable=SC2016 # expanded by the inner shell
for program in "$@"; do
    printf '%s\0%s\0' "$program" "$i"
    i=$((i + 1))
done | LC_ALL=C xargs -0 -n 2 -P "$jobs" bash -c 'one "$0" "$1" "$2" "$3"' "$logs" "$limit" 2>/dev/null

passed=0 failed=0 skipped=0 i=0
for program in "$@"; do
    log=$logs/$i
    i=$((i + 1))
    rc=1 seconds=0
    [ -f "$log.rc" ] && read -r rc seconds <"$log.rc"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log.log" | tail -n 1)
    if [ -n "$line" ]; then
        read -r p _ f _ s _ <<<"$line"
    else
        p=0 f=0 s=0
        case $rc in 0) p=1 ;; 77) s=1 ;; *) f=1 ;; esac
    fi
    note=
    if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
        note="  (stopped after $limit s)"
    elif [ "$rc" -gt 128 ]; then
        note="  (signal $((rc - 128)))"
    fi
    [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ] && [ "$f" -eq 0 ] && f=1
    printf '%-52s %4d passed %3d failed %3d skipped %7ss%s\n' "${program#"$build/"}" "$p" "$f" "$s" \
        "$seconds" "$note"
    [ "$f" -eq 0 ] || sed 's/^/    /' "$log.log" | tail -n 60
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
