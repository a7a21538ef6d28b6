#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_info.sh CC CFLAGS PREFIX OUT: the facts of this build as C macros; OUT changes only with them.
set -eu

sha=$(git rev-parse HEAD 2>/dev/null || echo unknown)
dirty=0
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || dirty=1
quote() {
    printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}
cat >"$4.new" <<END
#define ATT_BUILD_SHA "$(quote "$sha")"
#define ATT_BUILD_DIRTY $dirty
#define ATT_BUILD_COMPILER "$(quote "$($1 --version | head -n 1)")"
#define ATT_BUILD_FLAGS "$(quote "$2")"
#define ATT_BUILD_DATA "$(quote "$3")/share/attest"
END
if cmp -s "$4.new" "$4"; then
    rm "$4.new"
else
    mv "$4.new" "$4"
fi
