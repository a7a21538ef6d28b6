#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gate_commits.sh BASE [HEAD] [SUITE]: gates two commits of this checkout.  Both are built in git
# worktrees of their own (below build/commits); BASE's run of the suite (default: smoke) is the
# baseline of HEAD's (default: HEAD).  Ends as `attest gate` does; 5 where a side can't be built.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(git rev-parse --verify "${1:?BASE, a commit, is expected}^{commit}")
head=$(git rev-parse --verify "${2:-HEAD}^{commit}")
suite=${3:-smoke}
at=$PWD/build/commits
build() {
    if [ ! -d "$at/$1" ]; then git worktree add --quiet --detach "$at/$1" "$1"; fi
    make -s -C "$at/$1" build/release/attest || exit 5
}
build "$base"
build "$head"
for side in "$base" "$head"; do
    code=0
    (cd "$at/$side" && build/release/attest run --suite "$suite" --quiet --out "$at/runs-$side") || code=$?
    [ "$code" -le 4 ] || exit "$code"
done
rm -f "$at/baseline.json"
env -u CI "$at/$head/build/release/attest" baseline accept "$at/runs-$base/latest" \
    --baseline "$at/baseline.json" --reason "commit $base"
exec "$at/$head/build/release/attest" gate "$at/runs-$head/latest" --baseline "$at/baseline.json"
