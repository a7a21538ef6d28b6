/* SPDX-License-Identifier: Apache-2.0 */
/* Ring attention: queries and keys cut into `ranks` blocks; each block of queries meets the blocks
 * of keys in the order in which a ring of machines passes them on, its own first, and merges each
 * into what it has by their log-sum-exps.
 *
 *   rank r: for t = 0 .. ranks - 1:  part = attend(Q_r, block (r - t) mod ranks);  all = all + part
 *
 * Why: a context too long for one machine; keys and values travel, queries stay.  Beside split_kv,
 * which merges all parts at once, the order differs from rank to rank and partials are rescaled
 * after every block.
 * Bound: that of flash_f32 with `ranks` more rescalings.
 * Complexity: the flops of flash_f32; each rank reads every block it may see.  Cache: Hkv (Dk + Dv)
 * b a token, a part of it on each machine.
 * Source: Liu et al. 2023, "Ring attention with blockwise transformers". */
#include "common/cost.h"
#include "common/part.h"

static const att_param PARAMS[] = {{.name = "ranks",
                                    .type = ATT_PARAM_INT,
                                    .unit = "parts",
                                    .fallback = "4",
                                    .domain = "1:1024",
                                    .levels = "1 3 8",
                                    .help = "machines in the ring"},
                                   {0}};

typedef struct job {
    att_parts w;
    int64_t ranks;
} job;

static void one_rank(const job *g, const att_seq *s, int64_t kv_head, int64_t rank, int64_t slot)
{
    const int64_t rows = att_ceil_div(s->q_len, g->ranks), keys = att_ceil_div(s->kv_len, g->ranks);
    const att_part_rows own = {*s, kv_head, att_min(rank * rows, s->q_len),
                               att_min((rank + 1) * rows, s->q_len)};

    att_part_clear(&g->w, &own, 0);
    for (int64_t t = 0; t < g->ranks; t++) {
        const int64_t block = (rank - t + g->ranks) % g->ranks;
        att_part_clear(&g->w, &own, 1);
        att_part_span(&g->w, &own, 1, slot, block * keys, att_min((block + 1) * keys, s->kv_len));
        att_part_merge(&g->w, &own);
    }
    att_part_finish(&g->w, &own);
}

static void body(void *arg, int64_t slot, int thread)
{
    const job *g = arg;
    const att_problem *p = g->w.p;

    (void)thread;
    for (int64_t t = slot; t < p->batch * p->heads_kv; t += g->w.slots) {
        const att_seq s = att_seq_of(p, t / p->heads_kv);
        for (int64_t rank = 0; rank < g->ranks; rank++)
            one_rank(g, &s, t % p->heads_kv, rank, slot);
    }
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    return att_accept_check(&accept, op, p, why);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    job g = {.ranks = s->params[0].i};
    att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);

    if (status == ATT_OK)
        status = att_parts_open(p, s, &g.w);
    if (status == ATT_OK && g.w.rows > 0)
        s->host->parallel_for(s->host, g.w.slots, body, &g);
    return status;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_parts_plan(p, out);
}

/* As the tile engine counts pairs; read by each rank on its own. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_flash flash = {.keep = ATT_KEEP_ALL, .parts = 1};
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double kv = (double)p->heads_kv;
    const int64_t ranks = params[0].i;
    double rows = 0, read = 0;
    int32_t *marks = att_marks(p);
    const att_status status = marks ? att_flash_cost(p, &flash, out) : ATT_NO_MEMORY;

    (void)self;
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++) {
        const att_seq s = att_seq_of(p, b);
        const int64_t own = att_ceil_div(s.q_len, ranks), keys = att_ceil_div(s.kv_len, ranks);
        for (int64_t n = 0; n < ranks * ranks; n++) {
            const int64_t first = n / ranks * own, from = n % ranks * keys;
            read += (double)att_part_mark(&rules, &s, att_min(first, s.q_len),
                                          att_min(first + own, s.q_len), from,
                                          att_min(from + keys, s.kv_len), marks);
        }
        rows += (double)att_marked(marks, p->kv_len);
    }
    free(marks);
    if (status)
        return status;
    out->keys_read = fmax(out->keys_read, rows * kv);
    out->flops_executed = out->flops_useful;
    out->kv_bytes_read = read * kv * att_row_bytes(p);
    out->k_rows = out->v_rows = rows * kv;
    out->v_run = 0;
    return ATT_OK;
}

const att_kernel att_kernel_ring = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "ring",
    .family = "exact",
    .summary = "key blocks met in the order of a ring, merged by running LSE",
    .source = "Liu et al. 2023, Ring attention",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
