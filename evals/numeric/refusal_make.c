/* SPDX-License-Identifier: Apache-2.0 */
/* An honest problem, small, each tensor in memory that ends at a page without access. */
#include "evals/numeric/refusal.h"

#include <string.h>

#include "base/fp.h"

enum { B = REFUSAL_B, HQ = REFUSAL_HQ, HKV = REFUSAL_HKV, SQ = REFUSAL_SQ, SK = REFUSAL_SK };
enum { D = REFUSAL_D, PAGES = REFUSAL_PAGES };

static bool make(refusal *r, int32_t dtype, int64_t n0, int64_t n1, int64_t n2, int64_t n3,
                 att_tensor *out)
{
    size_t bytes = (size_t)(n0 * n1 * n2 * n3) * att_dtype_size(dtype);

    if (r->guards == REFUSAL_GUARDS || !att_guard_make(&r->in[r->guards], bytes, ATT_PLACE_FLUSH))
        return false;
    *out = att_tensor_dense(r->in[r->guards++].data, dtype, n0, n1, n2, n3);
    return true;
}

/* Numbers of no meaning, below 1. */
static bool floats(refusal *r, int32_t dtype, int64_t n0, int64_t n1, int64_t n2, int64_t n3,
                   att_tensor *out)
{
    bool made = make(r, dtype, n0, n1, n2, n3, out);

    for (int64_t i = 0; made && i < n0 * n1 * n2 * n3; i++)
        att_fp_store(out->data, dtype, i, (double)(i * 37 % 64) / 64 - 0.5);
    return made;
}

static bool ones(refusal *r, int64_t n0, int64_t n1, int64_t n2, int64_t n3, att_tensor *out)
{
    bool made = make(r, ATT_U8, n0, n1, n2, n3, out);

    if (made)
        memset(out->data, 1, (size_t)(n0 * n1 * n2 * n3));
    return made;
}

static bool ints(refusal *r, const int32_t *from, int64_t n2, int64_t n3, att_tensor *out)
{
    bool made = make(r, ATT_I32, 1, 1, n2, n3, out);

    if (made)
        memcpy(out->data, from, (size_t)(n2 * n3) * sizeof *from);
    return made;
}

static bool positions(refusal *r)
{
    bool made = make(r, ATT_I64, 1, 1, B, SQ, &r->p.q_positions) &&
                make(r, ATT_I64, 1, 1, B, SK, &r->p.k_positions);

    for (int64_t i = 0; made && i < B * SQ; i++)
        ((int64_t *)r->p.q_positions.data)[i] = i % SQ + SK - SQ;
    for (int64_t j = 0; made && j < B * SK; j++)
        ((int64_t *)r->p.k_positions.data)[j] = j % SK;
    r->p.causal = ATT_CAUSAL_POSITIONS;
    return made;
}

static bool result(att_guard *g, int64_t n2, int64_t n3, att_tensor *out)
{
    if (!att_guard_make(g, (size_t)(B * HKV * n2 * n3) * sizeof(float), ATT_PLACE_FLUSH))
        return false;
    *out = att_tensor_dense(g->data, ATT_F32, B, HKV, n2, n3);
    return true;
}

static bool states(refusal *r, int32_t rule)
{
    const bool normed = rule == ATT_RULE_LINEAR_ELU1 || rule == ATT_RULE_BASED;
    const bool delta = rule == ATT_RULE_DELTA || rule == ATT_RULE_GATED_DELTA;
    const bool gated = rule == ATT_RULE_GLA || rule == ATT_RULE_SSD || rule == ATT_RULE_GATED_DELTA;
    const int64_t f = rule == ATT_RULE_BASED ? 1 + D + D * D : D;
    att_recur *section = &r->section;

    section->rule = rule;
    r->p.recur = section;
    r->p.lse = (att_tensor){0};
    return (!gated || floats(r, ATT_F32, B, HKV, SQ, 1, &section->g)) &&
           (!delta || floats(r, ATT_F32, B, HKV, SQ, 1, &section->beta)) &&
           (!normed || (floats(r, ATT_F32, B, HKV, 1, f, &section->z_in) &&
                        result(&r->z_out, 1, f, &section->z_out))) &&
           floats(r, ATT_F32, B, HKV, f, D, &section->state_in) &&
           result(&r->state_out, f, D, &section->state_out);
}

