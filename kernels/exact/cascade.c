/* SPDX-License-Identifier: Apache-2.0 */
/* Cascade attention: sequences whose block tables begin with the same pages are answered together
 * on what they share, then each on its own keys, merged by their log-sum-exps.
 *
 *   (m, l, o) = prefix (m1, l1, o1) + suffix (m2, l2, o2)      (common/part.h)
 *
 * Why: many requests share a system prompt; answered one by one, a batch of B reads its keys and
 * values B times.  Whoever begins with the same page is one group; its prefix is what all of its
 * members have in common and reach with their lengths.
 * Bound: that of flash_f32 with one more rescaling.
 * Complexity: the flops of flash_f32; K/V bytes read: prefix once a group + all suffixes.  Cache:
 * Hkv (Dk + Dv) b a token, prefix pages once.
 * Source: Ye et al. 2024, FlashInfer, "Cascade inference"; Juravsky et al. 2024, "Hydragen". */
#include "common/cascade.h"
#include "common/cost.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_cascade way = {0};
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_cascade_attend(p, &way, s);
}

/* Shared keys are read once for all of a group: as the one that reads most of them does. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_flash flash = {.keep = ATT_KEEP_ALL, .parts = 1};
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double kv = (double)p->heads_kv;
    double keys = 0, rows = 0;
    int32_t *marks = att_marks(p);
    const att_status status = marks ? att_flash_cost(p, &flash, out) : ATT_NO_MEMORY;

    (void)self, (void)params;
    for (int64_t a = 0; a < p->batch && status == ATT_OK; a++) {
        const att_seq leader = att_seq_of(p, a);
        int64_t most = 0;
        if (!att_cascade_leads(p, &leader))
            continue;
        const int64_t shared = att_cascade_shared_keys(p, &leader);
        for (int64_t b = a; b < p->batch; b++) {
            const att_seq s = att_seq_of(p, b);
            if (!att_cascade_follows(p, &leader, b))
                continue;
            most = att_max(most, att_part_mark(&rules, &s, 0, s.q_len, 0, shared, marks));
            keys += (double)att_part_mark(&rules, &s, 0, s.q_len, shared, s.kv_len, marks);
            rows += (double)att_marked(marks, p->kv_len);
        }
        keys += (double)most;
    }
    free(marks);
    if (status)
        return status;
    out->keys_read = fmax(out->keys_read, rows * kv);
    out->kv_bytes_read = keys * kv * att_row_bytes(p);
    out->flops_executed = out->flops_useful;
    out->k_rows = out->v_rows = rows * kv;
    out->v_run = 0;
    return ATT_OK;
}

const att_kernel att_kernel_cascade = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "cascade",
    .family = "exact",
    .summary = "paged sequences answered together on the prefix they share",
    .source = "Ye et al. 2024, FlashInfer; Juravsky et al. 2024, Hydragen",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_cascade_supports,
    .plan = att_cascade_plan,
    .cost = cost,
    .attend = attend,
};
