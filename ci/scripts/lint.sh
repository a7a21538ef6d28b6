#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every check of the sources that runs nothing of attest; tools that are not installed are named.
set -u
cd "$(dirname "$0")/../.." || exit 1

bad=0
step() {
    echo "lint: $1"
    shift
    "$@" || bad=1
}
have() {
    command -v "$1" >/dev/null || { echo "lint: $1 is not installed: left out"; return 1; }
}
mapfile -t sources < <(find . -path './[.b]*' -prune -o -name '*.[ch]' -printf '%P\n' | sort)

step "who includes whom" ci/scripts/check_includes.sh
step "rows and descriptors" ci/scripts/check_rows.sh
step "text rules" ci/scripts/check_text.sh
have clang-format && step "format" clang-format --dry-run --Werror "${sources[@]}"
have cppcheck && step "cppcheck" cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
    --enable=warning,portability --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
    -j "$(nproc)" -I. -Ikernels -Iharness "${sources[@]}"
have shellcheck && step "shellcheck" shellcheck ci/*.sh ci/scripts/*.sh ci/tests/*.sh .ci/run
have actionlint && step "workflows" actionlint ci/github/example.yml
exit $bad
