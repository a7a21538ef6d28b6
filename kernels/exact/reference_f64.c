/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: the whole contract of attn.h in double precision, row by row.
 *
 *   s_j = cap(scale q . k_j) - m_h |p - kp_j| + bias_j      cap(x) = c tanh(x / c)
 *   o   = sum_j exp(s_j - m) v_j / (sum_j exp(s_j - m) + exp(z - m))
 *   LSE = m + ln sum_j exp(s_j - m)
 *
 * over the allowed keys, on the inputs as they were rounded to their storage type.
 * Why: what every kernel is held to.  No tiles, no online rescaling, nothing shared with the
 * kernels that it judges; only the sums are compensated (reference_sum.h).
 * Bound: every result is within a few 2^-53 of exact,
 *   |e| <= sum p_j |v_j - o| expm1(d_j) + 4 2^-53 sum p_j |v_j|,
 *   d_j = 2^-53 (2 [f64 inputs: Dk + 3] a_j + 2 (1 + |s_j - m|) + 2 x_j)   in the rule's notation.
 * O(B Hq Sq Skv (Dk + Dv)).
 * Source: Vaswani et al. 2017, "Attention is all you need"; Ogita, Rump and Oishi 2005, "Accurate
 * sum and dot product". */
#include <stdio.h>

#include "reference_accept.h"
#include "reference_backward.h"
#include "reference_mix.h"
#include "reference_other.h"

/* Room in scratch, in doubles. */
typedef struct room {
    double *k, *v, *q, *w, *sum, *low;
    int64_t *keys; /* the allowed keys of a row */
} room;

static int add_product(size_t *total, int64_t a, int64_t b)
{
    size_t product;

    return a < 0 || b < 0 || __builtin_mul_overflow((size_t)a, (size_t)b, &product) ||
           __builtin_add_overflow(*total, product, total);
}

/* Doubles needed by one call; false on overflow. */
static int room_size(const att_problem *p, att_op op, size_t *doubles)
{
    size_t n = 0;

    if (op == ATT_OP_RECUR)
        n = ref_state_doubles(p);
    if (op == ATT_OP_ATTEND_BACKWARD && !ref_back_size(p, &n))
        return 0;
    if (op == ATT_OP_MIX && !ref_mix_size(p, &n))
        return 0;
    if ((op == ATT_OP_ATTEND || op == ATT_OP_MIX) &&
        (add_product(&n, p->kv_len, p->head_dim) || add_product(&n, p->kv_len, p->value_dim) ||
         add_product(&n, 1, p->head_dim) || add_product(&n, 2, p->kv_len) ||
         add_product(&n, 2, p->value_dim)))
        return 0;
    *doubles = n;
    return n <= SIZE_MAX / sizeof(double);
}

static room room_of(const att_problem *p, double *data)
{
    room r = {.k = data};
    r.v = r.k + p->kv_len * p->head_dim;
    r.w = r.v + p->kv_len * p->value_dim;
    r.q = r.w + p->kv_len;
    r.sum = r.q + p->head_dim;
    r.low = r.sum + p->value_dim;
    r.keys = (int64_t *)(void *)(r.low + p->value_dim);
    return r;
}

/* The final logit of an allowed pair. */
static double logit(const att_problem *p, const ref_sequence *s, const room *r, int64_t h,
                    int64_t i, int64_t j)
{
    double x = att_scale(p) * ref_dot(r->q, r->k + j * p->head_dim, p->head_dim);

    if (p->softcap > 0)
        x = p->softcap * tanh(x / p->softcap);
    if (p->alibi_slopes.data) {
        int64_t gap = ref_gap(ref_query_position(p, s, i), ref_key_position(p, s, j));
        double slope =
            ref_load(p->alibi_slopes.data, p->alibi_slopes.dtype, h * p->alibi_slopes.stride[3]);
        x -= slope * fabs((double)gap);
    }
    return x + ref_bias(p, s->b, h, i, j);
}

