#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill_resume.sh [RUN ARGUMENTS]: a run killed with SIGKILL at random moments and resumed each time
# ends as the run that nobody killed.  Without arguments: --suite smoke.
#
# It shows that result.json is the same but for times, that each row found in the journal after a kill
# is there to the last digit at the end (its time of measurement too, so the case did not run again),
# that no worker outlives its coordinator, and that a kill leaves some rows and not all of them.
# (A suite whose budget runs out ends with other cases left out each time: not one for this script.)
# KILLS (10), ATTEST (build/release/attest), SEED of the moments (the time of day).
# Exit: 0 all of this holds, 1 it does not.
set -eu

attest=${ATTEST:-build/release/attest}
kills=${KILLS:-10}
RANDOM=${SEED:=$(($(date +%s) % 32768))}
[ $# -gt 0 ] || set -- --suite smoke
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "kill_resume: $1 (SEED=$SEED)" >&2
    exit 1
}
run() {
    "$attest" run "$@" --quiet --json
}
# The journal as sorted text, line and record.
rows() {
    sqlite3 -readonly "$1/run.db" 'SELECT line, record FROM cases ORDER BY line' 2>/dev/null || true
}

code=0
run "$@" --out "$dir/whole" >"$dir/whole.json" || code=$?
whole=$(readlink -f "$dir/whole/latest")
cases=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["cases"])' "$dir/whole.json")
seconds=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["seconds"])' "$dir/whole.json")
echo "undisturbed: $cases cases, $seconds s, exit $code"

started=
for i in $(seq "$kills"); do
    # The mean of all moments adds up to the run and half a second a start.
    pause=$(awk -v s="$seconds" -v k="$kills" -v r="$RANDOM" 'BEGIN {printf "%.3f", 0.02 + (1 + 2 * s / k) * r / 32768}')
    if [ -z "$started" ]; then
        "$attest" run "$@" --quiet --out "$dir/killed" >/dev/null 2>&1 &
    else
        "$attest" run "$@" --quiet --resume "$run" >/dev/null 2>&1 &
    fi
    pid=$!
    sleep "$pause"
    workers=$(pgrep -P "$pid" || true)
    kill -9 "$pid" 2>/dev/null || echo "kill $i: the run had ended"
    wait "$pid" 2>/dev/null || true
    if [ -e "$dir/killed/latest" ]; then
        run=$(readlink -f "$dir/killed/latest")
        # Killed before its journal was made, a run has nothing to go on with.
        [ ! -e "$run/run.db" ] || started=1
    fi
    for _ in $(seq 50); do
        alive=
        for w in $workers; do
            [ ! -d "/proc/$w" ] || alive="$alive $w"
        done
        [ -n "$alive" ] || break
        sleep 0.1
    done
    [ -z "$alive" ] || fail "workers$alive live on 5 s after kill $i"
    [ -z "$started" ] || rows "$run" >"$dir/rows.$i"
    echo "kill $i after $pause s: $(wc -l 2>/dev/null <"$dir/rows.$i" || echo 0) of $cases rows in the journal"
done
[ -n "$started" ] || fail "no kill left a journal"
grep -qc . "$dir"/rows.* || fail "no kill found a row in the journal"

again=0
run "$@" --resume "$run" >"$dir/again.json" || again=$?
cat "$dir/again.json"
[ "$again" = "$code" ] || fail "exit $again after resuming, $code undisturbed"
rows "$run" >"$dir/rows.end"
[ "$(wc -l <"$dir/rows.end")" = "$cases" ] || fail "$(wc -l <"$dir/rows.end") rows at the end, $cases cases"
for before in "$dir"/rows.[0-9]*; do
    lost=$(comm -23 <(LC_ALL=C sort "$before") <(LC_ALL=C sort "$dir/rows.end") | wc -l)
    [ "$lost" = 0 ] || fail "$lost rows of ${before##*.} are not the same at the end: lost, or run twice"
done

python3 - "$whole/result.json" "$run/result.json" <<'PY' || fail "result.json differs"
import json
import sys

TIMES = {"time", "kernel_time", "oracle_time", "peak", "seconds", "run_id"}


def still(node):
    """Without what a clock or the allocator says."""
    if isinstance(node, dict):
        return {k: still(v) for k, v in node.items() if k not in TIMES}
    return [still(v) for v in node] if isinstance(node, list) else node


a, b = (still(json.load(open(p, encoding="utf-8"))) for p in sys.argv[1:])
for key in sorted(a.keys() | b.keys()):
    if key != "cases" and a.get(key) != b.get(key):
        sys.exit(f"{key}: {a.get(key)} undisturbed, {b.get(key)} resumed")
if len(a["cases"]) != len(b["cases"]):
    sys.exit(f"{len(a['cases'])} cases undisturbed, {len(b['cases'])} resumed")
differ = [x["id"] for x, y in zip(a["cases"], b["cases"]) if x != y]
for name in differ[:5]:
    print("differs:", name)
sys.exit(bool(differ))
PY
echo "same result.json but for times; no journaled case ran twice; no worker was left (SEED=$SEED)"
