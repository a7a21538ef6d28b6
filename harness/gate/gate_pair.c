/* SPDX-License-Identifier: Apache-2.0 */
/* Step 4: a case against itself in the baseline, on the same items.
 *
 * Tests: exact McNemar over contexts (core/paired.h) of every case, and of every task of a kernel
 * with its cases pooled, since a small loss everywhere shows only there; an average never rescues a
 * case, because each is judged by its own test as well.  The family level is divided by the number
 * of tests that could reach it at all (Tarone 1990): where nothing differs there is nothing to
 * test. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "gate/gate_own.h"

/* A case, or all cases of one kernel and measure. */
typedef struct hypothesis {
    const att_gate_pair *pair; /* the case; of a pool the one that lost most */
    const att_paired *paired;
    att_paired pool; /* what `paired` points to in a pool */
    size_t cases;    /* 1, or how many are pooled */
    double p;
} hypothesis;

typedef struct tests {
    hypothesis *at;
    size_t n;
} tests;

bool att_gate_inconclusive(const att_gate_ask *ask, const att_record *r, const char *text,
                           att_gate *g)
{
    if (!att_policy_rule_for(&ask->policy->required, r->id, NULL))
        return true;
    att_finding *f = att_gate_find(g, ATT_GATE_INCONCLUSIVE, r);
    if (!f)
        return false;
    f->text = text ? text : "";
    f->cause = att_gate_text(g, "%s %s", r->kernel, r->measure);
    return true;
}

bool att_gate_flips(const att_gate_ask *ask, const att_record *r, const att_baseline_run *was,
                    att_gate *g)
{
    const att_policy_rule *rule =
        r->class_ == ATT_EXACT ? att_policy_rule_for(&ask->policy->flips, r->id, NULL) : NULL;
    double worst = 0;
    size_t flips = 0;

    for (size_t i = 0; rule && i < r->n_items; i++) {
        const att_item *is = &r->items[i];
        if (!was->record.items[i].hit || is->hit || !(is->score < -rule->value))
            continue;
        flips++;
        worst = fmin(worst, is->score);
    }
    if (flips == 0)
        return true;
    att_finding *f = att_gate_find(g, ATT_GATE_FLIP, r);
    if (!f)
        return false;
    f->metric = "score of a lost item";
    f->value = worst;
    f->limit = -rule->value;
    f->n = (int64_t)r->n_items;
    f->cause = att_gate_text(g, "%s %s", r->kernel, r->measure);
    f->text = att_gate_text(g,
                            "claims to be exact, and clearly misses %zu of %zu items that it hit",
                            flips, r->n_items);
    return true;
}

/* The smallest p that the test can reach: every context that differs is lost. */
static double least_of(const att_paired *p)
{
    int differs = 0;

    for (size_t i = 0; i < p->contexts; i++)
        differs += p->context[i] != 0;
    return ldexp(1, -differs);
}

/* Tests of one family: those that are within the level. */
static bool judge_family(const att_gate_ask *ask, const hypothesis *h, size_t n, att_gate *g)
{
    double *least = calloc(n + 1, sizeof *least);

    if (!least)
        return false;
    for (size_t i = 0; i < n; i++)
        least[i] = least_of(h[i].paired);
    const size_t count = att_tarone(least, n, ask->policy->alpha);
    free(least);
    for (size_t i = 0; i < n; i++) {
        const att_interval d = att_paired_interval(h[i].paired, ask->policy->confidence);
        const att_record *r = h[i].pair->is;
        if (!isnan(h[i].p) && !(h[i].p <= ask->policy->alpha / (double)count && d.hi < 0))
            continue;
        att_finding *f = att_gate_find(g, ATT_GATE_WORSE, r);
        if (!f)
            return false;
        f->metric = "accuracy minus the baseline's";
        f->value = att_paired_difference(h[i].paired);
        f->lo = d.lo;
        f->hi = d.hi;
        f->n = h[i].paired->n;
        f->limit = 0;
        f->cause = att_gate_text(g, "%s %s", r->kernel, r->measure);
        f->text = att_gate_text(g,
                                "%lld items lost, %lld won, p = %.1e at %.1e (%.1e over %zu "
                                "tests)%s",
                                (long long)h[i].paired->losses, (long long)h[i].paired->wins,
                                h[i].p, ask->policy->alpha / (double)count, ask->policy->alpha,
                                count, h[i].cases > 1 ? ", cases of the task together" : "");
    }
    return true;
}

/* What a rule of non-inferiority looks at. */
typedef struct measured {
    const char *metric;
    double value, margin;
    att_interval interval;
    int64_t n;
    const char *text;
} measured;

/* Violated where the whole interval lies below -margin, open where it holds that. */
static bool judge_measured(const att_record *r, const measured *m, const att_gate_ask *ask,
                           att_gate *g)
{
    if (m->interval.lo > -m->margin)
        return true;
    if (!(m->interval.hi < -m->margin))
        return att_gate_inconclusive(ask, r,
                                     att_gate_text(g,
                                                   "%s %.3f, limit %.3f (n = %lld, CI %.3f .. "
                                                   "%.3f)",
                                                   m->metric, m->value, -m->margin, (long long)m->n,
                                                   m->interval.lo, m->interval.hi),
                                     g);
    att_finding *f = att_gate_find(g, ATT_GATE_MARGIN, r);
    if (!f)
        return false;
    f->metric = m->metric;
    f->value = m->value;
    f->limit = -m->margin;
    f->lo = m->interval.lo;
    f->hi = m->interval.hi;
    f->n = m->n;
    f->cause = att_gate_text(g, "%s %s", r->kernel, r->measure);
    f->text = m->text;
    return true;
}

