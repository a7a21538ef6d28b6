/* SPDX-License-Identifier: Apache-2.0 */
/* Making a recurrent case: numbers of a family -> stored (rounded, strided) -> read back, so that
 * the oracle sees exactly what a kernel sees -> frozen -> the recurrence walked in float64, which
 * the oracle's own and the quadratic form must equal (three forms, written apart).  Done once,
 * shared by all kernels.
 *
 * q and k of the delta rules are L2-normalised, as their contract asks of whoever calls them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/recur.h"

#define SUMS_LIMIT ((int64_t)1 << 24)

int64_t recur_call_length(const recur_spec *s, int64_t first)
{
    static const int64_t ragged[] = {1, 15, 2, 17, 1, 64};
    int64_t n = s->t - first, at = 0;

    if (parity_is(s->calls, "whole"))
        return n;
    if (!parity_is(s->calls, "ragged")) {
        int64_t most = strtoll(s->calls + 2, NULL, 10);
        return n < most ? n : most;
    }
    for (int i = 0; at < s->t; i = (i + 1) % 6) {
        if (at == first)
            return n < ragged[i] ? n : ragged[i];
        at += ragged[i];
    }
    return n;
}

void recur_map(const recur_spec *s, const double *x, double *out)
{
    const int64_t n = s->d;

    for (int64_t c = 0; c < n && s->rule != ATT_RULE_BASED; c++)
        out[c] = s->rule != ATT_RULE_LINEAR_ELU1 ? x[c] : x[c] > 0 ? x[c] + 1 : exp(x[c]);
    if (s->rule != ATT_RULE_BASED)
        return;
    out[0] = 1;
    memcpy(out + 1, x, (size_t)n * sizeof *x);
    for (int64_t c = 0; c < n * n; c++)
        out[1 + n + c] = x[c / n] * x[c % n] / sqrt(2.0);
}

double recur_work(const recur_spec *s)
{
    return (double)s->b * (double)(s->hq + s->hkv) * (double)s->t * (double)recur_features(s) *
           (double)s->dv;
}

bool recur_fits(const recur_spec *s)
{
    const int64_t of[] = {s->b, s->hq, s->t + recur_features(s), s->d + s->dv};
    int64_t cells = 1;

    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (of[i] < 0 || __builtin_mul_overflow(cells, of[i] ? of[i] : 1, &cells))
            return false;
    return cells <= SUMS_LIMIT && recur_work(s) <= 0x1p34;
}

/* ---------------------------------------------------------------------------- numbers */

static void fill(att_rng *rng, double *x, int64_t n, double size)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = size * att_rng_normal(rng);
}

static void normalise(double *x, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n) {
        double sum = 0;
        for (int64_t c = 0; c < n; c++)
            sum += x[c] * x[c];
        for (int64_t c = 0; c < n; c++)
            x[c] = sum > 0 ? x[c] / sqrt(sum) : x[c];
    }
}

/* Row r of v (token r % t) by family; true where the family has its own. */
static void shape_value(const recur_spec *s, att_rng *rng, int64_t r, double *v)
{
    const int64_t t = r % s->t;

    for (int64_t d = 0; d < s->dv; d++) {
        if (parity_is(s->values, "ones"))
            v[d] = 1;
        if (parity_is(s->values, "coded")) /* a binary code of the token's index */
            v[d] = (t + 1) >> (d % 12) & 1 ? 1 : -1;
        if (parity_is(s->values, "large"))
            v[d] *= pow(10, 1.5 + att_rng_unit(rng));
        if (parity_is(s->values, "heavy"))
            v[d] *= exp(1.5 * att_rng_normal(rng));
        if (parity_is(s->values, "constant") && t)
            v[d] = (v - t * s->dv)[d];
    }
}

