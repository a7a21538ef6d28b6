/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary of gradients: which known mistake explains a wrong backward?
 *
 * Each row is a reading of the gradients (grad_rule.c), of the case or of the case with a rule left
 * out and the forward's LSE and D kept; where everything that was written lies within that
 * reading's bound and 6 sigma, it explains.  Ratio: max |e| / (6 sigma).  What no reading can state
 * is found by its marks: where something was written that is nobody's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "evals/numeric/grad.h"

#define MOST_CASES 12 /* a kernel and worker */

typedef struct look {
    att_ctx *x;
    grad_inputs *g;
    const att_tensor *got;
    const att_units *units;
    const grad_error *e;
} look;

/* ------------------------------------------------------------------ rules left out */

static bool without_causality(att_problem *p)
{
    const bool had = p->causal != ATT_CAUSAL_NONE;

    p->causal = ATT_CAUSAL_NONE;
    return had;
}

static bool without_window(att_problem *p)
{
    const bool had = p->window_left >= 0 || p->window_right >= 0;

    p->window_left = p->window_right = -1;
    return had;
}

static bool without_mask(att_problem *p)
{
    const bool had = p->mask.data != NULL;

    p->mask = (att_tensor){0};
    return had;
}

static bool without_blocks(att_problem *p)
{
    const bool had = p->block_mask.data != NULL;

    p->block_mask = (att_tensor){0};
    return had;
}

static bool without_slopes(att_problem *p)
{
    const bool had = p->alibi_slopes.data != NULL;

    p->alibi_slopes = (att_tensor){0};
    return had;
}

static bool without_cap(att_problem *p)
{
    const bool had = p->softcap > 0;

    p->softcap = 0;
    return had;
}

static bool top_left(att_problem *p)
{
    const bool had = p->causal == ATT_CAUSAL_BOTTOM_RIGHT;

    p->causal = ATT_CAUSAL_TOP_LEFT;
    return had;
}

/* ------------------------------------------------------------------------- readings */

static bool grouped(const parity_spec *s)
{
    return s->hq > s->hkv;
}

static bool capped(const parity_spec *s)
{
    return s->softcap > 0;
}

static bool sunk(const parity_spec *s)
{
    return !parity_is(s->sinks, "none");
}

static const struct fault {
    const char *name, *text;
    grad_reading reading;
    bool (*asks)(const parity_spec *s); /* NULL: any case */
    bool (*leave)(att_problem *p);      /* NULL: the case as it is */
} faults[] = {
    {"grad_dq_unscaled", "dq without the scale", {.dq_unscaled = true}, NULL, NULL},
    {"grad_dk_unscaled", "dk without the scale", {.dk_unscaled = true}, NULL, NULL},
    {"grad_scale_missing",
     "dq and dk without the scale",
     {.dq_unscaled = true, .dk_unscaled = true},
     NULL,
     NULL},
    {"grad_mean_missing", "ds = p dp, without the row's D", {.mean_missing = true}, NULL, NULL},
    {"grad_group_first",
     "dk and dv of a group's first head only",
     {.group_only = 1},
     grouped,
     NULL},
    {"grad_group_last", "dk and dv of a group's last head only", {.group_only = 2}, grouped, NULL},
    {"grad_softcap_slope", "the cap's derivative missing", {.slope_missing = true}, capped, NULL},
    {"grad_weights_raw", "dv of weights that are not divided", {.weights_raw = true}, NULL, NULL},
    {"grad_weights_raw", "weights that are not divided", {.weights_raw_all = true}, NULL, NULL},
    {"grad_sink_missing",
     "p divided by a sum without the sink",
     {.sink_missing = true, .mean_given = true},
     sunk,
     NULL},
    {"grad_negated", "all gradients negated", {.negated = true}, NULL, NULL},
    {"grad_causal_ignored",
     "no causality in the backward",
     {.mean_given = true},
     NULL,
     without_causality},
    {"grad_causal_top_left", "causality from the top left", {.mean_given = true}, NULL, top_left},
    {"grad_window_ignored",
     "no window in the backward",
     {.mean_given = true},
     NULL,
     without_window},
    {"grad_mask_ignored", "no mask in the backward", {.mean_given = true}, NULL, without_mask},
    {"grad_blocks_ignored",
     "no block mask in the backward",
     {.mean_given = true},
     NULL,
     without_blocks},
    {"grad_alibi_ignored", "no slopes in the backward", {.mean_given = true}, NULL, without_slopes},
    {"grad_softcap_ignored", "no cap in the backward", {.mean_given = true}, NULL, without_cap},
};

