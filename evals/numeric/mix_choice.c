/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks and keys are chosen by score, and whether rounding may choose others: every right
 * kernel finds the same where the worst chosen beats the best left out by more than both may be
 * off.  O(keep n). */
#include "evals/numeric/mix.h"

static bool better(const mix_score *a, const mix_score *b, bool smallest)
{
    return smallest ? a->x < b->x : a->x > b->x;
}

bool mix_choose(const mix_score *score, int64_t n, int64_t keep, bool smallest, uint8_t *chosen)
{
    double least = (double)INFINITY; /* of the chosen: score less its error */

    for (int64_t left = keep; left > 0; left--) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++)
            if (!chosen[c] && (best < 0 || better(&score[c], &score[best], smallest)))
                best = c;
        if (best < 0)
            return false;
        chosen[best] = 1;
        const double sure = (smallest ? -score[best].x : score[best].x) - score[best].off;
        least = sure < least ? sure : least;
    }
    for (int64_t c = 0; c < n && keep > 0; c++)
        if (!chosen[c] && !(least > (smallest ? -score[c].x : score[c].x) + score[c].off))
            return true;
    return false;
}

int64_t mix_force(const mix_spec *s, const mix_reading *r, int64_t at, uint8_t *chosen)
{
    const int64_t own = at / s->block, block[] = {own, 0, own - 1};
    const bool missing[] = {r->own_missing, r->first_missing, r->local_missing};
    int64_t forced = 0;

    for (int f = 0; f < 3 && forced < s->keep + r->keep_more; f++)
        if (!missing[f] && block[f] >= 0 && !chosen[block[f]]) {
            chosen[block[f]] = 1;
            forced++;
        }
    return forced;
}
