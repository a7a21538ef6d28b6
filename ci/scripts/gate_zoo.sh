#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gate_zoo.sh [SUITE] [GLOB]: does the gate block what is wrong?  Every deliberate bug of the zoo is
# planted in turn where a right kernel stood (flash_f32), and gated on the numeric cases of the suite
# (default: gate).  A bug counts as blocked where a case of its own fails (a contract, a crash, a
# timeout, a NaN), not where something is merely missing.  Prints what is not blocked, and blocked /
# planted; exit 1 below 99 %.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=${1:-gate}
glob=${2:-*}
attest=${ATTEST:-build/release/attest}
planted=0 blocked=0 named=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
while read -r bug; do
    # shellcheck disable=SC2254 # a pattern is meant
    case $bug in $glob) ;; *) continue ;; esac
    code=0
    "$attest" gate --base flash_f32 --head "zoo:$bug" --suite "$suite" --eval numeric --eval cost --quiet \
        >"$log" 2>/dev/null || code=$?
    planted=$((planted + 1))
    if [ "$code" -eq 1 ] && grep -Eq '^FAIL +(contract|crash|timeout|nonfinite) ' "$log"; then
        blocked=$((blocked + 1))
        if grep -q "looks like   $bug" "$log"; then named=$((named + 1)); fi
    else
        echo "not blocked (exit $code): $bug"
    fi
done < <(sed -n 's/^ATT_KERNEL(\(.*\))$/\1/p' kernels/zoo/zoo.def)
echo "$blocked of $planted planted bugs blocked, $named under their own name"
[ "$planted" -gt 0 ] && [ $((blocked * 100)) -ge $((planted * 99)) ]
