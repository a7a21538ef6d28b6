#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks every #include "..." against ci/include_rules.tsv.
set -eu
cd "$(dirname "$0")/../.." || exit 1

find . -path './[.b]*' -prune -o -path '*/tests' -prune -o -path ./kernels/plugin -prune -o \
    -name '*.[ch]' -printf '%P\n' | sort | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
    awk '
        function there(path,    line, found) {
            found = (getline line < path) >= 0
            close(path)
            return found
        }
        function resolve(from, name,    dir, tries, n, i, path) {
            dir = from
            sub(/[^\/]*$/, "", dir)
            n = split(dir " ./ kernels/ harness/", tries, " ")
            for (i = 1; i <= n; i++) {
                path = tries[i] name
                sub(/^\.\//, "", path)
                while (match(path, /[^\/]+\/\.\.\//))
                    path = substr(path, 1, RSTART - 1) substr(path, RSTART + RLENGTH)
                if (there(path))
                    return path
            }
            return name
        }
        FILENAME == "ci/include_rules.tsv" {
            if ($0 !~ /^#/ && split($0, field, "\t") == 2)
                rule[field[1]] = field[2]
            next
        }
        {
            split($0, part, ":")
            split($0, quoted, "\"")
            target = resolve(part[1], quoted[2])
            best = ""
            for (prefix in rule)
                if (index(part[1], prefix) == 1 && length(prefix) > length(best))
                    best = prefix
            good = 0
            n = split(rule[best], allowed, " ")
            for (i = 1; i <= n; i++)
                good = good || index(target, allowed[i]) == 1
            seen++
            if (!good) {
                printf "%s:%s: may not include %s (%s may include: %s)\n", part[1], part[2], target,
                    best == "" ? "no rule" : best, rule[best]
                bad++
            }
        }
        END {
            if (!seen)
                print "check_includes: no include found: the check itself is broken"
            exit bad > 0 || !seen
        }' ci/include_rules.tsv -
