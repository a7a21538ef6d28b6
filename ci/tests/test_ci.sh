#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Somebody else's project from `attest init` to a green check and, with a mask off by one, to a red one:
# by make, by the steps of the GitHub workflow and action, by the GitLab job, by the script itself.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$PWD
program=$root/${ATT_BUILD:-build/release}/attest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# verdict NAME CONDITION...: a test whose name is a sentence; what was said is shown where it fails.
verdict() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name"
        tail -n 40 "$work/said"
    fi
}
# ends CODE COMMAND...: runs it; what it says goes to $work/said.
ends() {
    local want=$1 code
    shift
    "$@" >"$work/said" 2>&1
    code=$?
    [ "$code" -eq "$want" ] || echo "exit $code, not $want: $*" | tee -a "$work/said"
    [ "$code" -eq "$want" ]
}
said() {
    grep -q -e "$1" "$work/said"
}

export ATTEST_PREFIX=$work/prefix ATTEST_PROGRAM=$program ATTEST_PACKAGES=0
export PATH=$work/prefix/bin:$PATH PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
unset CI NO_COLOR GITHUB_STEP_SUMMARY GITHUB_OUTPUT GITHUB_BASE_REF MAKEFLAGS MAKELEVEL MFLAGS
verdict "attest is installed where the script is told to" ends 0 ci/attest-ci.sh build
verdict "an installed program finds its suites and its manual" \
    test "$(cd / && attest list suites | grep -c "$work/prefix")" = "$(find ci/suites -name "*.json" | wc -l)" \
    -a -s "$work/prefix/share/man/man1/attest.1" -a -s "$work/prefix/share/zsh/site-functions/_attest" \
    -a -s "$work/prefix/share/bash-completion/completions/attest"

# The project: a library with an interface of its own, under version control, with a remote.
mkdir "$work/mha" && cd "$work/mha" || exit 1
cp "$root"/ci/tests/third_party/mha.[ch] .
git init -q -b main . && git config user.name a && git config user.email a@example.org
mkdir -p .github && touch .github/CODEOWNERS
commit() {
    git add -A && git commit -q --allow-empty -m "$1"
}
commit "a library"
git clone -q --bare . "$work/remote.git" && git remote add origin "$work/remote.git"

verdict "init writes a stub, a policy, a makefile and a workflow" ends 0 attest init --source a/b
verdict "init says what is next" said 'attest baseline accept'
verdict "the workflow gets attest from where init was told" grep -q 'repository: a/b$' .github/workflows/attest.yml
verdict "no name of a template is left" \
    test -z "$(grep -rl 'my_attention\|template\|my\.so\|OWNER' attest .github)"
echo mine >attest/mha.c
verdict "init overwrites nothing" ends 2 attest init
verdict "init names what is there" said 'attest/mha.c is there already'
verdict "what was there is untouched" test "$(cat attest/mha.c)" = mine
verdict "init overwrites by force" ends 0 attest init --source a/b --force
verdict "init meets a misspelt CI with the nearest" ends 2 attest init --ci gihub
verdict "the stub as it is written is green" ends 0 make -s -f attest/attest.mk attest-check ATTEST_SUITE=smoke

# The stub calls the library in place of its own sum.
sed -e '/^static double score/,/^}/d' -e "/^static void one_row/,/^}/{/^}/r $root/ci/tests/third_party/one_row.inc
d}" -e 's/^#include <stdio.h>/&\n#include <stdlib.h>\n#include "mha.h"/' -e 's/ATT_F64, .prob = ATT_F64/ATT_F32, .prob = ATT_F32/' attest/mha.c >adapted.c
mv adapted.c attest/mha.c
sed -i 's/^ATTEST_LINK .*/ATTEST_LINK   ?= mha.c/' attest/attest.mk
verdict "the library is green" ends 0 make -s -f attest/attest.mk attest-check
verdict "what is green was asked something" said '^[0-9]* cases: [2-9][0-9] pass'
verdict "its run can be accepted as a baseline" ends 0 env -u CI attest baseline accept attest/runs/latest \
    --baseline attest/baseline.json --reason "the first"
