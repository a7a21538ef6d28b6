/* SPDX-License-Identifier: Apache-2.0 */
/* Families of q, k and v.  Each family is there because a real bug hid from plain normals: extremes
 * of the logits (softmax stability), ties, outlier channels, values whose result is known exactly
 * (q = 0: the mean; v = 1: one; index-coded v: which key was dropped or doubled). */
#include "evals/numeric/parity.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fp.h"
#include "model/capture.h"

/* One family's view of the case while its numbers are made. */
typedef struct values {
    const parity_spec *s;
    att_rng *rng;
    double root; /* 1 / scale */
    double tiny; /* smallest normal of the storage type */
    double *q, *k, *v;
} values;

static int64_t q_count(const parity_spec *s)
{
    return s->b * s->hq * s->sq * s->d;
}

static int64_t k_rows(const parity_spec *s)
{
    return s->b * s->hkv * s->sk;
}

static void fill(att_rng *rng, double *x, int64_t n, double size)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = size * att_rng_normal(rng);
}

static void normal(values *w)
{
    fill(w->rng, w->q, q_count(w->s), 1);
    fill(w->rng, w->k, k_rows(w->s) * w->s->d, 1);
    fill(w->rng, w->v, k_rows(w->s) * w->s->dv, 1);
}

/* q and k along one direction (the first half of the channels), so that logits are `at(j)` + noise.
 */
static void along(values *w, double q_size, double (*at)(const values *w, int64_t j), double noise)
{
    const parity_spec *s = w->s;
    int64_t half = (s->d + 1) / 2;

    normal(w);
    for (int64_t i = 0; i < q_count(s); i++)
        w->q[i] = i % s->d < half ? q_size : noise * w->q[i];
    for (int64_t r = 0; r < k_rows(s); r++)
        for (int64_t d = 0; d < s->d; d++) {
            double *x = &w->k[r * s->d + d], other = noise * *x;
            *x = d < half ? at(w, r % s->sk) * w->root / (q_size * (double)half) : other;
        }
}

static double deep_at(const values *w, int64_t j)
{
    (void)w;
    return -300 + (double)(j % 5);
}

static double flat_at(const values *w, int64_t j)
{
    (void)w;
    return -7e4 + (double)(j % 7);
}

static double late_at(const values *w, int64_t j)
{
    return j == w->s->sk - 1 ? 200 : 0;
}

static double ramp_at(const values *w, int64_t j)
{
    return 0.4 * (double)j - 0.2 * (double)w->s->sk;
}

static void deep(values *w)
{
    along(w, 4, deep_at, 1);
}

static void flat(values *w)
{
    along(w, 90, flat_at, 1);
}

static void late(values *w)
{
    along(w, 6, late_at, 1);
}

static void ramp(values *w)
{
    along(w, 2, ramp_at, 0.5);
}

static void heavy(values *w)
{
    normal(w);
    for (int64_t i = 0; i < k_rows(w->s) * w->s->d; i++)
        w->k[i] *= exp(0.7 * att_rng_normal(w->rng));
    for (int64_t i = 0; i < k_rows(w->s) * w->s->dv; i++)
        w->v[i] *= exp(1.5 * att_rng_normal(w->rng));
}

static void outlier(values *w)
{
    normal(w);
    for (int64_t i = 0; i < q_count(w->s); i += w->s->d)
        w->q[i] += 3;
    for (int64_t r = 0; r < k_rows(w->s); r++)
        w->k[r * w->s->d] += 30;
}

static void large(values *w)
{
    normal(w);
    for (int64_t i = 0; i < k_rows(w->s) * w->s->dv; i++)
        w->v[i] *= pow(10, 2 + 1.3 * att_rng_unit(w->rng));
}

static void small(values *w)
{
    normal(w);
    for (int64_t i = 0; i < q_count(w->s); i++)
        w->q[i] *= 1e-6;
}

/* Channels that are the same for every key: half of K's, every third of V's. */
static void constant(values *w)
{
    const parity_spec *s = w->s;

    normal(w);
    for (int64_t r = 0; r < k_rows(s); r++) {
        int64_t first = r / s->sk * s->sk;
        for (int64_t d = 0; d < s->d; d += 2)
            w->k[r * s->d + d] = w->k[first * s->d + d];
        for (int64_t d = 0; d < s->dv; d += 3)
            w->v[r * s->dv + d] = w->v[first * s->dv + d];
    }
}

static void equal(values *w)
{
    const parity_spec *s = w->s;

    normal(w);
    for (int64_t r = 0; r < k_rows(s); r++)
        memcpy(w->k + r * s->d, w->k + r / s->sk * s->sk * s->d, (size_t)s->d * sizeof *w->k);
}

static void zero_q(values *w)
{
    normal(w);
    memset(w->q, 0, (size_t)q_count(w->s) * sizeof *w->q);
}

static void ones(values *w)
{
    normal(w);
    for (int64_t i = 0; i < k_rows(w->s) * w->s->dv; i++)
        w->v[i] = 1;
}

