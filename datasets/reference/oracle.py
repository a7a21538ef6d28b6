# SPDX-License-Identifier: Apache-2.0
"""Writes oracle.json: small attention calls and their answers in numpy's float64, straight from the contract's
formulas (softmax of the whole row, no tiles), for kernels/tests/test_oracle.c to compare the oracle with."""
import json

import numpy as np

rng = np.random.default_rng(20)


def attend(q, k, v, allowed, scale, cap, bias, sinks):
    group = q.shape[0] // k.shape[0]
    out = np.zeros((q.shape[0], q.shape[1], v.shape[2]))
    lse = np.full(q.shape[:2], -np.inf)
    for h in range(q.shape[0]):
        s = scale * q[h] @ k[h // group].T
        if cap:
            s = cap * np.tanh(s / cap)
        if bias is not None:
            s = s + bias[h]
        for i in range(q.shape[1]):
            keys = np.flatnonzero(allowed[i])
            if len(keys) == 0:
                continue
            x = s[i, keys]
            top = x.max()
            w = np.exp(x - top)
            lse[h, i] = top + np.log(w.sum())
            total = w.sum() + (np.exp(sinks[h] - top) if sinks is not None else 0)
            out[h, i] = w @ v[h // group][keys] / total
    return out, lse


def case(name, hq, hkv, sq, sk, d, dv, causal="none", left=-1, right=-1, cap=0.0, bias=False, sinks=False):
    q, k, v = (rng.standard_normal(s).round(3) for s in ((hq, sq, d), (hkv, sk, d), (hkv, sk, dv)))
    b = rng.standard_normal((hq, sq, sk)).round(3) if bias else None
    z = rng.standard_normal(hq).round(3) if sinks else None
    i, j = np.arange(sq)[:, None], np.arange(sk)[None]
    p = i if causal == "top_left" else i + sk - sq
    allowed = np.ones((sq, sk), bool)
    if causal != "none":
        allowed &= j <= p
    if left >= 0:
        allowed &= j >= p - left
    if right >= 0:
        allowed &= j <= p + right
    out, lse = attend(q, k, v, allowed, d ** -0.5, cap, b, z)
    row = {"name": name, "hq": hq, "hkv": hkv, "sq": sq, "sk": sk, "d": d, "dv": dv, "causal": causal, "left": left,
           "right": right, "softcap": cap, "q": q, "k": k, "v": v, "out": out,
           "lse": np.where(np.isfinite(lse), lse, -1e300)}
    if bias:
        row["bias"] = b
    if sinks:
        row["sinks"] = z
    return {n: x.ravel().tolist() if isinstance(x, np.ndarray) else x for n, x in row.items()}


cases = [
    case("grouped heads", 4, 2, 3, 7, 4, 3),
    case("top left, more keys", 2, 1, 3, 6, 4, 4, causal="top_left"),
    case("bottom right, more keys", 2, 2, 3, 6, 4, 4, causal="bottom_right"),
    case("bottom right, rows without keys", 1, 1, 6, 3, 4, 2, causal="bottom_right"),
    case("window without causality", 1, 1, 5, 8, 4, 2, left=2, right=1),
    case("causal window of the own key", 2, 2, 5, 5, 4, 2, causal="bottom_right", left=0),
    case("softcap, then bias", 2, 1, 3, 5, 4, 2, cap=0.5, bias=True),
    case("sinks", 3, 3, 2, 5, 4, 2, sinks=True),
    case("all at once", 6, 3, 4, 6, 8, 5, causal="bottom_right", left=3, cap=2.0, bias=True, sinks=True),
]
with open("datasets/reference/oracle.json", "w") as f:
    f.write('{"about": "by datasets/reference/oracle.py; an LSE of -1e300 stands for -infinity", "cases": [\n')
    f.write(",\n".join(json.dumps(c) for c in cases))
    f.write("\n]}\n")
