/* SPDX-License-Identifier: Apache-2.0 */
/* What kNN memories share: all keys near the query, and k of the others.
 *
 *   near: |p - j| < local;   far: the rest, of which the k of the largest logits are kept
 *
 * Why: exact and approximate search, and the zoo's wrong ones, choose among far keys alone.
 * O(n) a row beside the choice (common/choose.h). */
#ifndef ATT_COMMON_NEAR_FAR_H
#define ATT_COMMON_NEAR_FAR_H

#include "common/choose.h"
#include "common/scored.h"

/* Near keys of a row among the n from j0 on: *from .. the returned place. */
static inline int64_t att_near(const att_row *row, int64_t local, int64_t j0, int64_t n,
                               int64_t *from)
{
    *from = att_min(n, att_max(0, att_add_clamped(row->position, 1 - local) - j0));
    return att_min(n, att_max(*from, att_add_clamped(row->position, local) - j0));
}

/* As att_scored.choose.  The near keys are taken out, the far ones closed up and chosen from, and
 * the near put back. */
static inline void att_near_far(const att_row *row, int64_t k, int64_t local, int64_t j0, int64_t n,
                                float *x, att_list *l)
{
    int64_t from, before = 0;
    const int64_t to = att_near(row, local, j0, n, &from), near = to - from, far = n - near;
    float *aside = x + att_ceil_div(far, ATT_W) * ATT_W;

    memcpy(l->x, x + from, (size_t)near * sizeof *x);
    memmove(x + from, x + to, (size_t)(n - to) * sizeof *x);
    memcpy(aside, l->x, (size_t)near * sizeof *x);
    const int64_t kept = att_choose(x, far, j0, k, l->j, l->x);
    while (before < kept && l->j[before] < j0 + from)
        before++;
    for (int64_t c = kept; c-- > before;) {
        l->j[c + near] = l->j[c] + near;
        l->x[c + near] = l->x[c];
    }
    for (int64_t c = 0; c < near; c++) {
        l->j[before + c] = j0 + from + c;
        l->x[before + c] = aside[c];
    }
    l->n = kept + near;
}

#endif
