#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The checkers checked: the test runner counts what went wrong, the source checks bite.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0

# verdict NAME CONDITION...: a test whose name is a sentence.
verdict() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name"
    fi
}
program() {
    printf '#!/bin/sh\n%s\n' "$2" >"$root/$1"
    chmod +x "$root/$1"
}
# runner LIMIT PROGRAM...: the runner's last line and exit code in $last and $code.
runner() {
    local limit=$1
    shift
    ATT_TEST_SECONDS=$limit ci/scripts/run_tests.sh "$root/build" "${@/#/$root/}" >"$root/said"
    code=$?
    last=$(tail -n 1 "$root/said")
}

program good 'echo "3 passed, 0 failed, 1 skipped"'
program bad 'echo "2 passed, 1 failed, 0 skipped"; exit 1'
program lies 'echo "5 passed, 0 failed, 0 skipped"; exit 1'
program crash 'echo "9 passed, 0 failed, 0 skipped"; kill -SEGV $$'
program hang 'exec sleep 60'
program quiet 'exit 0'
program skip 'exit 77'

runner 5 good quiet skip
verdict "the runner adds up counts, silent programs and skips" \
    test "$last $code" = "4 passed, 0 failed, 2 skipped 0"
runner 5 good bad
verdict "a failed test fails the run" test "$last $code" = "5 passed, 1 failed, 1 skipped 1"
runner 5 lies
verdict "an exit code beats the printed counts" test "$last $code" = "5 passed, 1 failed, 0 skipped 1"
runner 5 crash
verdict "a crash after the last line is a failure" test "$last $code" = "9 passed, 1 failed, 0 skipped 1"
runner 1 hang
verdict "a hang is stopped and is a failure" test "$last $code" = "0 passed, 1 failed, 0 skipped 1"
runner 5 skip
verdict "a run in which nothing passed fails" test "$last $code" = "0 passed, 0 failed, 1 skipped 1"

# A small house of its own for the source checks.
house=$root/house
mkdir -p "$house/harness/base" "$house/kernels/exact" "$house/kernels/common" "$house/.ci"
cp -r ci "$house/ci"
cp kernels/attn.h "$house/kernels/attn.h"
touch "$house/.ci/run"
spdx='/* SPDX-License-Identifier: Apache-2.0 */'
printf '%s\n#include "attn.h"\n' "$spdx" >"$house/harness/base/a.h"
printf '%s\n#include "attn.h"\nconst att_kernel att_kernel_one = {0};\n' "$spdx" >"$house/kernels/exact/one.c"
echo 'ATT_KERNEL(one)' >"$house/kernels/kernels.def"
quietly() {
    "$@" >"$root/said" 2>&1
}
refuses() {
    ! quietly "$@"
}

verdict "a right house passes the include rules" quietly "$house/ci/scripts/check_includes.sh"
verdict "a right house passes the row check" quietly "$house/ci/scripts/check_rows.sh"
verdict "a right house passes the text rules" quietly "$house/ci/scripts/check_text.sh"

printf '%s\n#include "base/a.h"\n' "$spdx" >"$house/kernels/exact/two.c"
verdict "a kernel that includes the harness is refused" refuses "$house/ci/scripts/check_includes.sh"
printf '%s\n#include "../../harness/base/a.h"\n' "$spdx" >"$house/kernels/exact/two.c"
verdict "a relative path does not get around the rules" refuses "$house/ci/scripts/check_includes.sh"
rm "$house/kernels/exact/two.c"

echo 'ATT_KERNEL(ghost)' >>"$house/kernels/kernels.def"
verdict "a row without a descriptor is refused" refuses "$house/ci/scripts/check_rows.sh"
echo 'ATT_KERNEL(other)' >"$house/kernels/kernels.def"
verdict "a descriptor without a row is refused" refuses "$house/ci/scripts/check_rows.sh"

broken() {
    printf '%s\n%s\n' "$spdx" "$1" >"$house/harness/base/b.c"
    refuses "$house/ci/scripts/check_text.sh"
}
verdict "unfinished work is refused" broken '/* TO''DO: later */'
verdict "dead code is refused" broken '#if ''0'
verdict "trailing space is refused" broken 'int x; '
verdict "a tab is refused" broken $'int\tx;'
verdict "a line of more than 100 columns is refused" broken "$(printf '/*%0120d*/' 0)"
printf 'int x;\n' >"$house/harness/base/b.c"
verdict "a file without its licence line is refused" refuses "$house/ci/scripts/check_text.sh"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