static bool extras(refusal *r, refusal_with with, int32_t dtype, int32_t rule)
{
    static const int32_t q_lengths[B] = {SQ, SQ - 1}, kv_lengths[B] = {SK, SK - 1};
    static const int32_t cu_q[B + 1] = {0, SQ - 1, 2 * SQ - 1}, cu_k[B + 1] = {0, SK, 2 * SK - 1};
    static const int32_t table[B * PAGES] = {5, 0, 3, 2, 6, 1};
    att_problem *p = &r->p;

    switch (with) {
    case REFUSAL_MASK:
        return ones(r, B, 1, SQ, SK, &p->mask);
    case REFUSAL_BIAS:
        return floats(r, dtype, 1, HQ, SQ, SK, &p->bias);
    case REFUSAL_BLOCKS:
        p->block_q = p->block_k = 2;
        return ones(r, 1, HQ, (SQ + 1) / 2, (SK + 1) / 2, &p->block_mask);
    case REFUSAL_SLOPES:
        return floats(r, ATT_F32, 1, 1, 1, HQ, &p->alibi_slopes);
    case REFUSAL_SINKS:
        return floats(r, ATT_F32, 1, 1, 1, HQ, &p->sinks);
    case REFUSAL_POSITIONS:
        return positions(r);
    case REFUSAL_LENGTHS:
        return ints(r, q_lengths, 1, B, &p->q_lengths) && ints(r, kv_lengths, 1, B, &p->kv_lengths);
    case REFUSAL_PACKED:
        return ints(r, cu_q, 1, B + 1, &p->cu_q) && ints(r, cu_k, 1, B + 1, &p->cu_k);
    case REFUSAL_PAGED:
        p->page_size = REFUSAL_PAGE;
        return ints(r, table, B, PAGES, &p->block_table) &&
               ints(r, kv_lengths, 1, B, &p->kv_lengths);
    case REFUSAL_STATE:
    case REFUSAL_NORM:
        return states(r, rule);
    default:
        return true;
    }
}

bool refusal_make(refusal *r, refusal_with with, int32_t dtype, int32_t rule)
{
    bool packed = with == REFUSAL_PACKED, paged = with == REFUSAL_PAGED;
    int64_t batch = packed ? 1 : B, rows = packed ? 2 * SQ - 1 : SQ;
    int64_t pool = paged ? REFUSAL_POOL : batch;
    int64_t all = refusal_recurs(with) ? SQ : SK; /* a recurrence has as many keys as queries */
    int64_t keys = paged ? REFUSAL_PAGE : packed ? 2 * SK - 1 : all;
    att_problem *p = &r->p;

    *r = (refusal){.p = att_problem_init()};
    p->batch = B;
    p->heads_q = HQ;
    p->heads_kv = HKV;
    p->q_len = SQ;
    p->kv_len = all;
    p->head_dim = p->value_dim = D;
    if (!att_guard_make(&r->out, (size_t)(batch * HQ * rows * D) * att_dtype_size(dtype),
                        ATT_PLACE_FLUSH) ||
        !att_guard_make(&r->lse, (size_t)(batch * HQ * rows) * sizeof(float), ATT_PLACE_FLUSH))
        return false;
    p->out = att_tensor_dense(r->out.data, dtype, batch, HQ, rows, D);
    p->lse = att_tensor_dense(r->lse.data, ATT_F32, 1, batch, HQ, rows);
    return floats(r, dtype, batch, HQ, rows, D, &p->q) &&
           floats(r, dtype, pool, HKV, keys, D, &p->k) &&
           floats(r, dtype, pool, HKV, keys, D, &p->v) && extras(r, with, dtype, rule);
}

void refusal_freeze(refusal *r, bool frozen)
{
    for (size_t i = 0; i < r->guards; i++)
        att_guard_freeze(&r->in[i], frozen);
}

size_t refusal_touched(const refusal *r)
{
    return att_guard_written(&r->out) + att_guard_written(&r->lse) +
           att_guard_written(&r->state_out) + att_guard_written(&r->z_out);
}

void refusal_drop(refusal *r)
{
    for (size_t i = 0; i < r->guards; i++)
        att_guard_drop(&r->in[i]);
    att_guard_drop(&r->out);
    att_guard_drop(&r->lse);
    att_guard_drop(&r->state_out);
    att_guard_drop(&r->z_out);
}