/* By the policy's margin of accuracy, where an item differs. */
static bool judge_margin(const att_gate_ask *ask, const att_gate_pair *pair, att_gate *g)
{
    const att_policy_rule *rule = att_policy_rule_for(&ask->policy->margins, pair->is->id, NULL);
    const att_paired *p = &pair->paired;

    if (!rule || p->wins + p->losses == 0)
        return true;
    const measured m = {
        "accuracy minus the baseline's",
        att_paired_difference(p),
        rule->value,
        att_paired_interval(p, ask->policy->confidence),
        p->n,
        att_gate_text(g, "%lld items lost, %lld won", (long long)p->losses, (long long)p->wins)};
    return judge_measured(pair->is, &m, ask, g);
}

/* By its margin of the mean score, where both sides have scores; contexts are what varies. */
static bool judge_scores(const att_gate_ask *ask, const att_gate_pair *pair, att_gate *g)
{
    const att_policy_rule *rule = att_policy_rule_for(&ask->policy->scores, pair->is->id, NULL);
    const att_paired *p = &pair->paired;

    if (!rule || p->scored == 0)
        return true;
    const double each = (double)p->contexts /
                        (double)p->scored; /* of a context's sum to an item's */
    const att_interval sums = att_mean_interval(p->score, p->contexts, ask->policy->confidence);
    const measured m = {
        "score minus the baseline's",
        att_paired_score_difference(p),
        rule->value,
        {sums.lo * each, sums.hi * each},
        p->scored,
        att_gate_text(g, "the mean score fell, sign flips p = %.1e", att_paired_score_less(p))};
    return judge_measured(pair->is, &m, ask, g);
}

static int by_task(const void *a, const void *b)
{
    const att_record *x = (*(const att_gate_pair *const *)a)->is;
    const att_record *y = (*(const att_gate_pair *const *)b)->is;
    int c = strcmp(x->kernel, y->kernel);

    c = c ? c : strcmp(x->measure, y->measure);
    return c ? c : strcmp(x->id, y->id);
}

static int64_t lost(const att_gate_pair *p)
{
    return p->paired.losses - p->paired.wins;
}

/* The cases of one task of a kernel, and where there are several their pool. */
static bool add_task(tests *t, const att_gate_pair *const *pairs, size_t n)
{
    hypothesis *pool = &t->at[t->n + n];
    bool good = true;

    *pool = (hypothesis){.pair = pairs[0], .paired = &pool->pool, .cases = n};
    for (size_t i = 0; i < n && good; i++) {
        t->at[t->n++] = (hypothesis){.pair = pairs[i],
                                     .paired = &pairs[i]->paired,
                                     .cases = 1,
                                     .p = att_paired_worse(&pairs[i]->paired)};
        if (lost(pairs[i]) > lost(pool->pair))
            pool->pair = pairs[i];
        good = n == 1 || att_paired_merge(&pool->pool, &pairs[i]->paired);
    }
    if (good && n > 1) {
        pool->p = att_paired_worse(&pool->pool);
        t->n++;
    }
    return good;
}

static bool same_task(const att_record *a, const att_record *b)
{
    return strcmp(a->kernel, b->kernel) == 0 && strcmp(a->measure, b->measure) == 0;
}

static bool judge_all(const att_gate_ask *ask, const tests *t, att_gate *g)
{
    bool good = true;

    for (size_t i = 0, n; i < t->n && good; i += n) {
        n = 1;
        while (i + n < t->n &&
               (ask->policy->family_run ||
                strcmp(t->at[i].pair->is->kernel, t->at[i + n].pair->is->kernel) == 0))
            n++;
        good = judge_family(ask, t->at + i, n, g);
    }
    return good;
}

bool att_gate_pairs(const att_gate_ask *ask, att_gate_pair *pairs, size_t n, att_gate *g)
{
    const att_gate_pair **sorted = calloc(n + 1, sizeof *sorted);
    tests t = {calloc(2 * n + 1, sizeof *t.at), 0};
    bool good = sorted && t.at;

    for (size_t i = 0; i < n && good; i++) {
        sorted[i] = &pairs[i];
        good = judge_margin(ask, &pairs[i], g) && judge_scores(ask, &pairs[i], g);
    }
    if (good && n > 1)
        qsort(sorted, n, sizeof *sorted, by_task);
    for (size_t i = 0, k; i < n && good; i += k) {
        k = 1;
        while (i + k < n && same_task(sorted[i]->is, sorted[i + k]->is))
            k++;
        good = add_task(&t, sorted + i, k);
    }
    good = good && judge_all(ask, &t, g);
    for (size_t i = 0; t.at && i <= 2 * n; i++)
        att_paired_drop(&t.at[i].pool);
    free(t.at);
    free(sorted);
    return good;
}
