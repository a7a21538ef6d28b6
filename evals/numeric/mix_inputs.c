/* SPDX-License-Identifier: Apache-2.0 */
/* Making a mix: numbers of a family -> stored (rounded, strided) -> read back, so that the oracle
 * sees exactly what a kernel sees -> frozen -> walked in float64, which the oracle's own mix must
 * equal (two forms, written apart).  Rows past a length are never written: they stay NaN.  Done
 * once, shared by all kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/mix.h"
#include "evals/numeric/parity.h"

double mix_work(const mix_spec *s)
{
    return (double)s->b * (double)s->hq * (double)s->sq * (double)(s->sk + 1) *
           (double)(s->d + s->dv);
}

/* ---------------------------------------------------------------------------- numbers */

static void fill(att_rng *rng, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = att_rng_normal(rng);
}

/* Key j's rows by family. */
static void shape_key(const mix_spec *s, att_rng *rng, int64_t j, double *k, double *v)
{
    for (int64_t c = 0; c < s->d; c++) {
        if (parity_is(s->values, "heavy"))
            k[c] *= exp(0.5 * att_rng_normal(rng));
        if (parity_is(s->values, "late") && j == s->sk - 1)
            k[c] *= 5;
    }
    if (parity_is(s->values, "outlier"))
        k[0] += 12;
    for (int64_t d = 0; d < s->dv; d++) {
        if (parity_is(s->values, "ones"))
            v[d] = 1;
        if (parity_is(s->values, "coded")) /* a binary code of the key's index */
            v[d] = (j + 1) >> (d % 12) & 1 ? 1 : -1;
        if (parity_is(s->values, "large"))
            v[d] *= pow(10, 1.5 + att_rng_unit(rng));
        if (parity_is(s->values, "heavy"))
            v[d] *= exp(1.5 * att_rng_normal(rng));
    }
}

/* A NaN in one key of every head, in k or v by turns. */
static void poison(const mix_spec *s, att_rng *rng, mix_numbers *n)
{
    for (int64_t head = 0; head < s->b * s->hkv && s->sk > 0; head++) {
        const int64_t row = head * s->sk + (int64_t)att_rng_below(rng, (uint64_t)s->sk);
        if (head % 3 == 2)
            n->k[row * s->d + s->d / 2] = (double)NAN;
        else
            n->v[row * n->wide + s->dv / 2] = (double)NAN;
    }
}

static double lambda(const mix_spec *s, att_rng *rng)
{
    const double x = att_rng_unit(rng);

    if (parity_is(s->lambdas, "zero"))
        return 0;
    if (parity_is(s->lambdas, "one"))
        return 1;
    return parity_is(s->lambdas, "wide") ? 3 * x - 1.5 : 0.2 + 0.6 * x;
}

/* Gate element c. */
static double gate(const mix_spec *s, att_rng *rng, int64_t c)
{
    const double x = att_rng_unit(rng), z = att_rng_normal(rng);
    const bool sigmoid = s->kind == ATT_MIX_GATED;

    if (parity_is(s->gates, "open"))
        return sigmoid ? (double)INFINITY : 1;
    if (parity_is(s->gates, "closed"))
        return sigmoid ? -(double)INFINITY : 0;
    if (parity_is(s->gates, "first"))
        return c == 0;
    if (parity_is(s->gates, "second"))
        return c == 1;
    if (parity_is(s->gates, "third"))
        return c == 2;
    if (parity_is(s->gates, "wide"))
        return sigmoid ? 60 * x - 30 : 4 * x - 2;
    return sigmoid ? 2 * z : x;
}

static double decay(const mix_spec *s, att_rng *rng)
{
    static const double mixed[] = {0, -1e-4, -0.3, -5, -100};
    const double x = att_rng_unit(rng);

    if (parity_is(s->decays, "zero"))
        return 0;
    if (parity_is(s->decays, "strong"))
        return -1 - 29 * x;
    if (parity_is(s->decays, "mixed"))
        return mixed[(int)(5 * x)];
    return log(0.7 + 0.29 * x);
}

