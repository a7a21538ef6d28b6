/* SPDX-License-Identifier: Apache-2.0 */
/* Were the k largest scores kept?  Scores in float64, each with what a kernel's may be off by. */
#include <math.h>

#include "evals/numeric/parity_own.h"

/* By how much the best dropped score beats the worst kept one, in units of both their errors. */
static double gap_of(const parity_scores *r, const uint8_t *may, const uint8_t *kept)
{
    int64_t low = -1, high = -1;

    for (int64_t j = 0; j < r->n; j++) {
        if (may[j] && kept[j] && (low < 0 || r->s[j] < r->s[low]))
            low = j;
        if (may[j] && !kept[j] && (high < 0 || r->s[j] > r->s[high]))
            high = j;
    }
    if (low < 0 || high < 0 || !(r->s[high] > r->s[low]))
        return 0;
    const double errors = r->err[high] + r->err[low];
    return errors > 0 ? (r->s[high] - r->s[low]) / errors : (double)INFINITY;
}

void parity_scores_add(parity_tally *c, const parity_scores *r, int64_t k, const uint8_t *may,
                       const uint8_t *kept)
{
    int64_t all = 0, have = 0;
    bool known = true;

    for (int64_t j = 0; j < r->n; j++) {
        all += may[j] != 0;
        have += may[j] && kept[j];
        known = known && (!may[j] || (isfinite(r->s[j]) && isfinite(r->err[j])));
    }
    all = all < k ? all : k;
    c->missing += have < all ? all - have : 0;
    c->over += have > all ? have - all : 0;
    if (known)
        c->gap = att_error_fold(c->gap, gap_of(r, may, kept));
}

bool parity_tally_holds(const parity_tally *c)
{
    return c->gap <= 1 && c->missing == 0 && c->over == 0;
}

void parity_tally_record(att_ctx *x, const parity_tally *c)
{
    att_ctx_record(x, "select_gap", c->gap);
    att_ctx_record(x, "select_short", (double)c->missing);
    att_ctx_record(x, "select_over", (double)c->over);
}

int64_t parity_value(const att_variant_part *part, const char *name)
{
    const att_param *table = part->kernel->params;

    for (int i = 0; table && table[i].name; i++)
        if (parity_is(table[i].name, name) && table[i].type == ATT_PARAM_INT)
            return part->values[i].i;
    return -1;
}
