/* SPDX-License-Identifier: Apache-2.0 */
/* Backward kernels that only tests have: right ones that go other ways, and one for each mistake
 * that grad must see and name. */
#ifndef ATT_MADE_BACKWARD_H
#define ATT_MADE_BACKWARD_H

#include "common/back.h"
#include "kernels/table.h"

/* ------------------------------------------------------------------------ right ones */

static float own_top(const att_back_row *w)
{
    float top = -INFINITY;

    for (int64_t j = 0; j < w->seq->kv_len; j++)
        if (att_back_allowed(w, j)) {
            const float x = att_back_logit(w, j, att_back_score(w, j));
            top = isnan(x) || x > top ? x : top;
        }
    return top;
}

/* The LSE of its own scores. */
static float own_lse(const att_back_row *w)
{
    const att_problem *p = w->rules->p;
    const float z = p->sinks.data ? att_per_head(&p->sinks, w->row.h) : -INFINITY;
    float top = own_top(w), sum;

    top = z > top ? z : top;
    sum = expf(z - top);
    for (int64_t j = 0; j < w->seq->kv_len; j++)
        if (att_back_allowed(w, j))
            sum += expf(att_back_logit(w, j, att_back_score(w, j)) - top);
    return top + logf(sum);
}

/* D as the sum of p and dp. */
static float own_mean(const att_back_row *w)
{
    float sum = 0.0f;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_back_allowed(w, j))
            continue;
        const float p = expf(att_back_logit(w, j, att_back_score(w, j)) - w->lse);
        att_back_key(w, &w->rules->p->v, j, w->v);
        sum += p * att_dot(w->dout, w->v, w->rules->p->value_dim);
    }
    return sum;
}

static float as_stored(const att_back_row *w, float x)
{
    uint64_t room;

    att_store(&room, w->rules->p->q.dtype, 0, x);
    return att_load(&room, w->rules->p->q.dtype, 0);
}

/* p and ds in the storage type before they meet dout, k and q. */
static void add_rounded(const att_back_row *w, int64_t j, float p, float ds, float du)
{
    att_back_add(w, j, as_stored(w, p), ds, as_stored(w, du));
}

/* ------------------------------------------------------------------------ wrong ones */

static float no_mean(const att_back_row *w)
{
    (void)w;
    return 0.0f;
}

static float no_slope(const att_back_row *w, float score)
{
    (void)w, (void)score;
    return 1.0f;
}

static float lse_without_sink(const att_back_row *w)
{
    const att_problem *p = w->rules->p;

    return ((const float *)p->lse
                .data)[att_tensor_at(&p->lse, 0, w->seq->at, w->row.h, w->seq->q_at + w->row.i)];
}

static bool every_key(const att_back_row *w, int64_t j)
{
    return j < w->seq->kv_len;
}

static bool every_head(const att_problem *p, int64_t h)
{
    (void)p, (void)h;
    return true;
}

static void add_parts(const att_back_row *w, int64_t j, float value, float to_k, float to_q)
{
    const att_problem *p = w->rules->p;

    att_axpy(value, w->dout, p->value_dim, w->dv + j * p->value_dim);
    att_axpy(to_k, w->q, p->head_dim, w->dk + j * p->head_dim);
    att_axpy(to_q, w->k, p->head_dim, w->dq);
}

static void add_dq_unscaled(const att_back_row *w, int64_t j, float p, float ds, float du)
{
    (void)ds;
    add_parts(w, j, p, w->rules->scale * du, du);
}

static void add_dk_unscaled(const att_back_row *w, int64_t j, float p, float ds, float du)
{
    (void)ds;
    add_parts(w, j, p, du, w->rules->scale * du);
}

static void add_raw(const att_back_row *w, int64_t j, float p, float ds, float du)
{
    float k[256];

    (void)ds;
    memcpy(k, w->k, (size_t)w->rules->p->head_dim * sizeof *k); /* own_top reads keys into w->k */
    const float raw = p * expf(w->lse - own_top(w));
    memcpy(w->k, k, (size_t)w->rules->p->head_dim * sizeof *k);
    add_parts(w, j, raw, w->rules->scale * du, w->rules->scale * du);
}