static void shape_key(const recur_spec *s, att_rng *rng, int64_t r, double *k)
{
    const int64_t t = r % s->t;

    if (parity_is(s->values, "outlier"))
        k[0] += 12;
    for (int64_t c = 0; c < s->d; c++) {
        if (parity_is(s->values, "heavy"))
            k[c] *= exp(0.5 * att_rng_normal(rng));
        if (parity_is(s->values, "onehot"))
            k[c] = c == t % s->d;
        if (parity_is(s->values, "constant") && t)
            k[c] = (k - t * s->d)[c];
    }
}

/* A NaN in one token of every head, in k or v by turns: it reaches that token and those after. */
static void poison(const recur_spec *s, att_rng *rng, recur_numbers *n)
{
    for (int64_t head = 0; head < s->b * s->hkv && s->t > 0; head++) {
        int64_t row = head * s->t + (int64_t)att_rng_below(rng, (uint64_t)s->t);
        if (head % 3 == 2)
            n->k[row * s->d + s->d / 2] = (double)NAN;
        else
            n->v[row * s->dv + s->dv / 2] = (double)NAN;
    }
}

static double gate(const recur_spec *s, att_rng *rng, int64_t t)
{
    static const double mixed[] = {0, -1e-4, -0.3, -5, -100}, steep[] = {0, -1e-3, -2, -1e4};
    const double x = att_rng_unit(rng);

    if (parity_is(s->gates, "near"))
        return -0.01 * x;
    if (parity_is(s->gates, "mild"))
        return log(0.9 + 0.09 * x);
    if (parity_is(s->gates, "strong"))
        return -1 - 29 * x;
    if (parity_is(s->gates, "mixed"))
        return mixed[(int)(5 * x)];
    if (parity_is(s->gates, "steep")) /* forgets all at once, now and then */
        return steep[x > 0.95 ? 3 : x > 0.85 ? 2 : x > 0.4];
    if (parity_is(s->gates, "fading")) /* what is summed early must not blur what comes late */
        return t < s->t / 2 ? -20 * x : -0.003 * x;
    return 0;
}

static double beta(const recur_spec *s, att_rng *rng)
{
    const double x = att_rng_unit(rng);

    if (parity_is(s->betas, "zero"))
        return 0;
    if (parity_is(s->betas, "one"))
        return 1;
    return x < 0.1 ? 0 : x > 0.9 ? 1 : x;
}

/* What a normaliser is when a call begins: sums of features of some keys. */
static void make_normaliser(const recur_spec *s, att_rng *rng, recur_numbers *n)
{
    const int64_t heads = s->b * s->hkv, f = recur_features(s);

    for (int64_t i = 0; i < heads * f; i++)
        n->z[i] = 0.5 + fabs(att_rng_normal(rng));
    for (int64_t h = 0; h < heads && s->rule == ATT_RULE_BASED; h++) {
        double *z = n->z + h * f;
        for (int64_t c = 0; c < f; c++)
            z[c] = c == 0 ? 1 : c <= s->d ? 0.3 * att_rng_normal(rng) : 0;
        for (int64_t c = 0; c < s->d * s->d; c++)
            z[1 + s->d + c] = z[1 + c / s->d] * z[1 + c % s->d] / sqrt(2.0);
    }
}

static void make_values(att_ctx *x, const recur_spec *s, recur_numbers *n)
{
    att_rng values = att_ctx_group_rng(x, "values"), gates = att_ctx_group_rng(x, "gates");
    const int64_t rows = s->b * s->hkv * s->t, queries = s->b * s->hq * s->t;
    const int64_t heads = s->b * s->hkv;

    fill(&values, n->q, queries * s->d,
         parity_is(s->values, "small")   ? 1e-6
         : parity_is(s->values, "still") ? 0
                                         : 1);
    fill(&values, n->k, rows * s->d, 1);
    fill(&values, n->v, rows * s->dv, 1);
    for (int64_t r = 0; r < rows; r++) {
        shape_key(s, &values, r, n->k + r * s->d);
        shape_value(s, &values, r, n->v + r * s->dv);
    }
    if (recur_delta(s->rule)) {
        normalise(n->q, queries, s->d);
        normalise(n->k, rows, s->d);
    }
    if (parity_is(s->values, "nan"))
        poison(s, &values, n);
    for (int64_t r = 0; r < rows; r++) {
        n->beta[r] = beta(s, &gates);
        for (int64_t c = 0; c < s->d; c++)
            n->g[r * s->d + c] = c && !s->channels ? n->g[r * s->d] : gate(s, &gates, r % s->t);
    }
    fill(&values, n->s, heads * recur_features(s) * s->dv, 0.7);
    make_normaliser(s, &values, n);
}

