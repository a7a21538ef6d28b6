#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh BUILD_DIR: lines executed by the tests, a file and a room, from gcov.
set -eu

find "$1" -name '*.gcda' ! -path '*/tests/*' | sort | xargs gcov -n 2>/dev/null |
    awk '
        /^File / {
            split($0, quoted, "\047")
            file = quoted[2]
        }
        /^Lines executed/ && file ~ /^(kernels|evals|datasets|reports|harness)\/.*\.c$/ && file !~ /\/tests\// {
            split($0, part, /[:%]/)
            share = part[2] / 100
            # A kernel is compiled once an ISA level: the level that ran counts.
            if (!(file in best) || share > best[file])
                best[file] = share
            total[file] = $NF
            file = ""
        }
        END {
            for (f in best) {
                room = f
                sub(/\/[^\/]*$/, "", room)
                hit[room] += best[f] * total[f]
                all[room] += total[f]
                sum += best[f] * total[f]
                count += total[f]
            }
            for (room in all)
                printf "%-24s %6.1f %% of %d lines\n", room, 100 * hit[room] / all[room], all[room] | "sort"
            close("sort")
            if (!count) { print "coverage: nothing was run"; exit 1 }
            printf "%-24s %6.1f %% of %d lines\n", "all", 100 * sum / count, count
        }'
