/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the linear family's rules: where one rule is another.
 *
 *   open, ungated  gla and ssd with g = 0 are linear, gated_delta with g = 0 is delta
 *   one_gate       gla with a gate a head is ssd with gla's scale, and back
 *   fixed          retention is gla with g = ln gamma_h
 *   idle           delta with beta = 0 leaves the state as it is, gated_delta lets it fade
 *   orthogonal     delta with beta = 1, orthogonal keys and an empty state is linear
 *   still          based with q = 0 is the mean of v so far, as linear_elu1 with q = k = 0
 *   narrow         linear_elu1 in one dimension does not see q
 *
 * Why: a kernel's rule is held to another rule's recurrence on the same numbers, so that a rule
 * misread in kernel and oracle alike would still show.
 * Bound: each partner's error analysis covers both: 8 u a decay, which 1, or a gate rounded to f32,
 * is within. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity.h"
#include "evals/numeric/recur.h"

const recur_limit recur_limits[] = {
    {"open", ATT_RULE_GLA, ATT_RULE_LINEAR, .gates = "off"},
    {"open", ATT_RULE_SSD, ATT_RULE_LINEAR, .gates = "off", .unscaled = true},
    {"open", ATT_RULE_GATED_DELTA, ATT_RULE_DELTA, .gates = "off"},
    {"one_gate", ATT_RULE_GLA, ATT_RULE_SSD, .one_gate = true},
    {"one_gate", ATT_RULE_SSD, ATT_RULE_GLA, .one_gate = true, .unscaled = true},
    {"fixed", ATT_RULE_RETENTION, ATT_RULE_GLA, .fixed = true},
    {"ungated", ATT_RULE_LINEAR, ATT_RULE_SSD, .no_gate = true},
    {"idle", ATT_RULE_DELTA, ATT_RULE_LINEAR, .betas = "zero", .no_v = true},
    {"idle", ATT_RULE_GATED_DELTA, ATT_RULE_GLA, .betas = "zero", .no_v = true},
    {"orthogonal", ATT_RULE_DELTA, ATT_RULE_LINEAR, .betas = "one", .values = "onehot",
     .empty = true, .short_of_d = true},
    {"still", ATT_RULE_BASED, ATT_RULE_LINEAR_ELU1, .values = "still", .empty = true,
     .no_qk = true},
    {"narrow", ATT_RULE_LINEAR_ELU1, ATT_RULE_LINEAR_ELU1, .no_q = true, .one_wide = true},
    {0}};

const recur_limit *recur_limit_of(const char *name, int32_t rule)
{
    const recur_limit *l = recur_limits;

    while (l->name && (!parity_is(l->name, name) || l->rule != rule))
        l++;
    return l->name ? l : NULL;
}

void recur_limit_adapt(const recur_limit *l, recur_spec *s)
{
    if (l->gates)
        s->gates = l->gates;
    if (l->betas)
        s->betas = l->betas;
    if (l->values)
        s->values = l->values;
    if (l->one_gate)
        s->channels = false;
    if (l->empty)
        s->starts = s->returns = s->in_place = false;
    if (l->one_wide)
        s->d = 1;
    if (l->short_of_d && s->t > s->d)
        s->t = s->d;
}

/* ln gamma_h, as it can be stored. */
static void put_gates(const recur_spec *s, bool fixed, double *g)
{
    const int64_t row = s->t * s->d;

    for (int64_t i = 0; i < s->b * s->hkv * row; i++)
        g[i] = fixed ? (double)(float)log1p(-ldexp(1, (int)(-5 - i / row % s->hkv))) : 0;
}

att_status recur_limit_answer(const recur_limit *l, const recur_spec *s, const recur_numbers *n,
                              recur_answer *out)
{
    const int64_t heads = s->b * s->hkv;
    const int64_t most[] = {s->b * s->hq * s->t * s->d, heads * s->t * s->d, heads * s->t * s->dv};
    double *zeros = calloc((size_t)(most[0] + most[1] + most[2]) + 1, sizeof *zeros);
    recur_numbers other = *n;
    recur_spec partner = *s;

    *out = (recur_answer){0};
    if (!zeros)
        return ATT_NO_MEMORY;
    partner.rule = l->partner;
    if (isnan(s->scale))
        partner.scale = l->unscaled ? 1 : 1 / sqrt((double)s->d);
    if (l->no_q || l->no_qk)
        other.q = zeros;
    if (l->no_qk)
        other.k = zeros;
    if (l->no_v)
        other.v = zeros;
    if (l->fixed || l->no_gate) {
        other.g = zeros;
        put_gates(s, l->fixed, zeros);
    }
    att_status status = recur_answer_make(&partner, out);
    if (status == ATT_OK)
        status = recur_walk(&partner, &other, NULL, out);
    free(zeros);
    return status;
}
