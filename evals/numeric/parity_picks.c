/* SPDX-License-Identifier: Apache-2.0 */
/* Does a selecting kernel keep the keys that its parameters promise?
 *
 * What `select` reports is what parity holds the output to, so a choice gone wrong in both goes
 * unseen there.  Here each choice stands once more in float64, told by the names of a kernel's
 * parameters: whoever declares {page, pages} promises Quest's pages, whatever it is called.
 *
 *   page pages            the `pages` pages of the largest sum_c max(q_c min k_c, q_c max k_c)
 *   block blocks          the own block and those of the largest q . mean k, `blocks` in all
 *   p least               the fewest largest weights that reach p, at least `least`
 *   clusters probes draw  keys whose nearest centroid is one of the query's `probes` nearest
 *   vertical slash last   columns and diagonals heaviest in the last rows
 *
 * Which of two is larger counts as far as rounding can tell: each score has its error in the
 * kernel's accumulator, |f32 - f64| <= u (terms + 2) sum |terms|, and where these overlap either
 * choice is right.  Statistics are those of keys that the row may see. */
#include "evals/numeric/parity_picks.h"

#include <math.h>
#include <stdlib.h>

#include "core/names.h"
#include "evals/numeric/parity_own.h"

static const struct choice {
    const char *params[CHOICE_PARAMS + 1];
    att_status (*judge)(const choice_head *c, choice_tally *t);
} choices[] = {
    {{"page", "pages"}, choice_pages},
    {{"block", "blocks"}, choice_means},
    {{"p", "least"}, choice_mass},
    {{"clusters", "probes", "draw"}, choice_routes},
    {{"vertical", "slash", "last"}, choice_lines},
};

const double *choice_query(const choice_head *c, int64_t i)
{
    const parity_spec *s = &c->in->spec;

    return c->in->q + ((c->b * s->hq + c->h) * s->sq + i) * s->d;
}

const double *choice_key(const choice_head *c, int64_t j)
{
    const parity_spec *s = &c->in->spec;

    return c->in->k + ((c->b * s->hkv + c->kv) * s->sk + j) * s->d;
}

int64_t choice_position(const choice_head *c, int64_t i)
{
    return parity_position(c->in, c->b, i);
}

void choice_judge(const candidate *c, int64_t n, int64_t budget, choice_tally *t)
{
    int64_t open = 0, have = 0, best = -1, worst = -1;
    bool numbers = true;

    for (int64_t i = 0; i < n; i++) {
        if (c[i].may == 0)
            continue;
        if (c[i].kept > 0)
            t->torn += c[i].may - c[i].kept;
        if (c[i].forced) {
            budget--;
            t->unkept += c[i].kept == 0;
            continue;
        }
        open++;
        have += c[i].kept > 0;
        numbers &= isfinite(c[i].score) && isfinite(c[i].error);
        if (c[i].kept == 0 && (best < 0 || c[i].score - c[i].error > c[best].score - c[best].error))
            best = i;
        if (c[i].kept > 0 &&
            (worst < 0 || c[i].score + c[i].error < c[worst].score + c[worst].error))
            worst = i;
    }
    const int64_t k = budget < 0 ? 0 : budget < open ? budget : open;
    t->missing += k > have ? k - have : 0;
    t->over += have > k ? have - k : 0;
    if (!numbers || best < 0 || worst < 0 || !(c[best].score > c[worst].score))
        return;
    const double error = c[best].error + c[worst].error, apart = c[best].score - c[worst].score;
    t->gap = att_error_fold(t->gap, error > 0 ? apart / error : (double)INFINITY);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How many of the sorted x[0..n) are above `than`, or reach it. */
static int64_t above(const double *x, int64_t n, double than, bool equal)
{
    int64_t lo = 0, hi = n;

    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (x[mid] > than || (equal && x[mid] == than))
            hi = mid;
        else
            lo = mid + 1;
    }
    return n - lo;
}