static void make_lengths(const mix_spec *s, att_rng *rng, mix_numbers *n)
{
    for (int64_t b = 0; b < s->b; b++) {
        const uint64_t q = att_rng_below(rng, (uint64_t)s->sq + 1);
        const uint64_t k = att_rng_below(rng, (uint64_t)s->sk + 1);
        n->nq[b] = (int32_t)(parity_is(s->lens, "both") ? (int64_t)q : s->sq);
        n->nk[b] = (int32_t)(parity_is(s->lens, "none") ? s->sk : (int64_t)k);
    }
}

/* rows: holes, and now and then a row with nothing. */
static void make_mask(const mix_spec *s, att_rng *rng, mix_numbers *n)
{
    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        const bool empty = att_rng_below(rng, 7) == 0;
        for (int64_t j = 0; j < s->sk; j++)
            n->mask[row * s->sk + j] = parity_is(s->mask, "none") ||
                                       (att_rng_below(rng, 3) > 0 && !empty);
    }
}

static void make_values(att_ctx *x, const mix_spec *s, mix_numbers *n)
{
    att_rng values = att_ctx_group_rng(x, "values"), gates = att_ctx_group_rng(x, "gates");
    att_rng extras = att_ctx_group_rng(x, "extras");
    const int64_t rows = s->b * s->hkv * s->sk, width = mix_gate_width(s);

    fill(&values, n->q, s->b * s->hq * s->sq * s->d);
    fill(&values, n->k, rows * s->d);
    for (int64_t r = 0; r < rows; r++) {
        fill(&values, n->v + r * n->wide, s->dv);
        shape_key(s, &values, r % s->sk, n->k + r * s->d, n->v + r * n->wide);
    }
    if (parity_is(s->values, "nan"))
        poison(s, &values, n);
    for (int64_t h = 0; h < s->hq; h++)
        n->lambda[h] = lambda(s, &gates);
    for (int64_t at = 0; at < s->b * s->hq * s->sq * width; at++)
        n->gate[at] = gate(s, &gates, at % width);
    for (int64_t at = 0; at < s->b * s->hq * s->sk; at++)
        n->decay[at] = decay(s, &gates);
    make_lengths(s, &extras, n);
    make_mask(s, &extras, n);
}

/* ---------------------------------------------------------------------------- storage */

/* What is stored of a dense array: extents n of the whole and `kept` (each n or 1) of what is in
 * memory; rows `wide` doubles apart; of dimension `axis` only the first used[b] are written, b the
 * index in dimension axis - 2 (NULL = all). */
typedef struct stored {
    int64_t n[4], kept[4], wide;
    const int32_t *used;
    int axis;
    int32_t dtype;
} stored;

static bool put(mix_inputs *in, const stored *w, double *x, att_tensor *out)
{
    const int64_t *n = w->n, *kept = w->kept;
    const parity_shape shape = parity_shape_of(in->spec.layout, kept[0], kept[1], kept[2], kept[3]);
    att_guard *g = &in->guard[in->guards];

    if (!att_guard_make(g, (size_t)shape.extent * att_dtype_size(w->dtype), in->spec.place))
        return false;
    in->guards++;
    *out = parity_tensor(&shape, g->data, w->dtype);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t at = 0; at < n[0] * n[1] * n[2] * n[3]; at++) {
            int64_t i[4] = {at / n[3] / n[2] / n[1], at / n[3] / n[2] % n[1], at / n[3] % n[2],
                            at % n[3]};
            double *value = &x[at / n[3] * w->wide + i[3]];
            bool first = true;
            if (w->used && i[w->axis] >= w->used[i[w->axis - 2]])
                continue;
            for (int a = 0; a < 4; a++) {
                first &= i[a] < kept[a];
                i[a] = kept[a] == 1 ? 0 : i[a];
            }
            const int64_t place = att_tensor_at(out, i[0], i[1], i[2], i[3]);
            if (pass)
                *value = att_fp_load(out->data, w->dtype, place);
            else if (first)
                att_fp_store(out->data, w->dtype, place, *value);
        }
    return true;
}

