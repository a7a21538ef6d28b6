/* SPDX-License-Identifier: Apache-2.0 */
/* What an earlier call left behind: the oracle answers the failing call once more with the earlier
 * one's scale, mask, bias ... in place of its own, and what then holds by the numeric rule explains
 * the output.  Names are those of the zoo where it re-enacts the bug. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_faults.h"
#include "evals/numeric/sequence.h"

typedef struct stale {
    const char *name, *text;
    /* false: nothing of the kind differs */
    bool (*take)(att_problem *p, const att_problem *old);
} stale;

static bool fits(const att_tensor *t, const att_problem *p)
{
    const int64_t n[4] = {p->batch, p->heads_q, p->q_len, p->kv_len};

    for (int a = 0; t->data && a < 4; a++)
        if (t->shape[a] != 1 && t->shape[a] != n[a])
            return false;
    return true;
}

static bool same_sizes(const att_problem *p, const att_problem *old)
{
    return p->batch == old->batch && p->q_len == old->q_len && p->kv_len == old->kv_len;
}

static bool scale(att_problem *p, const att_problem *old)
{
    bool differs = att_scale(p) != att_scale(old);

    p->scale = att_scale(old);
    return differs;
}

static bool dead_scale(att_problem *p, const att_problem *old)
{
    (void)old;
    p->scale = SEQUENCE_DEAD;
    return true;
}

static bool softcap(att_problem *p, const att_problem *old)
{
    bool differs = p->softcap != old->softcap;

    p->softcap = old->softcap;
    return differs;
}

static bool causal(att_problem *p, const att_problem *old)
{
    bool differs = p->causal != old->causal;

    p->causal = old->causal;
    return differs;
}

static bool window(att_problem *p, const att_problem *old)
{
    bool differs = p->window_left != old->window_left;

    p->window_left = old->window_left;
    return differs;
}

static bool other(att_tensor *t, const att_tensor *old, const att_problem *p)
{
    bool differs = t->data || old->data;

    *t = *old;
    return differs && fits(old, p);
}

static bool mask(att_problem *p, const att_problem *old)
{
    return other(&p->mask, &old->mask, p);
}

static bool bias(att_problem *p, const att_problem *old)
{
    return other(&p->bias, &old->bias, p);
}

static bool sinks(att_problem *p, const att_problem *old)
{
    return other(&p->sinks, &old->sinks, p);
}

static bool lengths(att_problem *p, const att_problem *old)
{
    p->kv_lengths = old->kv_lengths;
    p->q_lengths = old->q_lengths;
    return same_sizes(p, old);
}

static bool keys(att_problem *p, const att_problem *old)
{
    p->k = old->k;
    return same_sizes(p, old);
}

static bool values(att_problem *p, const att_problem *old)
{
    p->v = old->v;
    return same_sizes(p, old);
}

static bool whole(att_problem *p, const att_problem *old)
{
    bool same = same_sizes(p, old);

    *p = *old;
    return same;
}

static const stale faults[] = {
    {"stale_scale_plan", "the scale of an earlier call", scale},
    {"dangling_scale", "the scale read from the caller's frame after the call returned",
     dead_scale},
    {"stale_custom_mask", "the mask of an earlier call", mask},
    {"stale_bias", "the bias of an earlier call", bias},
    {"stale_softcap", "the softcap of an earlier call", softcap},
    {"stale_causality", "the causality of an earlier call", causal},
    {"stale_window", "the window of an earlier call", window},
    {"stale_sinks", "the sinks of an earlier call", sinks},
    {"stale_lengths", "the lengths of an earlier call", lengths},
    {"stale_keys", "the keys of an earlier call", keys},
    {"stale_values", "the values of an earlier call", values},
    {"stale_output", "the output of an earlier call", whole},
    {0},
};

static void try_earlier(att_ctx *x, const parity_inputs *old, const att_tensor *got,
                        const att_error *e, again *g)
{
    for (const stale *f = faults; f->name; f++) {
        parity_trial t = {.x = x, .in = g->in, .p = g->in->plain};
        if (f->take(&t.p, &old->plain)) {
            t.p.out = g->in->plain.out;
            t.p.lse = g->in->plain.lse;
            const double ratio = parity_explains(&t, got, e, g);
            if (!isnan(ratio))
                parity_name(g, f->name, ratio, f->text);
        }
        parity_trial_drop(&t);
    }
}

void sequence_look_into(
    att_ctx *x, parity_inputs *in, const parity_outputs *o, const att_units *units,
    void (*look)(struct again *g, const att_tensor *got, const att_error *e, void *arg), void *arg)
{
    again g = {.x = x, .in = in, .units = units};
    att_error e, all;

    if (parity_profile(x, in, units->acc, &g.profile) == ATT_OK &&
        att_error_judge(g.profile, &o->got, NULL, units, &e) == ATT_OK &&
        att_error_judge(g.profile, &o->got, &o->got_lse, units, &all) == ATT_OK) {
        if (e.bad)
            look(&g, &o->got, &e, arg);
        if (e.bad && g.named == 0) { /* wrong by itself, not by what was before */
            parity_explain(o, &e, &g);
            parity_moves(&o->got, &g);
        }
        parity_say_names(&g);
        parity_say_first(x, &all);
    }
    parity_again_drop(&g);
}

typedef struct before {
    const parity_spec *spec;
    size_t n;
} before;

static void look_back(again *g, const att_tensor *got, const att_error *e, void *arg)
{
    const before *earlier = arg;

    for (size_t i = earlier->n; i-- > 0;) {
        parity_inputs *old = NULL;
        if (parity_inputs_make(g->x, &earlier->spec[i], &old) != ATT_OK)
            return;
        try_earlier(g->x, old, got, e, g);
        parity_inputs_drop(old);
    }
}

void sequence_explain(att_ctx *x, parity_inputs *in, const parity_spec *earlier, size_t n,
                      const parity_outputs *o, const att_units *units)
{
    before b = {earlier, n};

    sequence_look_into(x, in, o, units, look_back, &b);
}