static void attend_row(const att_problem *p, const ref_sequence *s, const room *r, int64_t h,
                       int64_t i)
{
    double top = -(double)INFINITY, z = -(double)INFINITY, lse = top;
    ref_sum total = {0, 0};
    int64_t seen = 0, dv = p->value_dim;

    memset(r->sum, 0, (size_t)dv * sizeof(double));
    memset(r->low, 0, (size_t)dv * sizeof(double));
    for (int64_t j = 0; j < s->nk; j++) {
        if (!ref_allowed(p, s, h, i, j))
            continue;
        double x = logit(p, s, r, h, i, j);
        top = isnan(x) || x > top ? x : top;
        r->keys[seen] = j;
        r->w[seen++] = x;
    }
    for (int64_t n = 0; n < seen; n++) {
        double w = exp(r->w[n] - top);
        ref_add(&total, w);
        ref_axpy(w, r->v + r->keys[n] * dv, r->sum, r->low, dv);
    }
    if (seen)
        lse = top + log(ref_total(&total));
    if (p->sinks.data)
        z = ref_load(p->sinks.data, p->sinks.dtype, h * p->sinks.stride[3]);
    double share = seen ? 1 / (1 + exp(z - lse)) : 0;
    for (int64_t d = 0; d < dv; d++) {
        ref_sum o = {r->sum[d], r->low[d]};
        double x = seen ? ref_total(&o) / ref_total(&total) * share : 0;
        ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, s->qb, h, s->q0 + i, d), x);
    }
    if (p->lse.data)
        ref_store(p->lse.data, p->lse.dtype, att_tensor_at(&p->lse, 0, s->qb, h, s->q0 + i), lse);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *scratch)
{
    room r = room_of(p, scratch->data);
    int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    ref_sequence s;

    (void)self;
    for (int64_t b = 0; b < p->batch; b++)
        if (ref_sequence_of(p, b, &s) != ATT_OK)
            return ATT_INVALID; /* before anything is written */
    for (int64_t b = 0; b < p->batch; b++) {
        ref_sequence_of(p, b, &s);
        for (int64_t hk = 0; hk < p->heads_kv; hk++) {
            for (int64_t j = 0; j < s.nk; j++) {
                int64_t i0, i2;
                ref_key_row(p, &s, j, &i0, &i2);
                ref_row(&p->k, &p->k_quant, i0, hk, i2, p->head_dim, r.k + j * p->head_dim);
                ref_row(&p->v, &p->v_quant, i0, hk, i2, p->value_dim, r.v + j * p->value_dim);
            }
            for (int64_t h = hk * group; h < (hk + 1) * group; h++)
                for (int64_t i = 0; i < s.nq; i++) {
                    ref_row(&p->q, NULL, s.qb, h, s.q0 + i, p->head_dim, r.q);
                    attend_row(p, &s, &r, h, i);
                }
        }
    }
    return ATT_OK;
}

static void attend_part(const att_problem *p, double *data)
{
    const att_scratch scratch = {.data = data};

    attend(NULL, p, &scratch); /* lengths were looked at */
}

static att_status mix(const att_kernel *self, const att_problem *p, const att_scratch *scratch)
{
    size_t doubles = 0;

    (void)self;
    room_size(p, ATT_OP_ATTEND, &doubles);
    const ref_mixing m = ref_mixing_of(p, attend_part, scratch->data, doubles);
    return ref_mix(&m);
}

/* allowed[b][h][i][j], 0 outside a sequence's lengths. */
static att_status select_pairs(const att_kernel *self, const att_problem *p,
                               const att_scratch *scratch, uint8_t *allowed)
{
    ref_sequence s;

    (void)self;
    (void)scratch;
    for (int64_t b = 0; b < p->batch; b++) {
        if (ref_sequence_of(p, b, &s) != ATT_OK)
            return ATT_INVALID;
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++)
                for (int64_t j = 0; j < p->kv_len; j++)
                    *allowed++ = i < s.nq && j < s.nk && ref_allowed(p, &s, h, i, j);
    }
    return ATT_OK;
}

