/* SPDX-License-Identifier: Apache-2.0 */
/* d = (w - l) / n, w and l the items that only one side hit.
 *
 * Its interval is the wider, on each side, of two: Student's t over contexts, because items that
 * share a context are not independent; and Bonett and Price 2012 (one item added to each of w and
 * l), because a sample without a discordant pair does not prove that there is none. */
#include "paired.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct step {
    int32_t cluster, difference;
} step;

static int by_cluster(const void *a, const void *b)
{
    const step *x = a, *y = b;
    return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

static bool reserve(att_paired *p, size_t more)
{
    if (more > SIZE_MAX / sizeof *p->context / 4 - p->contexts)
        return false;
    size_t need = p->contexts + more;
    if (need <= p->room)
        return true;
    double *grown = realloc(p->context, 2 * need * sizeof *grown);
    if (!grown)
        return false;
    p->context = grown;
    p->room = 2 * need;
    return true;
}

bool att_paired_add(att_paired *p, const att_item *base, const att_item *own, size_t n)
{
    step *steps = n < SIZE_MAX / sizeof *steps ? malloc((n + 1) * sizeof *steps) : NULL;

    if (!steps || !reserve(p, n)) {
        free(steps);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        steps[i] = (step){own[i].cluster, (own[i].hit != 0) - (base[i].hit != 0)};
        p->wins += steps[i].difference > 0;
        p->losses += steps[i].difference < 0;
    }
    p->n += (int64_t)n;
    qsort(steps, n, sizeof *steps, by_cluster);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || steps[i].cluster != steps[i - 1].cluster)
            p->context[p->contexts++] = 0.0;
        p->context[p->contexts - 1] += steps[i].difference;
    }
    free(steps);
    return true;
}

bool att_paired_merge(att_paired *to, const att_paired *from)
{
    if (!reserve(to, from->contexts))
        return false;
    if (from->contexts > 0)
        memcpy(to->context + to->contexts, from->context, from->contexts * sizeof *to->context);
    to->contexts += from->contexts;
    to->n += from->n;
    to->wins += from->wins;
    to->losses += from->losses;
    return true;
}

double att_paired_difference(const att_paired *p)
{
    return p->n > 0 ? (double)(p->wins - p->losses) / (double)p->n : NAN;
}

att_interval att_paired_interval(const att_paired *p, double confidence)
{
    double n = (double)p->n + 2, w = ((double)p->wins + 1) / n, l = ((double)p->losses + 1) / n;
    double half = att_normal_quantile(0.5 + confidence / 2) * sqrt((w + l - (w - l) * (w - l)) / n);
    att_interval t = att_mean_interval(p->context, p->contexts, confidence);
    double scale = p->n > 0 ? (double)p->contexts / (double)p->n : 1.0; /* a context to an item */

    return (att_interval){fmax(-1, fmin(t.lo * scale, w - l - half)),
                          fmin(1, fmax(t.hi * scale, w - l + half))};
}

void att_paired_drop(att_paired *p)
{
    free(p->context);
    *p = (att_paired){0};
}