/* v = a binary code of the key's index, +-1 a digit: which key is missing shows in the digits. */
static void coded(values *w)
{
    const parity_spec *s = w->s;

    normal(w);
    for (int64_t i = 0; i < q_count(s); i++)
        w->q[i] *= 0.25;
    for (int64_t r = 0; r < k_rows(s); r++)
        for (int64_t d = 0; d < s->dv; d++)
            w->v[r * s->dv + d] = (r % s->sk + 1) >> (d % 12) & 1 ? 1 : -1;
}

/* Storage subnormals among small normals; no column holds subnormals alone. */
static void subnormal(values *w)
{
    normal(w);
    for (int64_t i = 0; i < k_rows(w->s) * w->s->dv; i++)
        w->v[i] *= w->tiny * (att_rng_below(w->rng, 4) ? 0x1p10 : 0x1p-3);
    for (int64_t i = 0; i < k_rows(w->s) * w->s->d; i += 3)
        w->k[i] *= w->tiny;
}

/* NaN or Inf in inputs that some rows may see and others may not. */
static void poison(values *w)
{
    const parity_spec *s = w->s;
    static const double bad[3] = {(double)NAN, (double)INFINITY, -(double)INFINITY};

    normal(w);
    for (int64_t head = 0; head < s->b * s->hkv && s->sk > 0; head++) {
        int64_t row = head * s->sk + (int64_t)att_rng_below(w->rng, (uint64_t)s->sk);
        double x = bad[head % 3];
        if (head % 2)
            w->k[row * s->d] = (double)NAN;
        else
            w->v[row * s->dv + s->dv / 2] = x;
    }
}

/* NaN or -inf logits where a running maximum may overlook them: head by head all keys have -inf,
 * the first 64 (a tile's worth) NaN, or the first one alone. */
static void dark(values *w)
{
    const parity_spec *s = w->s;

    normal(w);
    for (int64_t i = 0; i < q_count(s); i += s->d)
        w->q[i] = 1 + fabs(w->q[i]);
    for (int64_t r = 0; r < k_rows(s); r++) {
        int64_t kind = r / s->sk % 3, j = r % s->sk;
        if (kind == 0)
            w->k[r * s->d] = -(double)INFINITY;
        else if (j < (kind == 1 ? 64 : 1))
            w->k[r * s->d] = (double)NAN;
    }
}

/* Rows of one captured tensor into [b][h][n][d], round and round where the case is larger. */
static void repeat(const att_tensor *from, double *to, int64_t b, int64_t h, int64_t n, int64_t d)
{
    for (int64_t r = 0; r < b * h * n; r++)
        for (int64_t c = 0; c < d; c++, to++)
            *to = att_fp_load(from->data, from->dtype,
                              att_tensor_at(from, r / n / h % from->shape[0],
                                            r / n % h % from->shape[1], r % n % from->shape[2],
                                            c % from->shape[3]));
}

/* Real activations: a captured attention call, drawn among those in datasets/captures.  With the
 * call's own shapes (hq=9 hkv=3 sq=16 d=64) it is that call. */
static att_status captured(att_ctx *x, values *w)
{
    const parity_spec *s = w->s;
    const char *root = att_ctx_option(x, "datasets");
    char pattern[4096];
    glob_t found = {0};
    att_capture capture = {0};
    att_status status = ATT_UNSUPPORTED;

    snprintf(pattern, sizeof pattern, "%s/captures/*.safetensors", root ? root : "datasets");
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        att_ctx_why(x, "%s: no captures there", pattern);
        goto done;
    }
    status = att_capture_read(found.gl_pathv[att_rng_below(w->rng, found.gl_pathc)], &capture,
                              att_ctx_why_buffer(x));
    if (status != ATT_OK)
        goto done;
    repeat(&capture.problem.q, w->q, s->b, s->hq, s->sq, s->d);
    repeat(&capture.problem.k, w->k, s->b, s->hkv, s->sk, s->d);
    repeat(&capture.problem.v, w->v, s->b, s->hkv, s->sk, s->dv);
    att_capture_drop(&capture);
done:
    globfree(&found);
    return status;
}

static const struct {
    const char *name;
    void (*make)(values *w);
} families[] = {
    {"normal", normal},     {"heavy", heavy}, {"outlier", outlier},     {"deep", deep},
    {"flat", flat},         {"late", late},   {"ramp", ramp},           {"large", large},
    {"small", small},       {"equal", equal}, {"zero", zero_q},         {"ones", ones},
    {"constant", constant}, {"coded", coded}, {"subnormal", subnormal}, {"nan", poison},
    {"dark", dark},
};

att_status parity_values(att_ctx *x, parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    values w = {.s = s,
                .rng = rng,
                .root = 1 / att_scale(&in->plain),
                .tiny = att_fp_format(s->dtype).tiny,
                .q = in->q,
                .k = in->k,
                .v = in->v};

    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        if (parity_is(families[f].name, s->values)) {
            families[f].make(&w);
            return ATT_OK;
        }
    if (parity_is("captured", s->values))
        return captured(x, &w);
    att_ctx_why(x, "there is no family of values named %s", s->values);
    return ATT_INVALID;
}