/* The ways of the kernels below, by name. */
static const struct made_way {
    const char *name;
    att_back way;
} made_ways[] = {
    {"back_plain", {0}},
    {"back_own_sums", {.lse = own_lse, .mean = own_mean}},
    {"back_rounded", {.add = add_rounded}},
    {"back_dq_unscaled", {.add = add_dq_unscaled}},
    {"back_dk_unscaled", {.add = add_dk_unscaled}},
    {"back_no_mean", {.mean = no_mean}},
    {"back_last_head", {.starts = every_head}},
    {"back_no_slope", {.slope = no_slope}},
    {"back_raw", {.add = add_raw}},
    {"back_no_sink", {.lse = lse_without_sink}},
    {"back_all_keys", {.allowed = every_key}},
};

static att_status made_backward(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    size_t i = 0;

    while (strcmp(made_ways[i].name, self->name) != 0)
        i++;
    return att_back_plain(p, &made_ways[i].way, s);
}

/* ---------------------------------------------------------------------------- memory */

/* Writes one element past the last of dv. */
static att_status beyond_backward(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s)
{
    const att_back right = {0};
    const att_status status = att_back_plain(p, &right, s);
    const att_tensor *t = &p->grad->dv;

    (void)self;
    att_store(t->data, t->dtype,
              att_tensor_at(t, t->shape[0] - 1, t->shape[1] - 1, t->shape[2] - 1, t->shape[3]),
              0.0f);
    return status;
}

/* Leaves gradients of keys that nobody sees unwritten. */
static att_status lazy_backward(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_back right = {0};
    const att_status status = att_back_plain(p, &right, s);
    const att_tensor *t = &p->grad->dk;

    (void)self;
    for (int64_t d = 0; p->causal && d < p->head_dim; d++) /* the last key of top-left's surplus */
        att_store(t->data, t->dtype, att_tensor_at(t, 0, 0, p->kv_len - 1, d), NAN);
    return status;
}

/* ------------------------------------------------------------------------------- f64 */

/* The oracle, but for one element of dv that is off by a millionth. */
static att_status bent_backward(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_kernel *oracle = att_kernel_table(NULL)->kernels[0];
    const att_status status = oracle->attend_backward(oracle, p, s);
    const att_tensor *t = &p->grad->dv;

    (void)self;
    if (status == ATT_OK && t->dtype == ATT_F64)
        ((double *)t->data)[att_tensor_at(t, 0, 0, 3, 2)] *= 1 + 1e-6;
    return status;
}

static att_status bent_supports(const att_kernel *self, att_op op, const att_problem *p,
                                const att_value *params, att_reason *why)
{
    const att_kernel *oracle = att_kernel_table(NULL)->kernels[0];

    (void)self;
    return oracle->supports(oracle, op, p, params, why);
}

static att_status bent_plan(const att_kernel *self, att_op op, const att_problem *p,
                            const att_value *params, att_plan *out)
{
    const att_kernel *oracle = att_kernel_table(NULL)->kernels[0];

    (void)self;
    return oracle->plan(oracle, op, p, params, out);
}

/* All of them; ends with NULL. */
static const att_kernel *const *made_backwards(void)
{
    enum { WAYS = sizeof made_ways / sizeof *made_ways };
    static att_kernel kernel[WAYS + 3];
    static const att_kernel *list[WAYS + 4];
    const att_kernel base = {.struct_size = sizeof(att_kernel),
                             .abi = ATT_ABI,
                             .family = "made",
                             .summary = "a backward of the tests",
                             .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
                             .supports = att_back_supports,
                             .plan = att_back_plan_of,
                             .attend_backward = made_backward};

    for (size_t i = 0; i < WAYS + 3; i++) {
        kernel[i] = base;
        list[i] = &kernel[i];
        if (i < WAYS)
            kernel[i].name = made_ways[i].name;
    }
    kernel[2].precision.prob = ATT_DTYPES; /* back_rounded */
    kernel[WAYS].name = "back_beyond";
    kernel[WAYS].attend_backward = beyond_backward;
    kernel[WAYS + 1].name = "back_lazy";
    kernel[WAYS + 1].attend_backward = lazy_backward;
    kernel[WAYS + 2].name = "back_bent";
    kernel[WAYS + 2].attend_backward = bent_backward;
    kernel[WAYS + 2].supports = bent_supports;
    kernel[WAYS + 2].plan = bent_plan;
    kernel[WAYS + 2].precision =
        (att_precision){.acc = ATT_F64, .prob = ATT_F64, .out = ATT_DTYPES};
    return list;
}

#endif
