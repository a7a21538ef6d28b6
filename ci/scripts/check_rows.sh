#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks ci/rows.tsv: the rows of each .def table against the const descriptors of its folders.
set -u
cd "$(dirname "$0")/../.." || exit 1

bad=0 tables=0
while IFS=$'\t' read -r table macro type folders; do
    [[ -z $table || $table == \#* || ! -e $table ]] && continue
    tables=$((tables + 1))
    rows=$(sed -n "s/^$macro(\([A-Za-z0-9_]*\).*/\1/p" "$table")
    # "stem descriptor" of every definition
    found=$(for folder in $folders; do
        [ -d "$folder" ] || continue
        grep -HoE "^const $type ${type}_[A-Za-z0-9_]+ = " "$folder"/*.c 2>/dev/null
    done | sed -E "s|^.*/(cmd_)?([^/]*)\.c:const $type ${type}_([A-Za-z0-9_]*) = |\2 \3|")
    repeated=$(sort <<<"$rows" | uniq -d)
    [ -z "$repeated" ] || { echo "$table: repeated row: $repeated"; bad=1; }
    while read -r row; do
        [ -z "$row" ] || grep -qx "$row $row" <<<"$found" || {
            echo "$table: row $row has no descriptor ${type}_$row in a file $row.c (looked in $folders)"
            bad=1
        }
    done <<<"$rows"
    while read -r stem name; do
        [ -z "$stem" ] || grep -qx "$name" <<<"$rows" || {
            echo "$table: descriptor ${type}_$name (in $stem.c) has no row $macro($name)"
            bad=1
        }
    done <<<"$found"
done <ci/rows.tsv
[ "$tables" -gt 0 ] || { echo "check_rows: no table found: the check itself is broken"; bad=1; }
exit $bad
