/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that keep a part of the problem: budgets 1, 4, 16, ... keys (or 1, 2, 4, ... heads) up to
 * the whole problem.  What is kept may only grow, measured by softmax's own weights, and with
 * everything kept the answer is dense attention, held to the numeric rule as an exact kernel's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/converge.h"

#define ROUNDING 0x1p-40 /* of sums of probabilities in f64, generously */

static const att_param *param_of(const converge_case *c)
{
    return &c->part.kernel->params[c->place];
}

static bool counts_heads(const converge_case *c)
{
    return parity_is(param_of(c)->unit, "heads");
}

/* As much as the problem has: no query sees further than both lengths. */
static int64_t whole(const converge_case *c)
{
    const parity_spec *s = &c->in->spec;

    return counts_heads(c) ? s->hkv : s->sq + s->sk;
}

/* softmax's weight of the kept pairs, a mean over rows that have keys. */
static double mass_of(const parity_inputs *in, const uint8_t *kept)
{
    const parity_spec *s = &in->spec;
    const double scale = att_scale(&in->plain);
    double mass = 0, rows = 0;

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        const int64_t kv = row / s->sq / (s->hq / s->hkv);
        if (!converge_row(in, row) || !isfinite(in->lse[row]))
            continue;
        rows++;
        for (int64_t j = 0; j < s->sk; j++) {
            double dot = 0;
            if (!kept[row * s->sk + j] || !in->allowed[row * s->sk + j])
                continue;
            for (int64_t d = 0; d < s->d; d++)
                dot += in->q[row * s->d + d] * in->k[(kv * s->sk + j) * s->d + d];
            mass += exp(scale * dot - in->lse[row]);
        }
    }
    return rows > 0 ? mass / rows : 1;
}

/* What the budgets so far have brought. */
typedef struct climb {
    uint8_t *kept;
    double mass, fell, illegal, first, last;
    int64_t steps;
} climb;

static att_status look_at_kept(converge_case *c, climb *up)
{
    const parity_inputs *in = c->in;
    const int64_t pairs = in->spec.b * in->spec.hq * in->spec.sq * in->spec.sk;

    if (!c->part.kernel->select)
        return ATT_OK;
    memset(up->kept, 0, (size_t)pairs);
    const att_status status = att_ctx_call(c->x, &c->part, ATT_OP_SELECT, &c->p, up->kept);
    if (status != ATT_OK)
        return status;
    for (int64_t i = 0; i < pairs; i++)
        up->illegal += up->kept[i] && !in->allowed[i];
    const double mass = mass_of(in, up->kept);
    up->fell = fmax(up->fell, up->mass - mass - ROUNDING);
    up->mass = mass;
    return ATT_OK;
}

/* UNSUPPORTED leaves a step out, but not the last one. */
static att_status climb_on(converge_case *c, int64_t budget, bool last, climb *up)
{
    att_status status = converge_call(c, budget, 0);

    if (status == ATT_UNSUPPORTED && !last)
        return ATT_OK;
    if (status == ATT_OK)
        status = look_at_kept(c, up);
    if (status != ATT_OK)
        return status;
    up->last = sqrt(converge_error(c));
    if (up->steps++ == 0)
        up->first = up->last;
    return ATT_OK;
}

/* The answer that is in o.got, as if the kernel were exact. */
static att_status judge(converge_case *c)
{
    att_profile *profile = NULL;
    att_error e;
    att_status status = parity_profile(c->x, c->in, c->units.acc, &profile);

    if (status == ATT_OK)
        status = att_error_judge(profile, &c->o.got, c->p.lse.data ? &c->o.got_lse : NULL,
                                 &c->units, &e);
    if (status != ATT_OK)
        return status;
    c->nonfinite += e.nonfinite;
    att_ctx_record(c->x, "sigma_ratio", e.sigma_ratio);
    att_ctx_record(c->x, "bound_ratio", e.bound_ratio);
    att_ctx_record(c->x, "row_ratio", e.row_ratio);
    att_ctx_record(c->x, "hull", (double)e.hull);
    att_ctx_record(c->x, "lse_ratio", e.lse_ratio);
    att_ctx_record(c->x, "max_abs", e.max_abs);
    if (e.bad)
        att_ctx_diagnose(c->x, "full_budget_not_dense", 0,
                         "with everything kept the answer is not dense attention's");
    return ATT_OK;
}

att_status converge_budget(converge_case *c)
{
    const parity_spec *s = &c->in->spec;
    const int64_t growth = counts_heads(c) ? 2 : 4, all = whole(c);
    climb up = {.kept = malloc((size_t)(s->b * s->hq * s->sq * s->sk) + 1)};
    att_status status = up.kept ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t budget = 1; status == ATT_OK && budget < all; budget *= growth)
        status = climb_on(c, budget, false, &up);
    if (status == ATT_OK)
        status = climb_on(c, all, true, &up);
    if (status == ATT_OK)
        status = judge(c);
    if (status == ATT_OK) {
        if (c->part.kernel->select) {
            att_ctx_record(c->x, "select_illegal", up.illegal);
            att_ctx_record(c->x, "mass_fell", up.fell);
        }
        att_ctx_record(c->x, "error_first", up.first);
        att_ctx_record(c->x, "error_last", up.last);
        if (up.fell > 0)
            att_ctx_diagnose(c->x, "budget_not_nested", 0,
                             "a larger budget keeps less of softmax's weight");
    }
    free(up.kept);
    return status;
}
