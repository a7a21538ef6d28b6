#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check_run.py RUNDIR: what a run directory holds, looked at from outside.

result.json against reports/result.schema.json, junit.xml well-formed with counts that add up,
summary.md under 900 KiB, every picture well-formed with its data and script beside it.
Exit: 0 all right, 1 something is not, 77 the Python module jsonschema is missing (the rest held)."""
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]


def strict(path):
    """JSON without duplicate keys, NaN or Infinity."""

    def pairs(items):
        keys = [k for k, _ in items]
        if len(keys) != len(set(keys)):
            raise ValueError(f"duplicate key in {path}")
        return dict(items)

    def refuse(word):
        raise ValueError(f"{word} in {path}")

    with open(path, encoding="utf-8") as f:
        return json.load(f, object_pairs_hook=pairs, parse_constant=refuse)


def check_result(path, faults):
    """False where jsonschema is missing."""
    result, schema = strict(path), strict(ROOT / "reports" / "result.schema.json")
    ids = [(c["id"], c["seed"]) for c in result["cases"]]
    if len(ids) != len(set(ids)):
        faults.append(f"{path}: a case occurs twice")
    try:
        import jsonschema
    except ImportError:
        return False
    jsonschema.Draft202012Validator.check_schema(schema)
    for e in jsonschema.Draft202012Validator(schema).iter_errors(result):
        where = "/".join(map(str, e.absolute_path))
        faults.append(f"{path}: {where}: {e.message[:200]}")
    return True


def check_junit(path, faults):
    root = xml.parse(path).getroot()
    if root.tag != "testsuites":
        faults.append(f"{path}: root is {root.tag}")
    for node in [root, *root.iter("testsuite")]:
        seen = {
            "tests": len(list(node.iter("testcase"))),
            "failures": len(list(node.iter("failure"))),
            "errors": len(list(node.iter("error"))),
            "skipped": len(list(node.iter("skipped"))),
        }
        for key, n in seen.items():
            if int(node.get(key)) != n:
                faults.append(f"{path}: {node.get('name')}: {key}={node.get(key)}, counted {n}")


def main():
    run, faults, whole = pathlib.Path(sys.argv[1]), [], True
    if (run / "result.json").exists():
        whole = check_result(run / "result.json", faults)
    elif "--any" not in sys.argv:
        faults.append(f"{run}/result.json: missing")
    if (run / "junit.xml").exists():
        check_junit(run / "junit.xml", faults)
    summary = run / "summary.md"
    if summary.exists():
        if summary.stat().st_size >= 900 * 1024:
            faults.append(f"{summary}: {summary.stat().st_size} bytes")
        summary.read_text(encoding="utf-8")
    for picture in sorted((run / "plots").glob("*.svg")):
        if xml.parse(picture).getroot().tag != "{http://www.w3.org/2000/svg}svg":
            faults.append(f"{picture}: not SVG")
        for suffix in (".gp", ".tsv"):
            if not picture.with_suffix(suffix).exists():
                faults.append(f"{picture}: no {suffix} beside it")
    print("\n".join(faults[:40]))
    return 1 if faults else 0 if whole else 77


if __name__ == "__main__":
    sys.exit(main())
