/* SPDX-License-Identifier: Apache-2.0 */
/* Control: answers without looking at K and V: a vector drawn at random for each row.
 *
 *   o_id = sqrt(3 / Dv) u_id, u_id uniform in (-1, 1) by the hash of (stream, batch, head,
 * position, d): E |o_i|^2 = 1        LSE = 0
 *
 * Why: what guessing is worth; a task whose chance level is right gives it just that.
 * Bound: none: it computes nothing. */
#include <math.h>

#include "common/accept.h"
#include "common/softmax.h"

static const att_accept ACCEPT = {
    .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "stream",
                                    .type = ATT_PARAM_INT,
                                    .unit = "",
                                    .fallback = "1",
                                    .domain = "0:1073741824",
                                    .help = "of the draws"},
                                   {0}};

typedef struct job {
    const att_problem *p;
    att_rules rules;
    uint64_t stream;
    float *room; /* [batch * heads_q][value_dim] */
} job;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 29) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static void guess_head(void *arg, int64_t t, int thread)
{
    const job *w = arg;
    const att_problem *p = w->p;
    const att_seq seq = att_seq_of(p, t / p->heads_q);
    const float size = sqrtf(3.0f / (float)p->value_dim);
    float *o = w->room + t * p->value_dim;

    (void)thread;
    for (int64_t i = 0; i < seq.q_len; i++) {
        const att_row row = att_row_of(&w->rules, &seq, t % p->heads_q, i);
        const uint64_t key = mix(w->stream + mix((uint64_t)t + mix((uint64_t)row.position)));
        const bool empty = row.hi <= row.lo;
        for (int64_t d = 0; d < p->value_dim; d++)
            o[d] = size * ((float)(mix(key + (uint64_t)d) >> 40) * 0x1p-23f - 1.0f);
        att_softmax_finish(p, &seq, &row, empty, empty ? -INFINITY : 0.0f, 1.0f, o);
    }
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)(p->batch * p->heads_q * p->value_dim) * sizeof(float);
    return ATT_OK;
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)p, (void)params;
    *out = (att_cost){0};
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    job w = {p, att_rules_make(p, ATT_KEEP_ALL), (uint64_t)s->params[0].i, s->data};
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);

    if (status)
        return status;
    if (s->bytes < (size_t)(p->batch * p->heads_q * p->value_dim) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    if (p->batch * p->heads_q > 0)
        s->host->parallel_for(s->host, p->batch * p->heads_q, guess_head, &w);
    return ATT_OK;
}

const att_kernel att_kernel_guess = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "guess",
    .family = "control",
    .summary = "crippled: answers at random, reads nothing",
    .source = "control",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