bool choice_ranks(const double *score, const double *error, int64_t n, int64_t k, uint8_t *must,
                  uint8_t *may)
{
    double *low = malloc((size_t)(2 * n + 1) * sizeof *low);
    bool numbers = true;

    if (!low)
        return false;
    double *high = low + n;
    for (int64_t i = 0; i < n; i++) {
        low[i] = score[i] - error[i];
        high[i] = score[i] + error[i];
        numbers &= !isnan(low[i]) && !isnan(high[i]);
    }
    if (numbers) {
        qsort(low, (size_t)n, sizeof *low, by_size);
        qsort(high, (size_t)n, sizeof *high, by_size);
    }
    for (int64_t i = 0; i < n; i++) { /* itself is among those that reach it */
        must[i] = numbers && above(high, n, score[i] - error[i], true) - 1 < k;
        may[i] = !numbers || above(low, n, score[i] + error[i], false) < k;
    }
    free(low);
    return true;
}

/* The kernel's values in the order of the rule; false: its parameters are others. */
static bool values_of(const struct choice *of, const att_variant_part *part, att_value *out)
{
    const att_param *own = part->kernel->params;
    int n = 0, count = 0;

    while (own && own[count].name)
        count++;
    for (; n < CHOICE_PARAMS + 1 && of->params[n]; n++) {
        int i = 0;
        while (i < count && !parity_is(own[i].name, of->params[n]))
            i++;
        if (i == count || own[i].type == ATT_PARAM_WORD)
            return false;
        out[n] = part->values[i];
    }
    return n == count;
}

static att_status judge(const struct choice *of, choice_head *c, const parity_inputs *own,
                        choice_tally *t)
{
    const parity_spec *s = &c->in->spec;
    att_status status = ATT_OK;

    for (int64_t r = 0; status == ATT_OK && r < s->b * s->hq; r++) {
        c->b = r / s->hq;
        c->h = r % s->hq;
        c->kv = c->h / (s->hq / s->hkv);
        c->may = c->in->allowed + r * s->sq * s->sk;
        c->kept = own->allowed + r * s->sq * s->sk;
        c->seen = c->reading.seen ? c->reading.seen + r * s->sq * s->sk : c->may;
        status = of->judge(c, t);
    }
    return status;
}

/* Judges the choice by each reading; those that it holds by explain it. */
static att_status explain_choice(att_ctx *x, const struct choice *of, choice_head *head,
                                 const parity_inputs *own)
{
    uint8_t *open = parity_open_pairs(x, head->in);
    att_status status = open ? ATT_OK : ATT_NO_MEMORY;
    bool named = false;

    for (const choice_fault *f = choice_faults; f->name && status == ATT_OK; f++) {
        choice_tally t = {0};
        head->reading = f->reading;
        head->reading.seen = f->of_unseen ? open : NULL;
        status = judge(of, head, own, &t);
        if (status != ATT_OK || !choice_holds(&t))
            continue;
        att_ctx_diagnose(x, f->name, t.gap, f->text);
        named = true;
    }
    if (!named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "no reading explains the choice");
    head->reading = (choice_reading){0};
    free(open);
    return status;
}

att_status parity_check_choice(att_ctx *x, parity_inputs *in, const parity_inputs *own,
                               double u_acc, bool explain)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    choice_head head = {.in = in, .u = u_acc};
    choice_tally t = {0};
    att_profile *all = NULL;

    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (!values_of(&choices[i], part, head.v))
            continue;
        att_status status = parity_profile(x, in, u_acc, &all);
        head.profile = all;
        if (status == ATT_OK)
            status = judge(&choices[i], &head, own, &t);
        if (status == ATT_OK && explain && !choice_holds(&t) && parity_choice_turn(x))
            status = explain_choice(x, &choices[i], &head, own);
        if (status != ATT_OK)
            return status;
        att_ctx_record(x, "select_gap", t.gap);
        att_ctx_record(x, "select_short", (double)t.missing);
        att_ctx_record(x, "select_over", (double)t.over);
        att_ctx_record(x, "select_torn", (double)t.torn);
        att_ctx_record(x, "select_forced", (double)t.unkept);
    }
    return ATT_OK;
}