/* ---------------------------------------------------------------------------- storage */

/* x, dense [n0,n1,n2,n3], into guarded memory of the case's layout and back, rounded.  `wide` > n3:
 * only the first of each of x's rows of `wide` is stored (a gate for the whole head). */
static bool put(recur_inputs *in, int32_t dtype, const int64_t n[4], int64_t wide, double *x,
                att_tensor *out)
{
    const parity_shape shape = parity_shape_of(in->spec.layout, n[0], n[1], n[2], n[3]);
    att_guard *g = &in->guard[in->guards];

    if (!att_guard_make(g, (size_t)shape.extent * att_dtype_size(dtype), in->spec.place))
        return false;
    in->guards++;
    *out = parity_tensor(&shape, g->data, dtype);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t r = 0; r < n[0] * n[1] * n[2]; r++)
            for (int64_t c = 0; c < wide; c++) {
                int64_t at = att_tensor_at(out, r / n[2] / n[1], r / n[2] % n[1], r % n[2],
                                           c < n[3] ? c : 0);
                double *value = &x[r * wide + c];
                if (pass)
                    *value = att_fp_load(out->data, dtype, at);
                else if (c < n[3])
                    att_fp_store(out->data, dtype, at, *value);
            }
    return true;
}

static bool store(recur_inputs *in)
{
    const recur_spec *s = &in->spec;
    const int64_t q[] = {s->b, s->hq, s->t, s->d}, k[] = {s->b, s->hkv, s->t, s->d};
    const int64_t v[] = {s->b, s->hkv, s->t, s->dv}, one[] = {s->b, s->hkv, s->t, 1};
    const int64_t state[] = {s->b, s->hkv, recur_features(s), s->dv};
    const int64_t z[] = {s->b, s->hkv, 1, recur_features(s)};
    recur_numbers *n = &in->numbers;
    att_recur *r = &in->section;

    if (!put(in, s->dtype, q, s->d, n->q, &in->given.q) ||
        !put(in, s->dtype, k, s->d, n->k, &in->given.k) ||
        !put(in, s->dtype, v, s->dv, n->v, &in->given.v))
        return false;
    if (recur_gated(s->rule) && !put(in, ATT_F32, s->channels ? k : one, s->d, n->g, &r->g))
        return false;
    if (recur_delta(s->rule) && !put(in, s->dtype, one, 1, n->beta, &r->beta))
        return false;
    if (s->starts && (!put(in, ATT_F32, state, s->dv, n->s, &r->state_in) ||
                      (recur_normed(s->rule) && !put(in, ATT_F32, z, z[3], n->z, &r->z_in))))
        return false;
    for (size_t g = 0; g < in->guards; g++)
        att_guard_freeze(&in->guard[g], true);
    return true;
}

/* ----------------------------------------------------------------------------- oracle */

static bool agrees(const recur_field *f, const double *oracle)
{
    for (int64_t i = 0; i < f->n; i++) {
        if (isnan(f->x[i]) != isnan(oracle[i]))
            return false;
        if (!isnan(oracle[i]) &&
            !(fabs(f->x[i] - oracle[i]) <= 0x1p-51 * (f->units[i] + fabs(oracle[i])) + 0x1p-1060))
            return false;
    }
    return true;
}

/* The oracle's recurrence on what the kernel gets, and the quadratic form, must be the walk's, to
 * float64 rounding. */