/* Largest sigma ratio / 6 of what was written; NAN where the reading does not hold. */
static double holds(const look *l, const grad_call *call)
{
    grad_answer a;
    grad_error e;
    double ratio = (double)NAN;

    if (grad_answer_make(l->g->n, &a) == ATT_OK && grad_rule(call, l->units, &a) == ATT_OK) {
        grad_judge(l->g, &a, l->got, l->units, &e);
        if (!e.what && 2 * e.compared >= e.elements && e.compared > 0)
            ratio = 0;
        for (int of = 0; of < GRADS && !isnan(ratio); of++)
            ratio = att_error_fold(ratio, e.sigma_ratio[of] / 6);
    }
    grad_answer_drop(&a);
    return ratio;
}

/* The case with a rule left out: its pairs, and the LSE and D that the real forward gave. */
static double holds_without(const look *l, const struct fault *f, const grad_call *contract)
{
    att_problem p = l->g->in->plain;
    const int64_t rows = p.batch * p.heads_q * p.q_len;
    double *out = calloc((size_t)(rows * p.value_dim) + 1, sizeof *out);
    double *lse = calloc((size_t)rows + 1, sizeof *lse), ratio = (double)NAN;
    uint8_t *allowed = calloc((size_t)(rows * p.kv_len) + 1, 1);
    const att_variant *oracle = att_ctx_find(l->x, "reference_f64");
    att_profile *profile = NULL;

    if (out && lse && allowed && oracle && f->leave(&p)) {
        p.out.data = out;
        p.lse.data = lse;
        if (att_ctx_call(l->x, &oracle->part[0], ATT_OP_SELECT, &p, allowed) == ATT_OK &&
            att_ctx_oracle(l->x, ATT_OP_ATTEND, &p) == ATT_OK &&
            att_profile_make(&p, allowed, out, lse, l->units->acc, &profile, NULL) == ATT_OK) {
            grad_call call = *contract;
            call.p = &p;
            call.f = profile;
            call.reading = &f->reading;
            ratio = holds(l, &call);
        }
    }
    att_profile_drop(profile);
    free(out);
    free(lse);
    free(allowed);
    return ratio;
}

static void say_first(att_ctx *x, const grad_error *e)
{
    char text[240];

    snprintf(text, sizeof text,
             "%s b=%lld h=%lld i=%lld d=%lld %s: got %.9g, want %.9g +- %.3g, ratio %.3g",
             grad_names[e->of], (long long)e->at[0], (long long)e->at[1], (long long)e->at[2],
             (long long)e->at[3], e->what, e->got, e->want, e->allowed, e->ratio);
    att_ctx_diagnose(x, "first_bad", e->ratio, text);
}

static void mark(att_ctx *x, const grad_outputs *o)
{
    grad_of of;
    char text[120];

    if (!grad_outputs_row_before(o, &of))
        return;
    snprintf(text, sizeof text, "the row before the first of %s was written: index -1 not skipped",
             grad_names[of]);
    att_ctx_diagnose(x, "sentinel_scatter", 0, text);
}

typedef struct looked {
    int cases;
} looked;

static att_status make_looked(att_ctx *x, void *arg, void **out)
{
    (void)x;
    (void)arg;
    *out = calloc(1, sizeof(looked));
    return *out ? ATT_OK : ATT_NO_MEMORY;
}

void grad_diagnose(att_ctx *x, grad_inputs *g, const grad_outputs *o, const att_units units[GRADS],
                   const grad_error *e)
{
    const look l = {x, g, o->got, units, e};
    void *count = NULL;
    grad_call contract;
    char key[160];

    snprintf(key, sizeof key, "run:grad looked at %s", att_ctx_kernel(x)->name);
    if (att_ctx_shared(x, key, make_looked, NULL, free, &count) != ATT_OK ||
        ((looked *)count)->cases++ >= MOST_CASES)
        return;
    mark(x, o);
    if (!e->what || grad_call_of(x, g, units->acc, &contract) != ATT_OK)
        return;
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        grad_call call = contract;
        if (faults[f].asks && !faults[f].asks(&g->in->spec))
            continue;
        call.reading = &faults[f].reading;
        const double ratio = faults[f].leave ? holds_without(&l, &faults[f], &contract)
                                             : holds(&l, &call);
        if (!isnan(ratio))
            att_ctx_diagnose(x, faults[f].name, ratio, faults[f].text);
    }
    say_first(x, e); /* last: a cause is named by what comes first */
}
