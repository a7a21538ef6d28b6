#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# attest-ci.sh [install|build|run]: checks a project's attention kernel with attest, from the project's
# root; without an argument all three.  The GitHub action and the GitLab template call it as well.
#
#   ATTEST_PLUGIN    the kernel: FILE.so[#NAME], several by spaces; required
#   ATTEST_BUILD     the command that builds it; pkg-config knows attest by then
#   ATTEST_SUITE     a suite's name or file; default: smoke
#   ATTEST_EVAL      only these measures (globs or tracks, by spaces)
#   ATTEST_BASELINE  a baseline of the project: where there is one, the run has to pass `attest gate`
#   ATTEST_TARGET    the branch whose baseline counts, not the change's own (in a pull request)
#   ATTEST_POLICY    the gate's policy
#   ATTEST_OUT       where runs and reports go; default: attest/runs
#   ATTEST_PACKAGES  1: install the Debian packages that attest needs
#   ATTEST_PROGRAM   an attest that is built already
#
# Exits with attest's own code, of run and gate the graver one.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${ATTEST_OUT:-attest/runs}
target=${ATTEST_TARGET:-${CI_MERGE_REQUEST_TARGET_BRANCH_NAME:-}}
prefix=${ATTEST_PREFIX:-$root/build/ci}
export PATH=$prefix/bin:$PATH PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
read -ra plugins <<<"${ATTEST_PLUGIN:-}"
read -ra evals <<<"${ATTEST_EVAL:-}"

say() {
    echo "attest-ci: $*"
}

install_packages() {
    [ "${ATTEST_PACKAGES:-0}" != 1 ] || make --no-print-directory -C "$root" packages
}

build() {
    local program=${ATTEST_PROGRAM:-}
    if [ -z "$program" ]; then
        make --no-print-directory -C "$root" -s -j"$(nproc)" all
        program=$root/build/release/attest
    fi
    (cd "$root" && ci/scripts/install.sh "$program" '' "$prefix")
    [ -z "${ATTEST_BUILD:-}" ] || bash -euo pipefail -c "$ATTEST_BUILD"
}

# worse CODE CODE: by 6 > 5 > 4 > 1 > 3 > 0; anything else stopped the verb and wins.
worse() {
    local code
    for code in 2 6 5 4 1 3; do
        if [ "$1" -eq "$code" ] || [ "$2" -eq "$code" ]; then
            echo "$code"
            return
        fi
    done
    echo $(($1 > $2 ? $1 : $2))
}

# The baseline that counts into FILE; false: there is none yet.
baseline_into() {
    [ -n "${ATTEST_BASELINE:-}" ] || return 1
    if [ -n "$target" ]; then
        git fetch --quiet --depth 1 origin "$target" || {
            say "the branch $target can't be fetched: no baseline to hold the run against" >&2
            exit 5
        }
        if git show "FETCH_HEAD:$ATTEST_BASELINE" >"$1" 2>/dev/null; then
            say "baseline: $ATTEST_BASELINE of $target"
            return
        fi
    fi
    if [ ! -f "$ATTEST_BASELINE" ]; then
        say "no $ATTEST_BASELINE yet: the run is judged by contracts alone"
        return 1
    fi
    cp "$ATTEST_BASELINE" "$1"
}

# At most ten failing cases as annotations of a pull request.
annotate() {
    awk '
        function flush() {
            if (title != "" && told++ < 10)
                print "::error title=attest: " title "::" text
            title = text = ""
        }
        function plain(s) {
            gsub(/%/, "%25", s)
            return s
        }
        /^(fail|crash|timeout|error) +[a-z]/ { flush(); title = plain($1 " " $2 " " $3); text = plain($0); next }
        /^FAIL +/ { flush(); title = plain($1 " " $2 " " $3); text = plain($0); next }
        title != "" && /^ / { sub(/^ +/, ""); text = text "%0A" plain($0); next }
        { flush() }
        END { flush() }' "$@"
}

tell() {
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
        [ ! -f "$out/summary.md" ] || head -c 900000 "$out/summary.md" >>"$GITHUB_STEP_SUMMARY"
        if [ -s "$out/gate.txt" ]; then
            # shellcheck disable=SC2016 # a fence, not a command
            printf '\n## Gate\n\n```\n%s\n```\n' "$(head -c 50000 "$out/gate.txt")" >>"$GITHUB_STEP_SUMMARY"
        fi
        annotate "$out/run.txt" "$out/gate.txt"
    fi
    if [ -n "${GITHUB_OUTPUT:-}" ]; then
        printf 'exit=%s\nrun=%s\n' "$1" "$out" >>"$GITHUB_OUTPUT"
    fi
}

run() {
    local code=0 judged=0 file
    local -a flags=(--suite "${ATTEST_SUITE:-smoke}" --out "$out")
    if [ ${#plugins[@]} -eq 0 ]; then
        say "ATTEST_PLUGIN is not set: which kernel?" >&2
        return 2
    fi
    for file in "${plugins[@]}"; do
        flags+=(--plugin "$file")
    done
    for file in "${evals[@]}"; do
        flags+=(--eval "$file")
    done
    mkdir -p "$out"
    rm -f "$out"/{junit.xml,summary.md,result.json,run.txt,gate.txt,baseline.json}
    touch "$out/gate.txt"
    attest run "${flags[@]}" 2>&1 | tee "$out/run.txt" || code=${PIPESTATUS[0]}
    for file in junit.xml summary.md result.json; do
        [ ! -f "$out/latest/$file" ] || cp "$out/latest/$file" "$out/$file"
    done
    if [ -f "$out/result.json" ] && baseline_into "$out/baseline.json"; then
        attest gate "$out/latest" --baseline "$out/baseline.json" \
            ${ATTEST_POLICY:+--policy "$ATTEST_POLICY"} 2>&1 | tee "$out/gate.txt" || judged=${PIPESTATUS[0]}
        code=$(worse "$code" "$judged")
    fi
    tell "$code"
    say "exit $code; reports in $out"
    return "$code"
}

case ${1:-all} in
install) install_packages ;;
build) build ;;
run) run ;;
all)
    install_packages
    build
    run
    ;;
*)
    say "$1: one of install, build, run is expected" >&2
    exit 2
    ;;
esac
