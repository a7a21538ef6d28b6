#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prefill and decode of the language model beside llama-cpp-python, on the same file, in one run.

    .venv/bin/python ci/peers/lm_speed.py [--prompt-tokens 1024] [--decode 64] [--threads 2] [--rounds 3]

The two take turns, so that both see the same machine; medians are compared.  Both prefill the same number of
tokens in one call and then decode greedily.  Exit 1 when our prefill is slower.  (`make peers` makes .venv.)
"""
import argparse
import json
import random
import statistics
import subprocess
import sys
import time

import llama_cpp


def ours(args):
    text = subprocess.run(
        [args.attest, "lm", "speed", "--json", "--model", args.model, "--kernel", args.kernel,
         "--prompt-tokens", str(args.prompt_tokens), "--decode", str(args.decode), "--threads", str(args.threads)],
        check=True, capture_output=True, text=True).stdout
    got = json.loads(text)
    return got["prefill_tokens_per_s"], got["decode_tokens_per_s"]


def theirs(llm, args):
    rng = random.Random(1)
    ids = [rng.randrange(llm.n_vocab()) for _ in range(args.prompt_tokens)]
    llm.reset()
    begin = time.perf_counter()
    llm.eval(ids)
    prefill = args.prompt_tokens / (time.perf_counter() - begin)
    spent = 0.0
    token = ids[0]
    for _ in range(args.decode):
        begin = time.perf_counter()
        llm.eval([token])
        spent += time.perf_counter() - begin
        token = rng.randrange(llm.n_vocab())  # which token does not matter for the time
    return prefill, args.decode / spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attest", default="build/release/attest")
    parser.add_argument("--model", default="datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--kernel", default="dense")
    parser.add_argument("--prompt-tokens", type=int, default=1024)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    llm = llama_cpp.Llama(model_path=args.model, n_ctx=args.prompt_tokens + args.decode + 8, n_batch=512,
                          n_threads=args.threads, n_threads_batch=args.threads, verbose=False)
    theirs(llm, args)  # warm
    rounds = [(ours(args), theirs(llm, args)) for _ in range(args.rounds)]
    rows = {}
    for k, name in enumerate(("prefill", "decode")):
        a = statistics.median(r[0][k] for r in rounds)
        b = statistics.median(r[1][k] for r in rounds)
        rows[name] = {"attest": a, "llama_cpp": b, "ratio": a / b}
        print(f"{name:8} attest {a:8.1f} tokens/s   llama-cpp-python {llama_cpp.__version__} {b:8.1f} tokens/s   "
              f"ratio {a / b:.2f}", file=sys.stderr)
    print(json.dumps({"prompt_tokens": args.prompt_tokens, "decode_tokens": args.decode, "threads": args.threads,
                      "kernel": args.kernel, "llama_cpp_python": llama_cpp.__version__, "rows": rows}, sort_keys=True))
    return 0 if rows["prefill"]["ratio"] >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
