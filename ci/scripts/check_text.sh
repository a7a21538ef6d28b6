#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks what can be seen line by line: ci/text_rules.tsv, the SPDX line, length of lines, files and
# functions.
set -u
cd "$(dirname "$0")/../.." || exit 1

mapfile -t sources < <(find . -path './[.b]*' -prune -o -name '*.[ch]' -printf '%P\n' | sort)
mapfile -t others < <(find .ci/run ci kernels evals reports harness -type f \
    \( -name '*.gp' -o -name '*.sh' -o -name '*.def' -o -name run -o -name '*.py' \) 2>/dev/null | sort)
[ ${#sources[@]} -gt 0 ] || { echo "check_text: no source found: the check itself is broken"; exit 1; }
bad=0
while IFS=$'\t' read -r pattern reason; do
    [[ $pattern == \#\ * || -z $reason ]] && continue
    if grep -nHE -- "$pattern" "${sources[@]}" "${others[@]}"; then
        echo "    ^ $reason"
        bad=1
    fi
done <ci/text_rules.tsv
if grep -nHP '\t' "${sources[@]}" "${others[@]}"; then
    echo "    ^ tab"
    bad=1
fi
for file in "${sources[@]}"; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || {
        echo "$file: the first line is not the SPDX line"
        bad=1
    }
done
awk '
    FNR == 1 { start = 0 }
    length($0) > 100 && FILENAME !~ /attn\.h$/ { print FILENAME ":" FNR ": " length($0) " columns, at most 100"; bad = 1 }
    FNR == (FILENAME ~ /attn\.h$/ ? 561 : 441) { print FILENAME ": over " FNR - 1 " lines"; bad = 1 }
    /^\{/ { start = FNR }
    /^\}/ && start {
        if (FNR - start > 70) { print FILENAME ":" start ": a function of " FNR - start - 1 " lines, at most about 60"; bad = 1 }
        start = 0
    }
    END { exit bad }' "${sources[@]}" || bad=1
exit $bad
