#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_schema.py SCHEMA FILE...: holds JSON files to a JSON Schema.

Exit: 0 all right, 1 something is not, 77 the Python module jsonschema is missing."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as f:
    schema = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
bad = 0
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as f:
        for e in jsonschema.Draft202012Validator(schema).iter_errors(json.load(f)):
            print(f"{path}: {e.json_path}: {e.message}")
            bad = 1
sys.exit(bad)
