/* SPDX-License-Identifier: Apache-2.0 */
/* Does a kNN memory keep what its parameters {k, local} promise?
 *
 *   near:  |p_i - j| < local, all of which are kept
 *   far:   the other allowed keys, of which the k of the largest logits are kept
 *
 * An exact memory (knn_memory) is held to all of it; one that searches lists keeps the near keys
 * and never more than k far ones, and which ones is measured as recall (eval retrieval).  Where two
 * logits are too close to tell apart either key is right. */
#include <stdlib.h>

#include "evals/numeric/parity_own.h"

/* The far pairs; *dropped: near ones that are allowed and not kept. */
static uint8_t *far_pairs(const parity_inputs *in, const parity_inputs *own, int64_t local,
                          int64_t *dropped)
{
    const parity_spec *s = &in->spec;
    const int64_t rows = s->b * s->hq * s->sq;
    uint8_t *far = calloc((size_t)(rows * s->sk) + 1, 1);

    *dropped = 0;
    for (int64_t r = 0; far && r < rows; r++) {
        const int64_t at = parity_position(in, r / s->sq / s->hq, r % s->sq);
        for (int64_t j = 0; j < s->sk; j++) {
            const int64_t n = r * s->sk + j;
            far[n] = (at > j ? at - j : j - at) >= local;
            *dropped += !far[n] && in->allowed[n] && !own->allowed[n];
        }
    }
    return far;
}

att_status parity_check_far(att_ctx *x, parity_inputs *in, const parity_inputs *own, double u_acc)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const int64_t k = parity_value(part, "k"), local = parity_value(part, "local");
    int64_t dropped = 0, over = 0;
    att_profile *all = NULL;

    if (k < 0 || local < 0)
        return ATT_OK;
    att_status status = parity_profile(x, in, u_acc, &all);
    uint8_t *far = status == ATT_OK ? far_pairs(in, own, local, &dropped) : NULL;
    if (status == ATT_OK && !far)
        status = ATT_NO_MEMORY;
    if (status == ATT_OK) {
        const int64_t missing = att_profile_short(all, own->allowed, far, k, &over);
        att_ctx_record(x, "select_pattern", (double)dropped);
        att_ctx_record(x, "select_over", (double)over);
        if (parity_value(part, "probes") < 0) {
            att_ctx_record(x, "select_short", (double)missing);
            att_ctx_record(x, "select_gap", att_profile_gap(all, own->allowed, far));
        }
    }
    free(far);
    return status;
}
