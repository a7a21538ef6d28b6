#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutants of our own kernels: one small wrong change each, built as a plugin.

    ci/scripts/mutate.py OUT [--most N] [--only GLOB]... [--cc 'gcc FLAGS']

Reads ci/mutants/sources.tsv.  A file that several kernels share is mutated once, and its mutant is
a plugin of all those kernels whose object code changes with it.  Every candidate is a change of one
token or one statement inside a function; at most N of each (file, operator) are taken, or as few as
the file's row asks for, by the hash of their key, so that the choice does not depend on what lies
elsewhere.  A mutant whose object code equals the original's is no mutant (trivial compiler
equivalence, Papadakis et al. 2015, ICSE).

OUT/manifest.tsv: key, plugin, its kernels with their parameters (space separated), file:line,
operator, before, after, the line as it was.  OUT/left_out.tsv: key and why: it does not compile, or its code is the
same.

Operators: bound (< as <=), equal (== as !=), logic (&& as ||, ! dropped), arith (+ as -, * as +),
const (a literal one off, 1.0 as 1.001), swap (one stride, length, head count, dimension or limit
for its twin), stale (an assignment or call left out), term (+= as =).  None that only narrows a
type: most counters and doubles have room to spare, so that such a mutant is a right kernel; what
breaks beyond 2^31 has kernels of its own in the zoo.
"""
import argparse
import concurrent.futures
import fnmatch
import hashlib
import os
import re
import subprocess
import sys

TOKEN = re.compile(
    r"(?P<skip>/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|(?P<number>(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?)[uUlLfF]*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op><<=|>>=|->|\+\+|--|&&|\|\||[-+*/%&|^<>=!]=|<<|>>|[^\s\w])",
    re.S | re.M)
TWINS = [("q_at", "k_at"), ("q_len", "kv_len"), ("head_dim", "value_dim"), ("heads_q", "heads_kv"),
         ("lo", "hi"), ("window_left", "window_right"), ("at", "kv_at"), ("h", "i"), ("dk", "dv"),
         ("top", "sum"), ("k", "v"), ("att_min", "att_max"), ("block_q", "block_k"),
         ("first", "last"), ("head", "band"), ("rows", "columns"), ("q", "k")]
TWIN = dict(TWINS) | {b: a for a, b in TWINS}
PLAIN = {"<": ("bound", "<="), "<=": ("bound", "<"), ">": ("bound", ">="), ">=": ("bound", ">"),
         "==": ("equal", "!="), "!=": ("equal", "=="), "&&": ("logic", "||"),
         "||": ("logic", "&&"), "!": ("logic", ""), "+": ("arith", "-"), "-": ("arith", "+"),
         "*": ("arith", "+"), "/": ("arith", "*"), "%": ("arith", "/"), "+=": ("term", "="),
         "-=": ("term", "="), "*=": ("term", "=")}
# What a kernel says of itself, not what it computes.
NOT_THESE = {"keys_read", "share_kept", "tiled"}
NOR_ENDING = ("cost", "supports", "accept")


class Token:
    def __init__(self, kind, text, at):
        self.kind, self.text, self.at = kind, text, at


def tokens_of(source):
    return [Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(source)
            if m.lastgroup != "skip"]


def functions(tokens):
    """(name, first, last) of every function body, as token indices within the braces."""
    depth, i = 0, 0
    while i < len(tokens):
        if tokens[i].text == "{":
            if depth == 0 and i and tokens[i - 1].text == ")":
                nest, j = 0, i - 1
                while j >= 0:
                    nest += {")": 1, "(": -1}.get(tokens[j].text, 0)
                    if nest == 0:
                        break
                    j -= 1
                name, start, nest = tokens[j - 1].text, i + 1, 0
                while i < len(tokens):
                    nest += {"{": 1, "}": -1}.get(tokens[i].text, 0)
                    if nest == 0:
                        break
                    i += 1
                yield name, start, i
            else:
                depth += 1
        elif tokens[i].text == "}":
            depth -= 1
        i += 1


def statements(tokens, first, last):
    """(start, end) token indices of assignments and calls that end with ; outside parentheses."""
    start, nest = first, 0
    for i in range(first, last):
        text = tokens[i].text
        nest += {"(": 1, ")": -1}.get(text, 0)
        if nest == 0 and text in "{};":
            body = tokens[start:i]
            assigns = any(t.text in ("=", "+=", "-=", "*=", "|=", "&=", "/=") for t in body)
            calls = len(body) > 2 and body[0].kind == "name" and body[1].text == "("
            declares = len(body) > 1 and body[0].kind == "name" and (
                body[1].kind == "name" or body[1].text == "*" and body[0].text.endswith("_t"))
            keyword = body and body[0].text in ("return", "for", "if", "while", "else", "static",
                                                "const", "switch", "case", "default", "do")
            if text == ";" and body and (assigns or calls) and not declares and not keyword \
                    and body[0].text != "(":
                yield start, i
            start = i + 1


def changes(tokens, i):
    """(operator, new text) for token i."""
    t, before, after = tokens[i], tokens[i - 1], tokens[i + 1]
    operand = before.kind in ("name", "number") or before.text in (")", "]")
    if t.kind == "op" and t.text in PLAIN:
        if t.text == "!" or operand and (t.text != "*" or after.kind != "op" or after.text == "("):
            yield PLAIN[t.text]
    elif t.kind == "number":
        digits = re.match(r"0[xX][0-9a-fA-F]+|\d+\.\d*(?:[eE][-+]?\d+)?|\d+", t.text).group()
        suffix = t.text[len(digits):]
        if "." in digits:
            yield "const", ("1.0" if float(digits) == 0 else repr(float(digits) * 1.001)) + suffix
        elif before.text == "[" and i > 1 and tokens[i - 2].text == "stride":
            yield "swap", str((int(digits) + 1) % 4)
        elif before.text == "[" and i > 1 and tokens[i - 2].text == "shape":
            yield "swap", str((int(digits) + 3) % 4)
        else:
            yield "const", str(int(digits, 0) + 1) + suffix
    elif t.kind == "name":
        if t.text in TWIN and after.text != "(" or t.text in ("att_min", "att_max"):
            yield "swap", TWIN[t.text]
        elif t.text == "INFINITY":
            yield "const", "1e4f"


def candidates(path):
    source = open(path, encoding="utf-8").read()
    tokens = tokens_of(source)
    lines, seen = source.split("\n"), {}

    def made(name, operator, at, end, new):
        line = source.count("\n", 0, at) + 1
        old = " ".join(source[at:end].split())
        base = f"{path}:{name}:{operator}:{old}->{new}"
        seen[base] = seen.get(base, 0) + 1
        return {"key": f"{base}#{seen[base]}", "operator": operator, "line": line, "old": old,
                "new": new or "(nothing)", "path": path, "was": " ".join(lines[line - 1].split()),
                "source": source[:at] + new + source[end:]}

    for name, first, last in functions(tokens):
        if name in NOT_THESE or name.endswith(NOR_ENDING):
            continue
        for i in range(first, last):
            for operator, new in changes(tokens, i):
                t = tokens[i]
                yield made(name, operator, t.at, t.at + len(t.text), new)
        for start, end in statements(tokens, first, last):
            yield made(name, "stale", tokens[start].at, tokens[end].at, "")


def stem_of(kernel):
    return os.path.splitext(os.path.basename(kernel))[0]


def plugin_of(kernels):
    stems = [stem_of(k) for k in kernels]
    return ('#include "attn.h"\n' +
            "".join(f"extern const att_kernel att_kernel_{s};\n" for s in stems) +
            "const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count);\n"
            "const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count)\n{\n"
            "    static const att_kernel *const kernels[] = {" +
            ", ".join(f"&att_kernel_{s}" for s in stems) + "};\n"
            f"    *count = {len(stems)};\n"
            "    return host_abi >> 16 == ATT_ABI_MAJOR ? kernels : NULL;\n}\n")


class Builder:
    def __init__(self, out, cc):
        self.out, self.cc, self.originals = out, cc.split(), {}

    def run(self, *args):
        return subprocess.run([*self.cc, *args], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def compile(self, kernel, include, to):
        return self.run("-fPIC", "-w", *include, "-Ikernels", "-c", kernel, "-o", to)

    def original(self, kernel):
        """The unchanged kernel's object code."""
        if kernel not in self.originals:
            made = os.path.join(self.out, stem_of(kernel) + ".o")
            if not self.compile(kernel, [], made):
                sys.exit(f"mutate: {kernel}: the original does not compile")
            self.originals[kernel] = open(made, "rb").read()
        return self.originals[kernel]

    def build(self, job):
        """(why there is no plugin, or ''; the kernels in it)."""
        number, m, kernels = job
        folder = os.path.join(self.out, f"{number:04d}")
        os.makedirs(os.path.join(folder, os.path.dirname(m["path"])), exist_ok=True)
        changed = os.path.join(folder, m["path"])
        with open(changed, "w", encoding="utf-8") as f:
            f.write(m["source"])
        objects = {}
        for kernel in kernels:
            made = os.path.join(folder, stem_of(kernel) + ".o")
            if not self.compile(changed if m["path"] == kernel else kernel,
                                ["-I" + os.path.join(folder, "kernels"),
                                 "-I" + os.path.dirname(kernel)], made):
                return "does not compile", []
            if open(made, "rb").read() != self.original(kernel):
                objects[kernel] = made
        if not objects:
            return "same code", []
        entry = os.path.join(folder, "entry.c")
        with open(entry, "w", encoding="utf-8") as f:
            f.write(plugin_of(objects))
        made = self.run("-fPIC", "-w", "-Ikernels", "-shared", entry, *objects.values(), "-o",
                        os.path.join(folder, "mutant.so"), "-lopenblas", "-lm", "-lpthread")
        return ("" if made else "does not link"), list(objects)