static bool store_section(mix_inputs *in)
{
    const mix_spec *s = &in->spec;
    mix_numbers *n = &in->numbers;
    const int64_t width = mix_gate_width(s);
    const bool rows = parity_is(s->per, "row"), heads = parity_is(s->per, "head");
    const bool one = parity_is(s->per, "one");
    const stored lambdas = {{1, 1, 1, s->hq}, {1, 1, 1, one ? 1 : s->hq}, s->hq, NULL, 2, ATT_F32};
    const stored decays = {
        {1, s->b, s->hq, s->sk}, {1, s->b, s->hq, s->sk}, s->sk, n->nk, 3, s->aux};
    stored gates = {{s->b, s->hq, s->sq, width},
                    {s->b, s->hq, s->sq, rows ? 1 : width},
                    width,
                    n->nq,
                    2,
                    s->aux};

    if (heads || one) {
        const int64_t kept[4] = {1, s->hq, 1, one ? 1 : width};
        memcpy(gates.kept, kept, sizeof kept);
        gates.used = NULL;
    }
    if (s->kind == ATT_MIX_DIFFERENTIAL)
        return put(in, &lambdas, n->lambda, &in->section.lambda);
    if (s->kind == ATT_MIX_FORGETTING)
        return put(in, &decays, n->decay, &in->section.forget);
    return put(in, &gates, n->gate, &in->section.gate);
}

static bool store_lengths(mix_inputs *in, const int32_t *from, att_tensor *out)
{
    att_guard *g = &in->guard[in->guards];
    const size_t bytes = (size_t)in->spec.b * sizeof *from;

    if (!att_guard_make(g, bytes, in->spec.place))
        return false;
    in->guards++;
    memcpy(g->data, from, bytes);
    *out = att_tensor_dense(g->data, ATT_I32, 1, 1, 1, in->spec.b);
    return true;
}

static bool store(mix_inputs *in)
{
    const mix_spec *s = &in->spec;
    mix_numbers *n = &in->numbers;
    att_problem *p = &in->given;
    const stored q = {
        {s->b, s->hq, s->sq, s->d}, {s->b, s->hq, s->sq, s->d}, s->d, n->nq, 2, s->dtype};
    const stored k = {
        {s->b, s->hkv, s->sk, s->d}, {s->b, s->hkv, s->sk, s->d}, s->d, n->nk, 2, s->dtype};
    const stored v = {
        {s->b, s->hkv, s->sk, s->dv}, {s->b, s->hkv, s->sk, s->dv}, n->wide, n->nk, 2, s->dtype};

    if (!put(in, &q, n->q, &p->q) || !put(in, &k, n->k, &p->k) || !put(in, &v, n->v, &p->v) ||
        !store_section(in))
        return false;
    if (parity_is(s->lens, "both") && !store_lengths(in, n->nq, &p->q_lengths))
        return false;
    if (!parity_is(s->lens, "none") && !store_lengths(in, n->nk, &p->kv_lengths))
        return false;
    if (!parity_is(s->mask, "none")) {
        att_guard *g = &in->guard[in->guards];
        const size_t bytes = (size_t)(s->b * s->hq * s->sq * s->sk);
        if (!att_guard_make(g, bytes, s->place))
            return false;
        in->guards++;
        memcpy(g->data, n->mask, bytes);
        p->mask = att_tensor_dense(g->data, ATT_U8, s->b, s->hq, s->sq, s->sk);
    }
    for (size_t g = 0; g < in->guards; g++)
        att_guard_freeze(&in->guard[g], true);
    return true;
}

/* ----------------------------------------------------------------------------- oracle */

/* The oracle's mix of what the kernel gets must be the walk's, to float64 rounding. */
static att_status check(att_ctx *x, const mix_inputs *in)
{
    const mix_spec *s = &in->spec;
    const att_precision wide = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_F64};
    const int64_t n = s->b * s->hq * s->sq * s->dv;
    double *out = calloc((size_t)n + 1, sizeof *out);
    mix_answer a = {0};
    att_problem p = in->given;
    att_units units;
    att_status status = out ? att_units_of(&wide, ATT_F64, ATT_F64, &units) : ATT_NO_MEMORY;

    p.out = att_tensor_dense(out, ATT_F64, s->b, s->hq, s->sq, s->dv);
    if (status == ATT_OK)
        status = att_ctx_oracle(x, ATT_OP_MIX, &p);
    if (status == ATT_OK)
        status = mix_walk(s, &in->numbers, NULL, &units, &a);
    for (int64_t at = 0; at < n && status == ATT_OK; at++) {
        const bool finite = isfinite(a.x[at]) && isfinite(out[at]);
        if (a.skip[at / s->dv] || (finite ? fabs(a.x[at] - out[at]) <= a.own[at]
                                          : isfinite(a.x[at]) == isfinite(out[at])))
            continue;
        att_ctx_why(x, "row %lld, element %lld: the oracle says %.17g, the walk %.17g",
                    (long long)(at / s->dv), (long long)(at % s->dv), out[at], a.x[at]);
        status = ATT_CORRUPT;
    }
    mix_answer_drop(&a);
    free(out);
    return status;
}

