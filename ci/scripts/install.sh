#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh BINARY DESTDIR PREFIX: the program, its man page and completions, the public header, its
# pkg-config file, suites, policies, data.
set -eu

to=$2$3
abi=$(sed -n 's/^#define ATT_ABI_MAJOR \([0-9]*\)u/\1/p; s/^#define ATT_ABI_MINOR \([0-9]*\)u/\1/p' \
    kernels/attn.h | paste -sd.)
install -D -m 755 "$1" "$to/bin/attest"
install -D -m 644 "$1.1" "$to/share/man/man1/attest.1"
for shell in bash zsh; do
    "$1" manual $shell >"$1.$shell"
done
install -D -m 644 "$1.bash" "$to/share/bash-completion/completions/attest"
install -D -m 644 "$1.zsh" "$to/share/zsh/site-functions/_attest"
install -D -m 644 kernels/attn.h "$to/include/attest/attn.h"
install -D -m 644 LICENSE "$to/share/doc/attest/LICENSE"
for suite in ci/suites/*.json ci/policies/*.json; do
    install -D -m 644 "$suite" "$to/share/attest/$suite"
done
(cd datasets && find . -path ./models -prune -o -path ./tests -prune -o -type f ! -name '*.[ch]' -print) |
    while read -r file; do
        install -D -m 644 "datasets/$file" "$to/share/attest/datasets/$file"
    done
mkdir -p "$to/lib/pkgconfig"
cat >"$to/lib/pkgconfig/attest.pc" <<END
prefix=$3
includedir=\${prefix}/include/attest

Name: attest
Description: the attention kernel contract of attest, for plugins
Version: $abi
Cflags: -I\${includedir}
END
