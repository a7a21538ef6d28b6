/* SPDX-License-Identifier: Apache-2.0 */
/* Attention with fewer KV heads: the problem's K and V heads are mean-pooled to `groups`, then
 * attended to exactly.
 *
 *   K'_g = mean of K_h over the Hkv / groups heads h of group g      (V' likewise)
 *
 * Why: what a drop-in conversion of MHA or GQA weights to fewer KV heads costs before any training
 * (pooling the projections is pooling their outputs, rotation included).
 * Bound: on the pooled heads that of common/flash.h; the mean itself is f32.  Scratch for the
 * pooled heads; O(Hkv n (Dk + Dv)) on top, n keys that some query may see.
 * Source: Ainslie et al. 2023, "GQA: training generalized multi-query transformer models". */
#include "common/cost.h"
#include "common/rows.h"

static const att_accept ACCEPT = {
    .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "groups",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "heads",
                                    .fallback = "1",
                                    .domain = "1:65536",
                                    .levels = "1 2",
                                    .help = "KV heads after pooling; must divide the problem's"},
                                   {0}};

typedef struct job {
    const att_problem *from;
    const att_tensor *k, *v; /* pooled */
    int64_t together;        /* heads a group */
} job;

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self;
    if (p->heads_kv > 0 && p->heads_kv % params[0].i)
        return att_refuse(why, ATT_UNSUPPORTED, "%lld KV heads do not pool to %lld groups",
                          (long long)p->heads_kv, (long long)params[0].i);
    return att_accept_check(&ACCEPT, op, p, why);
}

/* The problem on pooled heads, f32, in `room`; returns floats used, -1 on overflow. */
static int64_t pooled(const att_problem *p, const att_value *params, float *room, att_problem *out)
{
    const int64_t groups = p->heads_kv > 0 ? params[0].i : 0;
    const bool paged = p->block_table.data != NULL; /* pages are pooled into rows of their own */
    const int64_t b = paged ? p->batch : p->k.shape[0];
    const int64_t n = paged ? p->kv_len : p->k.shape[2], dk = p->head_dim, dv = p->value_dim;
    int64_t rows, floats;

    if (__builtin_mul_overflow(b * groups, n, &rows) ||
        __builtin_mul_overflow(rows, dk + dv, &floats) || floats > INT64_MAX / 8)
        return -1;
    *out = *p;
    out->heads_kv = groups;
    out->block_table = (att_tensor){0};
    out->page_size = 0;
    out->k = att_tensor_dense(room, ATT_F32, b, groups, n, dk);
    out->v = att_tensor_dense(room ? room + rows * dk : NULL, ATT_F32, b, groups, n, dv);
    return att_round_up(floats, 16);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    const att_flash how = {.keep = ATT_KEEP_ALL};
    att_problem small;
    const int64_t floats = pooled(p, params, NULL, &small);
    const att_status status = floats < 0 ? ATT_NO_MEMORY : att_flash_plan(&small, &how, out);
    if (!status)
        out->scratch_bytes += (size_t)floats * sizeof(float);
    return status;
}

/* Row j of pooled head g, a piece at a time. */
static void pool(const att_problem *p, const att_tensor *from, const att_tensor *to, int64_t b,
                 int64_t g, int64_t j, int64_t together)
{
    const att_seq seq = {.b = b, .kv_at = b};
    const int64_t n = to->shape[3];
    float *out = (float *)to->data + att_tensor_at(to, b, g, j, 0), room[256];
    for (int64_t first = 0; first < n; first += 256) {
        const int64_t some = att_min(256, n - first);
        memset(out + first, 0, (size_t)some * sizeof *out);
        for (int64_t h = 0; h < together; h++) {
            const int64_t at = att_key_at(p, from, &seq, g * together + h, j) +
                               first * from->stride[3];
            att_axpy(1.0f, att_row_floats(from, at, some, room), some, out + first);
        }
        for (int64_t d = first; d < first + some; d++)
            out[d] /= (float)together;
    }
}

/* Rows of k that some query may reach: pooling costs what attention does, not what the cache holds.
 * Packed keys are pooled whole. */
static att_run reach_of(const att_problem *p, int64_t b)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const att_seq seq = att_seq_of(p, b);

    return p->cu_k.data ? (att_run){0, p->k.shape[2]} : att_seq_reach(&rules, &seq);
}

static void body(void *arg, int64_t i, int thread)
{
    const job *w = arg;
    const int64_t groups = w->k->shape[1], b = i / groups, g = i % groups;
    const att_run reach = reach_of(w->from, b);
    (void)thread;
    for (int64_t j = reach.lo; j < reach.hi; j++) {
        pool(w->from, &w->from->k, w->k, b, g, j, w->together);
        pool(w->from, &w->from->v, w->v, b, g, j, w->together);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_flash how = {.keep = ATT_KEEP_ALL};
    att_problem small;
    att_scratch rest = *s;
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    if (status)
        return status;
    const int64_t floats = pooled(p, s->params, s->data, &small);
    if (floats < 0 || s->bytes < (size_t)floats * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    rest.data = (float *)s->data + floats;
    rest.bytes = s->bytes - (size_t)floats * sizeof(float);
    const int64_t tasks = small.k.shape[0] * small.k.shape[1];
    job w = {p, &small.k, &small.v, tasks ? p->heads_kv / small.heads_kv : 1};
    if (tasks)
        s->host->parallel_for(s->host, tasks, body, &w);
    return att_flash_attend(&small, &how, &rest);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    const att_flash how = {.keep = ATT_KEEP_ALL};
    att_problem small = *p;
    double rows = 0;

    small.heads_kv = p->heads_kv > 0 ? params[0].i : 0;
    const att_status status = att_flash_cost(&small, &how, out);
    if (status)
        return status;
    for (int64_t b = 0; b < (p->cu_k.data ? 1 : p->batch); b++) { /* every head is read once */
        const att_run reach = reach_of(p, b);
        rows += (double)(p->heads_kv * (reach.hi - reach.lo));
    }
    out->keys_read = fmax(out->keys_read, rows);
    out->kv_bytes_read = rows * att_row_bytes(p);
    out->k_rows = out->v_rows = rows;
    out->v_run = 0;
    return ATT_OK;
}

const att_kernel att_kernel_pool_kv = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "pool_kv",
    .family = "heads",
    .summary = "K and V heads mean-pooled to fewer, then exact attention",
    .source = "Ainslie et al. 2023, GQA",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