commit "checked by attest"
git push -q origin main
ln -s "$root" .attest && echo .attest >>.git/info/exclude

export ATTEST_BUILD="make -s -f attest/attest.mk attest-plugin" ATTEST_PLUGIN=./attest/mha.so
export ATTEST_BASELINE=attest/baseline.json ATTEST_POLICY=attest/policy.json
verdict "the script is green" ends 0 .attest/ci/attest-ci.sh
verdict "the script gated" said 'pass'
verdict "a target branch that can't be fetched is not passed over" \
    ends 5 env ATTEST_TARGET=nowhere .attest/ci/attest-ci.sh run
verdict "a name that is not there keeps its code" \
    ends 2 env ATTEST_BUILD= ATTEST_PLUGIN=./nothing.so .attest/ci/attest-ci.sh run
verdict "nothing that matches keeps its code" ends 4 env 'ATTEST_EVAL=nothing*' .attest/ci/attest-ci.sh run

runner=
for python in python3 /usr/bin/python3; do
    $python -c 'import yaml' 2>/dev/null && runner=$python && break
done
steps() {
    env -u ATTEST_BUILD -u ATTEST_PLUGIN -u ATTEST_BASELINE -u ATTEST_POLICY CI=true "$@"
}
github() {
    : >"$work/summary" && : >"$work/output"
    steps GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY="$work/summary" GITHUB_OUTPUT="$work/output" \
        GITHUB_BASE_REF=main "$runner" "$root/ci/tests/run_steps.py" .github/workflows/attest.yml
}
if [ -z "$runner" ]; then
    echo "skipped: no python3-yaml: the steps of GitHub and GitLab"
    skipped=1
else
    verdict "the workflow's steps are green" ends 0 github
    verdict "the baseline is the target branch's" said 'attest/baseline.json of main'
    verdict "reports are uploaded" said 'step: Upload'
    verdict "the job's summary is the run's" grep -q '^# ' "$work/summary"
    verdict "the action hands the exit code on" grep -qx 'exit=0' "$work/output"
fi

# The mask one off, and the change's own baseline gone: the target's counts.
sed -i 's/row + 1 + s->keys/row + s->keys/' mha.c
git rm -q --cached attest/baseline.json && mv attest/baseline.json "$work/"
commit "faster"
verdict "the planted mistake is red by make" ends 2 make -s -f attest/attest.mk attest-check
verdict "a maintainer sees what it looks like and how to repeat it" said 'attest repro .parity plugin:./attest/mha.so'
verdict "the mistake is named" said 'looks like causal_strict: the query.s own key left out'
verdict "the script is red" ends 1 .attest/ci/attest-ci.sh
if [ -n "$runner" ]; then
    verdict "the workflow's steps are red" ends 1 github
    verdict "the gate has the target's baseline" said 'attest/baseline.json of main'
    verdict "reports are uploaded of a red run too" said 'step: Upload'
    verdict "one to ten annotations" test "$(grep -c '^::error ' "$work/said")" -ge 1 -a \
        "$(grep -c '^::error ' "$work/said")" -le 10
    verdict "an annotation holds the line that repeats it" said '^::error .*attest repro'
    verdict "the summary tells what failed" grep -q 'attest repro' "$work/summary"
    verdict "the action hands the red code on" grep -qx 'exit=1' "$work/output"
    touch .gitlab-ci.yml
    verdict "init knows GitLab" ends 0 attest init --force --source https://example.net/b.git --name mha2
    sed -i 's/mha2/mha/' attest/gitlab-ci.yml
    verdict "the GitLab job is red" ends 1 steps ATTEST_PACKAGES=0 CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main \
        "$runner" "$root/ci/tests/run_steps.py" attest/gitlab-ci.yml
    verdict "its JUnit report holds failures" grep -q '<failure' attest/runs/junit.xml
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