def sources():
    """(file, {kernel: [its parameters, ...]}, the row's own N or None) of every row."""
    for row in open("ci/mutants/sources.tsv", encoding="utf-8"):
        if row.startswith("#") or not row.strip():
            continue
        path, runs, *most = row.rstrip("\n").split("\t")
        kernels = {}
        for run in runs.split():
            kernel, brace, params = run.partition("{")
            kernels.setdefault(kernel, []).append(brace + params)
        yield path, kernels, int(most[0]) if most else None


def main():
    args = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out")
    args.add_argument("--most", type=int, default=8, help="mutants a file and operator")
    args.add_argument("--only", action="append", help="keys to build; default: all")
    args.add_argument("--cc", default="gcc -O1")
    o = args.parse_args()
    os.makedirs(o.out, exist_ok=True)
    builder, jobs = Builder(o.out, o.cc), []
    for path, kernels, most in sources():
        groups = {}
        for m in candidates(path):
            groups.setdefault(m["operator"], []).append(m)
        for group in groups.values():
            group.sort(key=lambda m: hashlib.sha256(m["key"].encode()).digest())
            taken = group[:min(o.most, most or o.most)]
            jobs += [(m, kernels) for m in taken if not o.only or any(
                m["key"] == glob or fnmatch.fnmatchcase(m["key"], glob) for glob in o.only)]
    for kernel in {k for _, kernels in jobs for k in kernels}:
        builder.original(kernel)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        ends = list(pool.map(builder.build, [(n, *job) for n, job in enumerate(jobs)]))
    with open(os.path.join(o.out, "manifest.tsv"), "w", encoding="utf-8") as good, \
            open(os.path.join(o.out, "left_out.tsv"), "w", encoding="utf-8") as bad:
        for n, ((m, kernels), (why, changed)) in enumerate(zip(jobs, ends)):
            if why:
                print(m["key"], why, sep="\t", file=bad)
                continue
            runs = [stem_of(k) + params for k in changed for params in kernels[k]]
            print(m["key"], os.path.join(o.out, f"{n:04d}", "mutant.so"), " ".join(runs),
                  f"{m['path']}:{m['line']}", m["operator"], m["old"], m["new"], m["was"],
                  sep="\t", file=good)
    ends = [why for why, _ in ends]
    print(f"{ends.count('')} mutants in {o.out}; left out: "
          f"{ends.count('does not compile')} that do not compile, "
          f"{ends.count('same code')} of the same code, "
          f"{ends.count('does not link')} that do not link")


if __name__ == "__main__":
    main()