static att_status check(att_ctx *x, const recur_inputs *in)
{
    const recur_spec *s = &in->spec;
    const recur_answer *a = &in->answer;
    double *room = calloc((size_t)(a->out.n + a->s.n + a->z.n) + 1, sizeof *room);
    const bool normed = recur_normed(s->rule);
    const int64_t f = recur_features(s);
    att_recur section = in->section;
    att_problem p = in->given;

    if (!room)
        return ATT_NO_MEMORY;
    double *state = room + a->out.n, *z = state + a->s.n;
    p.recur = &section;
    p.out = att_tensor_dense(room, ATT_F64, s->b, s->hq, s->t, s->dv);
    section.state_out = att_tensor_dense(state, ATT_F64, s->b, s->hkv, f, s->dv);
    if (normed)
        section.z_out = att_tensor_dense(z, ATT_F64, s->b, s->hkv, 1, f);
    att_status status = att_ctx_oracle(x, ATT_OP_RECUR, &p);
    if (status == ATT_OK &&
        (!agrees(&a->out, room) || !agrees(&a->s, state) || (normed && !agrees(&a->z, z)))) {
        att_ctx_why(x, "the oracle's recurrence and the one walked here do not agree");
        status = ATT_CORRUPT;
    }
    if (status == ATT_OK)
        status = recur_twin(s, &in->numbers, room, state, z);
    if (status == ATT_OK &&
        (!agrees(&a->out, room) || !agrees(&a->s, state) || (normed && !agrees(&a->z, z)))) {
        att_ctx_why(x, "the recurrence and its quadratic form do not agree");
        status = ATT_CORRUPT;
    }
    free(room);
    return status;
}

static bool make_numbers(const recur_spec *s, recur_numbers *n)
{
    const int64_t rows = s->b * s->hkv * s->t, heads = s->b * s->hkv;
    const struct {
        double **at;
        int64_t n;
    } of[] = {{&n->q, s->b * s->hq * s->t * s->d},
              {&n->k, rows * s->d},
              {&n->v, rows * s->dv},
              {&n->g, rows * s->d},
              {&n->beta, rows},
              {&n->s, heads * recur_features(s) * s->dv},
              {&n->z, heads * recur_features(s)}};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (!(*of[i].at = calloc((size_t)of[i].n + 1, sizeof(double))))
            return false;
    return true;
}

void recur_inputs_drop(void *inputs)
{
    recur_inputs *in = inputs;

    if (!in)
        return;
    for (size_t g = 0; g < in->guards; g++)
        att_guard_drop(&in->guard[g]);
    double *owned[] = {in->numbers.q,    in->numbers.k, in->numbers.v, in->numbers.g,
                       in->numbers.beta, in->numbers.s, in->numbers.z};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    recur_answer_drop(&in->answer);
    free(in);
}

att_status recur_inputs_make(att_ctx *x, const recur_spec *spec, recur_inputs **out)
{
    recur_inputs *in = calloc(1, sizeof *in);
    att_status status = ATT_NO_MEMORY;

    *out = NULL;
    if (!in)
        return status;
    in->spec = *spec;
    in->given = att_problem_init();
    in->given.batch = spec->b;
    in->given.heads_q = spec->hq;
    in->given.heads_kv = spec->hkv;
    in->given.q_len = in->given.kv_len = spec->t;
    in->given.head_dim = spec->d;
    in->given.value_dim = spec->dv;
    in->given.scale = spec->scale;
    in->section.rule = spec->rule;
    if (!make_numbers(spec, &in->numbers))
        goto done;
    make_values(x, spec, &in->numbers);
    if (!store(in))
        goto done;
    status = recur_answer_make(spec, &in->answer);
    if (status == ATT_OK)
        status = recur_walk(spec, &in->numbers, NULL, &in->answer);
    if (status == ATT_OK)
        status = check(x, in);
done:
    if (status == ATT_NO_MEMORY)
        att_ctx_why(x, "no memory for the inputs");
    if (status == ATT_OK)
        *out = in;
    else
        recur_inputs_drop(in);
    return status;
}
