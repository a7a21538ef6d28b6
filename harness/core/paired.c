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

#include "base/power.h"

#define FLIPS 9999 /* random ones, where there are more than 16 contexts */

typedef struct step {
    int32_t cluster, difference;
    double score; /* 0 where it is not finite on both sides */
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
    grown = realloc(p->score, 2 * need * sizeof *grown);
    if (!grown)
        return false;
    p->score = grown;
    p->room = 2 * need;
    return true;
}

/* Squares of x about their mean. */
static double squares_of(const double *x, size_t n)
{
    double mean = 0.0, squares = 0.0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    return squares;
}

/* What the contexts from `first` on, of n items, say of clustering.  A single context says nothing
 * of others. */
static void add_squares(att_paired *p, size_t first, size_t n, int64_t discordant)
{
    double sum = 0.0;
    size_t contexts = p->contexts - first;

    if (contexts < 2)
        return;
    for (size_t i = first; i < p->contexts; i++)
        sum += p->context[i];
    p->squares += squares_of(p->context + first, contexts);
    p->degrees += (int64_t)contexts - 1;
    p->alone += (double)discordant - sum * sum / (double)n;
}

bool att_paired_add(att_paired *p, const att_item *base, const att_item *own, size_t n)
{
    step *steps = n < SIZE_MAX / sizeof *steps ? malloc((n + 1) * sizeof *steps) : NULL;
    size_t first = p->contexts;
    int64_t discordant = p->wins + p->losses;

    if (!steps || !reserve(p, n)) {
        free(steps);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        double score = own[i].score - base[i].score;
        steps[i] = (step){own[i].cluster, (own[i].hit != 0) - (base[i].hit != 0),
                          isfinite(score) ? score : 0.0};
        p->scored += isfinite(score) != 0;
        p->wins += steps[i].difference > 0;
        p->losses += steps[i].difference < 0;
    }
    p->n += (int64_t)n;
    qsort(steps, n, sizeof *steps, by_cluster);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || steps[i].cluster != steps[i - 1].cluster)
            p->context[p->contexts] = p->score[p->contexts] = 0.0, p->contexts++;
        p->context[p->contexts - 1] += steps[i].difference;
        p->score[p->contexts - 1] += steps[i].score;
    }
    add_squares(p, first, n, p->wins + p->losses - discordant);
    free(steps);
    return true;
}

bool att_paired_merge(att_paired *to, const att_paired *from)
{
    if (!reserve(to, from->contexts))
        return false;
    if (from->contexts > 0) {
        memcpy(to->context + to->contexts, from->context, from->contexts * sizeof *to->context);
        memcpy(to->score + to->contexts, from->score, from->contexts * sizeof *to->score);
    }
    to->scored += from->scored;
    to->squares += from->squares;
    to->degrees += from->degrees;
    to->alone += from->alone;
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

double att_paired_worse(const att_paired *p)
{
    return att_mcnemar_contexts(p->context, p->contexts);
}

double att_paired_better(const att_paired *p)
{
    double *turned = malloc((p->contexts + 1) * sizeof *turned);

    if (!turned)
        return NAN;
    for (size_t i = 0; i < p->contexts; i++)
        turned[i] = -p->context[i];
    double tail = att_mcnemar_contexts(turned, p->contexts);
    free(turned);
    return tail;
}

double att_paired_score_less(const att_paired *p)
{
    return p->scored > 0 ? att_signflip_less(p->score, p->contexts, 1, FLIPS) : NAN;
}

double att_paired_score_difference(const att_paired *p)
{
    double sum = 0.0;

    for (size_t i = 0; i < p->contexts; i++)
        sum += p->score[i];
    return p->scored > 0 ? sum / (double)p->scored : NAN;
}

double att_paired_effect(const att_paired *p)
{
    double n = (double)p->n, k = (double)p->contexts, d = att_paired_difference(p);

    if (p->contexts < 2)
        return p->n > 0 ? n : 1.0;
    if (p->degrees > 0)
        return p->alone > 0 ? fmax(1.0, k / (double)p->degrees * p->squares / p->alone) : 1.0;
    double alone = (double)(p->wins + p->losses) - n * d * d;
    return alone > 0 ? fmax(1.0, k / (k - 1) * squares_of(p->context, p->contexts) / alone) : 1.0;
}

int64_t att_paired_needs(const att_paired *p, double margin, double confidence, double power)
{
    double n = (double)p->n, z = att_normal_quantile(0.5 + confidence / 2);
    double l = (double)p->losses / n, w = (double)p->wins / n, spread = l + w - (l - w) * (l - w);

    if (p->n == 0)
        return -1;
    /* how much wider the interval is than if items stood alone, in items */
    double half = (w - l - att_paired_interval(p, confidence).lo) / z;
    double effect = spread > 0 ? fmax(1.0, n * half * half / spread) : 1.0;
    return att_margin_items(margin, l, w, effect, confidence, power);
}

void att_paired_drop(att_paired *p)
{
    free(p->context);
    free(p->score);
    *p = (att_paired){0};
}