static att_status attend_backward(const att_kernel *self, const att_problem *p,
                                  const att_scratch *scratch)
{
    (void)self;
    return ref_backward(p, scratch->data);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *scratch)
{
    (void)self;
    return ref_recur(p, scratch->data);
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *scratch)
{
    (void)self;
    (void)scratch;
    return ref_rope(p);
}

static att_status merge(const att_kernel *self, const att_problem *p, const att_scratch *scratch)
{
    (void)self;
    (void)scratch;
    return ref_merge(p);
}

static att_status refuse(att_reason *why, att_status status, const char *text)
{
    if (why)
        snprintf(why->text, sizeof why->text, "%s", text);
    return status;
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    const char *wrong = NULL;

    (void)self;
    (void)params;
    if (p->struct_size < sizeof *p || p->abi >> 16 != ATT_ABI_MAJOR || p->flags)
        return refuse(why, ATT_UNSUPPORTED,
                      "the problem is of another version or has unknown flags");
    if (p->batch < 0 || p->heads_q < 0 || p->q_len < 0 || p->kv_len < 0 || p->head_dim < 1 ||
        p->value_dim < 1)
        return refuse(why, ATT_INVALID, "a negative length or an empty head");
    if (op == ATT_OP_ATTEND || op == ATT_OP_SELECT || op == ATT_OP_RECUR || op == ATT_OP_MIX ||
        op == ATT_OP_ATTEND_BACKWARD)
        wrong = ref_contradiction(p, op);
    if (op == ATT_OP_ATTEND_BACKWARD && !wrong)
        wrong = ref_back_contradiction(p);
    if (op == ATT_OP_MIX && !wrong)
        wrong = ref_mix_contradiction(p);
    if (op == ATT_OP_RECUR && !wrong)
        wrong = ref_recur_contradiction(p);
    if (op == ATT_OP_ROPE &&
        (!p->rope || p->rope->rotary_dim > p->head_dim || p->rope->rotary_dim < 0))
        wrong = "rope without its section, or wider than the head";
    if (op == ATT_OP_ROPE && !wrong &&
        (p->rope->scaling < ATT_ROPE_PLAIN || p->rope->scaling > ATT_ROPE_LLAMA3))
        return refuse(why, ATT_UNSUPPORTED, "an unknown scaling of rotary frequencies");
    if (op == ATT_OP_MERGE && (!p->merge || p->merge->parts < 0))
        wrong = "merge without its section";
    if (wrong)
        return refuse(why, ATT_INVALID, wrong);
    if (op == ATT_OP_ATTEND_BACKWARD) {
        const char *lacks = ref_back_lacks(p);
        return lacks ? refuse(why, ATT_UNSUPPORTED, lacks) : ATT_OK;
    }
    if (op != ATT_OP_SELECT && !ref_stores(p->out.dtype))
        return refuse(why, ATT_UNSUPPORTED, "writes f64, f32, f16 and bf16 only");
    if (op != ATT_OP_ATTEND && op != ATT_OP_SELECT && op != ATT_OP_RECUR && op != ATT_OP_ROPE &&
        op != ATT_OP_MERGE && op != ATT_OP_MIX)
        return refuse(why, ATT_UNSUPPORTED,
                      "attend, attend_backward, select, recur, rope, merge and mix only");
    return ATT_OK;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    size_t doubles = 0;

    (void)self;
    (void)params;
    if (!room_size(p, op, &doubles))
        return ATT_NO_MEMORY;
    *out = (att_plan){.scratch_bytes = doubles * sizeof(double), .scratch_align = 64};
    return ATT_OK;
}

const att_kernel att_kernel_reference_f64 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "reference_f64",
    .family = "exact",
    .summary = "the oracle: the whole contract in f64 with compensated sums",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .attend = attend,
    .attend_backward = attend_backward,
    .recur = recur,
    .select = select_pairs,
    .rope = rope,
    .merge = merge,
    .mix = mix,
};
