/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel wrote, judged by what it is: exact softmax attention, an approximation on its own
 * keys, or a function of its own. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity.h"
#include "evals/numeric/parity_own.h"

static void record(att_ctx *x, const att_error *e)
{
    att_ctx_record(x, "nonfinite", (double)e->nonfinite);
    att_ctx_record(x, "sigma_ratio", e->sigma_ratio);
    att_ctx_record(x, "bound_ratio", e->bound_ratio);
    att_ctx_record(x, "row_ratio", e->row_ratio);
    att_ctx_record(x, "hull", (double)e->hull);
    att_ctx_record(x, "lse_ratio", e->lse_ratio);
    att_ctx_record(x, "max_abs", e->max_abs);
    att_ctx_record(x, "nmse", e->nmse);
    att_ctx_record(x, "cosine", e->cosine);
    att_ctx_record(x, "twice_ratio", e->twice_ratio);
    att_ctx_record(x, "elements", (double)e->elements);
}

/* Judges what the kernel wrote; `in` holds the answer it is held to. */
static att_status judge(att_ctx *x, parity_inputs *in, const parity_outputs *o,
                        const att_units *units, bool explain)
{
    att_profile *profile = NULL;
    att_error e;
    att_status status = parity_profile(x, in, units->acc, &profile);

    if (status == ATT_OK)
        status = att_error_judge(profile, &o->got, &o->got_lse, units, &e);
    if (status != ATT_OK)
        return status;
    record(x, &e);
    if (e.bad && explain)
        parity_diagnose(x, in, o, units, &e, att_ctx_kernel(x)->class_ == ATT_EXACT);
    else if (explain && parity_outputs_changed(o))
        parity_say_outside(x, parity_outputs_changed(o));
    return ATT_OK;
}

static att_status judge_approx(att_ctx *x, parity_inputs *in, const att_problem *p,
                               const parity_outputs *o, const att_units *units, bool explain)
{
    bool pools = parity_pools(att_ctx_kernel(x)), rounds = parity_rounds(att_ctx_kernel(x));
    parity_inputs own = {0};
    double illegal = 0, steps = 0;
    att_status status = pools    ? parity_on_pooled(x, in, &own)
                        : rounds ? parity_on_rounded(x, in, &own, &steps)
                                 : parity_on_own_keys(x, in, p, &own, &illegal);

    if (status == ATT_OK && rounds)
        att_ctx_record(x, "input_steps", steps);
    pools |= rounds;
    if (status == ATT_OK && !pools) {
        att_ctx_record(x, "select_illegal", illegal);
        parity_check_pattern(x, in, &own, explain);
    }
    if (status == ATT_OK && !pools)
        status = parity_check_top(x, in, &own, units->acc, explain);
    if (status == ATT_OK && !pools)
        status = parity_check_far(x, in, &own, units->acc);
    if (status == ATT_OK && !pools)
        status = parity_check_index(x, in, p, &own, units->acc, explain);
    if (status == ATT_OK && !pools)
        status = parity_check_stream(x, in, &own, units->acc, explain);
    if (status == ATT_OK && !pools)
        status = parity_check_choice(x, in, &own, units->acc, explain);
    if (status == ATT_OK)
        status = judge(x, &own, o, units, explain);
    parity_drop_own(&own);
    return status;
}

att_status parity_judge(att_ctx *x, parity_inputs *in, const att_problem *p, parity_outputs *o,
                        const att_units *units, bool explain)
{
    int32_t class_ = parity_class(att_ctx_kernel(x));
    att_status status;

    parity_outputs_collect(in, p, o);
    if (!p->lse.data)
        o->got_lse.data = (free(o->got_lse.data), NULL);
    if (class_ == ATT_OWN)
        status = parity_own(x, in, &o->got, units);
    else if (class_ == ATT_APPROX)
        status = judge_approx(x, in, p, o, units, explain);
    else
        status = judge(x, in, o, units, explain);
    if (status == ATT_OK) {
        att_ctx_record(x, "redzone", (double)parity_outputs_changed(o));
        if (class_ != ATT_EXACT || in->unrounded)
            parity_record_loss(x, in, &o->got);
    }
    return status;
}

att_status parity_judge_seen(att_ctx *x, parity_inputs *in, const att_problem *p,
                             const uint8_t *seen, parity_outputs *o, const att_units *units)
{
    parity_inputs own = {0};
    double illegal = 0;

    parity_outputs_collect(in, p, o);
    if (!p->lse.data)
        o->got_lse.data = (free(o->got_lse.data), NULL);
    att_status status = parity_on_seen(x, in, seen, &own, &illegal);
    if (status == ATT_OK)
        status = judge(x, &own, o, units, false);
    if (status == ATT_OK) {
        att_ctx_record(x, "select_illegal", illegal);
        att_ctx_record(x, "redzone", (double)parity_outputs_changed(o));
    }
    parity_drop_own(&own);
    return status;
}

/* Does the kernel say which keys it kept, of a call or of a session? */
static bool tells(const att_kernel *k)
{
    return k->select || ((k->abi & 0xffffu) >= 2 && k->session && k->session->seen);
}

att_status parity_ready(att_ctx *x, const parity_spec *spec, att_units *units)
{
    const att_kernel *kernel = att_ctx_kernel(x);

    if (spec->place == ATT_PLACE_FLUSH &&
        (kernel->over_read > 0 || kernel->align > (int64_t)att_dtype_size(spec->dtype))) {
        att_ctx_why(x, "the kernel declares an alignment or over-read that flush placement denies");
        return ATT_UNSUPPORTED;
    }
    if (att_units_of(&kernel->precision, spec->dtype, spec->dtype, units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    if (parity_class(kernel) == ATT_APPROX && !tells(kernel) && !parity_pools(kernel) &&
        !parity_rounds(kernel)) {
        att_ctx_why(x, "approximates without saying which keys it kept (no select)");
        return ATT_UNSUPPORTED;
    }
    if (kernel->class_ == ATT_OWN && !parity_knows(kernel)) {
        att_ctx_why(x, "has a function of its own that parity does not know");
        return ATT_UNSUPPORTED;
    }
    return ATT_OK;
}