static bool make_numbers(const mix_spec *s, mix_numbers *n)
{
    const int64_t rows = s->b * s->hq * s->sq, keys = s->b * s->hkv * s->sk;
    const struct {
        double **at;
        int64_t n;
    } of[] = {{&n->q, rows * s->d},
              {&n->k, keys * s->d},
              {&n->v, keys * n->wide},
              {&n->lambda, s->hq},
              {&n->gate, rows * mix_gate_width(s)},
              {&n->decay, s->b * s->hq * s->sk}};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (!(*of[i].at = calloc((size_t)of[i].n + 1, sizeof(double))))
            return false;
    n->mask = malloc((size_t)(rows * s->sk) + 1);
    n->nq = calloc((size_t)s->b + 1, sizeof *n->nq);
    n->nk = calloc((size_t)s->b + 1, sizeof *n->nk);
    return n->mask && n->nq && n->nk;
}

void mix_inputs_drop(void *inputs)
{
    mix_inputs *in = inputs;

    if (!in)
        return;
    mix_numbers *n = &in->numbers;
    void *owned[] = {n->q, n->k, n->v, n->lambda, n->gate, n->decay, n->mask, n->nq, n->nk};
    for (size_t g = 0; g < in->guards; g++)
        att_guard_drop(&in->guard[g]);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    for (size_t i = 0; i < in->answers; i++)
        mix_answer_drop(&in->answer[i]);
    free(in);
}

const mix_answer *mix_answer_for(mix_inputs *in, const att_units *units)
{
    size_t i = 0;

    while (i < in->answers && memcmp(&in->units[i], units, sizeof *units) != 0)
        i++;
    if (i < in->answers)
        return &in->answer[i];
    if (i == MIX_ANSWERS) /* as many as there is room for: the last one makes place */
        mix_answer_drop(&in->answer[in->answers = --i]);
    if (mix_walk(&in->spec, &in->numbers, NULL, units, &in->answer[i]) != ATT_OK)
        return NULL;
    in->units[in->answers++] = *units;
    return &in->answer[i];
}

static void state_problem(mix_inputs *in)
{
    const mix_spec *s = &in->spec;
    att_problem *p = &in->given;

    *p = att_problem_init();
    p->batch = s->b;
    p->heads_q = s->hq;
    p->heads_kv = s->hkv;
    p->q_len = s->sq;
    p->kv_len = s->sk;
    p->head_dim = s->d;
    p->value_dim = s->dv;
    p->scale = s->scale;
    p->window_left = s->left;
    p->causal = parity_is(s->causal, "none") ? ATT_CAUSAL_NONE
                : parity_is(s->causal, "tl") ? ATT_CAUSAL_TOP_LEFT
                                             : ATT_CAUSAL_BOTTOM_RIGHT;
    in->section.kind = s->kind;
    if (mix_selects(s->kind)) {
        in->section.block = s->kind == ATT_MIX_NSA ? s->block : 0;
        in->section.keep = s->keep;
        in->section.window = s->window;
    }
    p->mix = &in->section;
}

att_status mix_inputs_make(att_ctx *x, const mix_spec *spec, mix_inputs **out)
{
    mix_inputs *in = calloc(1, sizeof *in);
    att_status status = ATT_NO_MEMORY;

    *out = NULL;
    if (!in)
        return status;
    in->spec = *spec;
    in->numbers.wide = att_error_pad(spec->dv);
    state_problem(in);
    if (!make_numbers(spec, &in->numbers))
        goto done;
    make_values(x, spec, &in->numbers);
    if (store(in))
        status = check(x, in);
done:
    if (status == ATT_NO_MEMORY)
        att_ctx_why(x, "no memory for the inputs");
    if (status == ATT_OK)
        *out = in;
    else
        mix_inputs_drop(in);
    return status;
}
