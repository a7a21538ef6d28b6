#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_steps.py FILE [JOB]: runs the shell steps of a GitHub workflow, of the composite actions it uses
from this checkout, or of a GitLab job, as their runners would; steps of other people's actions are
named and left out.  Exits with the code of the first step that failed."""
import os
import re
import subprocess
import sys

import yaml


def filled(text, values):
    """${{ name }} by what `values` holds; unknown ones are empty, as on GitHub."""
    return re.sub(r"\$\{\{\s*([\w.]+)\s*\}\}", lambda m: values.get(m.group(1), ""), str(text))


def shell(script, env):
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, env={**os.environ, **env}).returncode


def composite(folder, given):
    action = yaml.safe_load(open(os.path.join(folder, "action.yml")))
    values = {"github.base_ref": os.environ.get("GITHUB_BASE_REF", "")}
    for name, about in action["inputs"].items():
        if about.get("required") and name not in given:
            sys.exit(f"{folder}: the input {name} is required")
        values[f"inputs.{name}"] = filled(given.get(name, about.get("default", "")), values)
    unknown = set(given) - set(action["inputs"])
    if unknown:
        sys.exit(f"{folder}: unknown inputs {sorted(unknown)}")
    return steps(action["runs"]["steps"], values, {"GITHUB_ACTION_PATH": os.path.abspath(folder)})


def steps(all_steps, values, env):
    code = 0
    for step in all_steps:
        name = step.get("name") or step.get("uses") or step["run"]
        if code and step.get("if") != "always()":
            continue
        print(f"step: {name}", flush=True)
        own = {key: filled(text, values) for key, text in step.get("env", {}).items()}
        if "run" in step:
            result = shell(filled(step["run"], values), {**env, **own})
        elif step["uses"].startswith("./"):
            result = composite(step["uses"], step.get("with", {}))
        else:
            for key, text in step.get("with", {}).items():
                print(f"  {key}: {filled(text, values)}", flush=True)
            result = 0
        code = code or result
    return code


def gitlab(job, leave_out):
    env = {key: os.path.expandvars(str(text)) for key, text in job["variables"].items()}
    env.update({key: os.environ[key] for key in env if key in leave_out})
    return shell("\n".join(job["script"]), env)


def main():
    text = yaml.safe_load(open(sys.argv[1]))
    name = sys.argv[2] if len(sys.argv) > 2 else "attest"
    if "jobs" in text:
        return steps(text["jobs"][name]["steps"], {}, {})
    # What only the real runner does (packages, the clone) the caller has done.
    return gitlab(text[name], {"ATTEST_PACKAGES"})


if __name__ == "__main__":
    sys.exit(main())
