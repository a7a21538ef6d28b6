/* SPDX-License-Identifier: Apache-2.0 */
/* Mixes that are right and round otherwise than the house's own. */
#ifndef ATT_EVALS_TESTS_MADE_MIX_H
#define ATT_EVALS_TESTS_MADE_MIX_H

#include "base/fp.h"
#include "common/mix.h"

static float stored(const att_mix_work *w, float x)
{
    return (float)att_fp_round(w->p->out.dtype, (double)x);
}

/* Each map's result rounded to the output's type before they are subtracted. */
static void rounded_maps(att_mix_work *w)
{
    const int64_t half = w->p->head_dim / 2;
    const double scale = isnan(w->p->scale) ? 1 / sqrt((double)half) : w->p->scale;
    float first[128];

    att_mix_list(w, 0, INT64_MAX);
    for (int c = 0; c < 2; c++) {
        memset(w->o, 0, (size_t)w->p->value_dim * sizeof *w->o);
        att_mix_scores(w, c * half, half, (float)scale, w->x);
        att_mix_soften(w, w->n, w->x);
        att_mix_add(w, 1.0f, w->x);
        for (int64_t d = 0; d < w->p->value_dim; d++) {
            const float o = stored(w, w->o[d]), lambda = att_per_head(&w->p->mix->lambda, w->row.h);
            w->o[d] = c ? first[d] - stored(w, lambda * o) : 0;
            first[d] = c ? 0 : o;
        }
    }
}

/* 0.5 (1 + tanh(gate / 2)), and each factor rounded to the output's type. */
static void tanh_gate(att_mix_work *w)
{
    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
    for (int64_t d = 0; d < w->p->value_dim; d++)
        w->o[d] = stored(w, w->o[d]) * stored(w, 0.5f * (1.0f + tanhf(0.5f * att_mix_gate(w, d))));
}

/* Decays as differences of running sums in f32. */
static void running_sums(att_mix_work *w)
{
    const att_tensor *f = &w->p->mix->forget;
    float sum = 0.0f, last = 0.0f;
    int64_t l = 0;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    for (int64_t c = 0; c < w->n; c++) {
        for (; l <= w->j[c]; l++)
            sum += att_load(f->data, f->dtype, att_tensor_at(f, 0, w->seq.b, w->row.h, l));
        w->y[c] = sum;
    }
    for (last = sum; l <= w->row.position; l++)
        last += att_load(f->data, f->dtype, att_tensor_at(f, 0, w->seq.b, w->row.h, l));
    for (int64_t c = 0; c < w->n; c++)
        w->x[c] += last - w->y[c];
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way ways[] = {
    {.kind = ATT_MIX_DIFFERENTIAL, .can = ATT_CAN_MASK, .row = rounded_maps},
    {.kind = ATT_MIX_GATED, .can = ATT_CAN_MASK, .row = tanh_gate},
    {.kind = ATT_MIX_FORGETTING, .can = ATT_CAN_MASK, .row = running_sums},
};

static const att_mix_way *way_of(const att_kernel *self)
{
    return &ways[self->name[0] == 'm' ? 0 : self->name[0] == 't' ? 1 : 2];
}

static att_status way_supports(const att_kernel *self, att_op op, const att_problem *p,
                               const att_value *params, att_reason *why)
{
    (void)params;
    return att_mix_supports(way_of(self), op, p, why);
}

static att_status way_plan(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_plan *out)
{
    (void)op, (void)params;
    return att_mix_plan(p, way_of(self), out);
}

static att_status way_mix(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_mix_run(p, way_of(self), s);
}

#define MADE(text)                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(att_kernel), .abi = ATT_ABI, .name = text, .family = "made",         \
        .summary = "right, but otherwise", .class_ = ATT_OWN,                                      \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .supports = way_supports, .plan = way_plan, .mix = way_mix                                 \
    }
static const att_kernel others[] = {MADE("maps_rounded"), MADE("tanh_gate"), MADE("sums_running")};
static const att_kernel *const made_mixes[] = {&others[0], &others[1], &others[2], NULL};

#endif
