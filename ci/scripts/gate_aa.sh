#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gate_aa.sh [N]: does the gate block what is right?  N times (default 50) the suite mini with fresh
# seeds, a right kernel against another one that is right in a different way: every gate that blocks
# is a false alarm.  Prints blocked / N and the upper end of the Wilson interval (95 %); exit 1 where
# any blocked.
set -euo pipefail
cd "$(dirname "$0")/../.."
n=${1:-50}
attest=${ATTEST:-build/release/attest}
kernels=(tiles_of_17 reversed_keys split_seven exp2_log2e key_by_key pairwise_sum fma_everywhere scale_first)
first=${AA_SEED:-$((($(date +%s) % 1000000) * 1000))}
blocked=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for ((i = 0; i < n; i++)); do
    base=${kernels[i % ${#kernels[@]}]}
    head=${kernels[(i + 1 + i / ${#kernels[@]} % (${#kernels[@]} - 1)) % ${#kernels[@]}]}
    code=0
    "$attest" gate --base "different:$base" --head "different:$head" --suite mini --quiet \
        --seed $((first + i)) >"$log" 2>&1 || code=$?
    if [ "$code" -ne 0 ]; then
        blocked=$((blocked + 1))
        echo "blocked (exit $code): $base -> $head, seed $((first + i))"
        cat "$log"
        [ "$code" -eq 1 ] || exit "$code"
    fi
done
awk -v k="$blocked" -v n="$n" 'BEGIN {
    z = 1.959964; p = k / n
    hi = (p + z * z / (2 * n) + z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    printf "%d of %d right changes blocked, at most %.3f (95 %% Wilson)\n", k, n, hi
}'
[ "$blocked" -eq 0 ]
