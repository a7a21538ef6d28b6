/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest sequence that still fails: steps are left out, halves first, then fewer, down to one
 * at a time, as long as what is left fails (delta debugging, Zeller and Hildebrandt 2002).  Every
 * trial is a process of its own, so none inherits state from another, and what is found fails
 * alone.
 */
#include <string.h>

#include "evals/numeric/sequence.h"

#define MOST_TRIALS 160
#define PATIENCE    20.0 /* seconds a trial */

typedef struct shrinker {
    att_ctx *x;
    att_status (*body)(att_ctx *x, void *plan);
    sequence_plan plan;
    int64_t trials;
} shrinker;

static bool failed(att_outcome status)
{
    return status == ATT_FAIL || status == ATT_CRASH || status == ATT_TIMEOUT;
}

static att_status try(shrinker *s, att_record *out)
{
    s->trials++;
    return att_ctx_apart(s->x, s->body, &s->plan, PATIENCE, out);
}

static sequence without(const sequence *s, size_t from, size_t n)
{
    sequence less = {0};

    for (size_t i = 0; i < s->n; i++)
        if (i < from || i >= from + n)
            less.step[less.n++] = s->step[i];
    return less;
}

/* Whether the shorter sequence fails as well; it then takes the place of the whole one. */
static bool still_fails(shrinker *s, const sequence *less)
{
    sequence_plan whole = s->plan;
    att_record r;

    if (less->n == 0 || s->trials >= MOST_TRIALS)
        return false;
    s->plan.steps = *less;
    if (try(s, &r) != ATT_OK) {
        s->plan = whole;
        return false;
    }
    bool fails = failed(r.status);
    att_record_clear(&r);
    if (!fails)
        s->plan = whole;
    return fails;
}

static void shrink(shrinker *s)
{
    for (size_t n = s->plan.steps.n / 2; n >= 1; n = n > 1 ? n / 2 : 0)
        for (bool again = true; again;) {
            again = false;
            for (size_t from = s->plan.steps.n; from > 0;) {
                from = from > n ? from - n : 0;
                sequence less = without(&s->plan.steps, from, n);
                if (still_fails(s, &less))
                    again = n == 1;
            }
        }
}

/* Then numbers: 1 in place of more, one step at a time. */
static void lower(shrinker *s)
{
    for (size_t i = 0; i < s->plan.steps.n; i++) {
        sequence less = s->plan.steps;
        less.step[i].n = 1;
        if (s->plan.steps.step[i].n > 1)
            still_fails(s, &less);
    }
}

att_status sequence_measure(att_ctx *x, att_status (*body)(att_ctx *x, void *plan),
                            sequence_plan *plan, att_record *out, int64_t *trials)
{
    shrinker s = {.x = x, .body = body, .plan = *plan};
    att_record last;

    *trials = 1;
    att_status status = try(&s, out);
    if (status != ATT_OK || !failed(out->status))
        return status;
    if (out->status != ATT_TIMEOUT) { /* looking for a shorter hang would take long */
        shrink(&s);
        lower(&s);
    }
    s.plan.explain = true;
    status = try(&s, &last);
    *trials = s.trials;
    if (status == ATT_OK && failed(last.status)) {
        att_record_clear(out);
        *out = last;
        *plan = s.plan;
    } else if (status == ATT_OK)
        att_record_clear(&last);
    return ATT_OK;
}
