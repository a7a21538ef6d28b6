/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary: which known bug or foreign convention explains a wrong output?
 *
 * Each row states the case as whoever has that bug reads it; the oracle answers that problem, and
 * the output is judged against the answer by the same numeric rule.  Where it holds, the fault
 * explains the output; its ratio is max |e| / (6 sigma), so smaller explains better and none is
 * over 1.  Several may explain one case (no causality and top-left are one where no row differs).
 * What no problem can state is found by its marks instead (parity_marks.c).  O(faults) oracles, so
 * only the first failing cases of a kernel are looked into. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "evals/numeric/parity_faults.h"

#define MOST_CASES 12  /* a kernel and worker */
#define MOST_WORK  4e6 /* pairs times width of a case */

static void drop_trial(parity_trial *t)
{
    void *owned[] = {t->k, t->v, t->out, t->lse, t->allowed, t->mask, t->positions, t->heads};

    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

/* Judges the output against the oracle's answer to the trial; sigma ratio, NaN = does not hold. */
static double explains(parity_trial *t, const att_tensor *got, const att_units *units)
{
    att_ctx *x = t->x;
    const att_problem *from = &t->in->plain;
    int64_t rows = from->batch * from->heads_q * from->q_len;
    att_profile *profile = NULL;
    att_error e = {0};
    double ratio = (double)NAN;

    t->allowed = calloc((size_t)(rows * from->kv_len) + 1, 1);
    t->out = calloc((size_t)(rows * from->value_dim) + 1, sizeof *t->out);
    t->lse = calloc((size_t)rows + 1, sizeof *t->lse);
    if (!t->allowed || !t->out || !t->lse)
        return ratio;
    t->p.out.data = t->out;
    t->p.lse.data = t->lse;
    const att_variant *oracle = att_ctx_find(x, "reference_f64");
    if (oracle && att_ctx_call(x, &oracle->part[0], ATT_OP_SELECT, &t->p, t->allowed) == ATT_OK &&
        att_ctx_oracle(x, ATT_OP_ATTEND, &t->p) == ATT_OK &&
        att_profile_make(&t->p, t->allowed, t->out, t->lse, units->acc, &profile, NULL) == ATT_OK &&
        att_error_judge(profile, got, NULL, units, &e) == ATT_OK && !e.bad)
        ratio = e.sigma_ratio / 6;
    att_profile_drop(profile);
    return ratio;
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

void parity_diagnose(att_ctx *x, const parity_inputs *in, const att_tensor *got,
                     const att_tensor *got_lse, const att_units *units, bool lse_alone)
{
    void *count = NULL;
    char key[160];

    snprintf(key, sizeof key, "run:parity looked at %s", att_ctx_kernel(x)->name);
    if (parity_work(&in->spec) > MOST_WORK ||
        att_ctx_shared(x, key, make_looked, NULL, free, &count) != ATT_OK ||
        ((looked *)count)->cases++ >= MOST_CASES)
        return;
    parity_marks(x, in, got, got_lse);
    for (const parity_fault *f = parity_faults; f->name && !lse_alone; f++) {
        parity_trial t = {.x = x, .in = in, .p = in->plain};
        t.heads = calloc((size_t)in->spec.hq + 1, sizeof *t.heads);
        double ratio = t.heads && f->read(&t) ? explains(&t, got, units) : (double)NAN;
        if (!isnan(ratio))
            att_ctx_diagnose(x, f->name, ratio, f->text);
        drop_trial(&t);
    }
}
