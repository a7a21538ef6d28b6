/* SPDX-License-Identifier: Apache-2.0 */
/* Trying the dictionary's readings on one wrong output.  Most are seen to be far off as soon as the
 * oracle has answered; the numeric rule decides about the rest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

/* Sigmas of the right answer that no reading's own sigma reaches the sixth of. */
#define FAR 600.0

/* What is to be explained. */
typedef struct subject {
    again *g;
    const att_tensor *got, *lse;
    const att_error *e; /* the output against the right answer; right: the LSE alone is wrong */
    double *out;        /* [rows][Dv]: the output as doubles */
    double *weight;     /* 1 / sigma under the right reading; 0 = not judged */
    int64_t n;
    bool finite; /* is any of the output? */
} subject;

void parity_trial_drop(parity_trial *t)
{
    void *owned[] = {t->q,   t->k,       t->v,    t->bias,      t->out,
                     t->lse, t->allowed, t->mask, t->positions, t->heads};

    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

/* Is the reading's answer nowhere near, or hardly nearer than the right one? */
static bool far_off(const subject *s, const double *answer)
{
    const parity_inputs *in = s->g->in;
    const int64_t rows = in->spec.hq * in->spec.sq;
    double worst = 0, right = 0;

    for (int64_t i = 0; i < s->n; i++) {
        const int64_t row = i / in->spec.dv;
        if (row % in->spec.sq >= in->nq[row / rows])
            continue;
        if (isnan(answer[i]) != isnan(s->out[i]))
            return true;
        if (!isfinite(answer[i]) || !isfinite(s->out[i]))
            continue;
        worst = fmax(worst, fabs(answer[i] - s->out[i]) * s->weight[i]);
        if (isfinite(in->out[i]))
            right = fmax(right, fabs(in->out[i] - s->out[i]) * s->weight[i]);
    }
    return worst > FAR && worst > right / 2;
}

/* A reading that is hardly better than the right one explains nothing. */
static double weighed(const subject *s, const att_error *e)
{
    if (!s->e->bad)
        return e->lse_ratio;
    if (s->e->nonfinite == 0 && !(2 * e->sigma_ratio <= s->e->sigma_ratio))
        return (double)NAN;
    return s->finite ? e->sigma_ratio / 6 : 1;
}

/* Judges the output against the oracle's answer to the trial; its ratio, NaN = does not hold. */
static double explains(parity_trial *t, const subject *s)
{
    att_ctx *x = t->x;
    const att_problem *from = &t->in->plain;
    int64_t rows = from->batch * from->heads_q * from->q_len;
    att_profile *profile = NULL;
    att_error e = {0};
    double ratio = (double)NAN;

    t->allowed = calloc((size_t)(rows * t->p.kv_len) + 1, 1);
    t->out = calloc((size_t)(rows * from->value_dim) + 1, sizeof *t->out);
    t->lse = calloc((size_t)rows + 1, sizeof *t->lse);
    if (!t->allowed || !t->out || !t->lse)
        return ratio;
    t->p.out.data = t->out;
    t->p.lse.data = t->lse;
    const att_variant *oracle = att_ctx_find(x, "reference_f64");
    if (oracle && att_ctx_oracle(x, ATT_OP_ATTEND, &t->p) == ATT_OK && !far_off(s, t->out) &&
        att_ctx_call(x, &oracle->part[0], ATT_OP_SELECT, &t->p, t->allowed) == ATT_OK &&
        att_profile_make(&t->p, t->allowed, t->out, t->lse, s->g->units->acc, &profile, NULL) ==
            ATT_OK &&
        att_error_judge(profile, s->got, s->e->bad ? NULL : s->lse, s->g->units, &e) == ATT_OK &&
        !e.bad)
        ratio = weighed(s, &e);
    att_profile_drop(profile);
    return ratio;
}

/* The fault's text with n in place of #. */
static void write_text(const char *text, int64_t n, char *to, size_t size)
{
    const char *mark = strchr(text, '#');

    if (mark)
        snprintf(to, size, "%.*s%lld%s", (int)(mark - text), text, (long long)n, mark + 1);
    else
        snprintf(to, size, "%s", text);
}

static void try_reading(const subject *s, const parity_fault *f, int64_t n)
{
    parity_trial t = {.x = s->g->x, .in = s->g->in, .p = s->g->in->plain, .n = n};
    char text[sizeof s->g->name[0].text], name[sizeof s->g->name[0].fault];

    t.heads = calloc((size_t)s->g->in->spec.hq + 1, sizeof *t.heads);
    const double ratio = t.heads && f->read(&t) ? explains(&t, s) : (double)NAN;
    if (!isnan(ratio)) {
        write_text(t.why ? t.why : f->text, n, text, sizeof text);
        snprintf(name, sizeof name, f->of ? "%s{%lld}" : "%s", f->name, (long long)n);
        parity_name(s->g, name, ratio, text);
    }
    parity_trial_drop(&t);
}

static bool take_output(subject *s)
{
    const parity_inputs *in = s->g->in;

    s->n = in->spec.b * in->spec.hq * in->spec.sq * in->spec.dv;
    s->out = calloc((size_t)s->n + 1, sizeof *s->out);
    s->weight = calloc((size_t)s->n + 1, sizeof *s->weight);
    for (int64_t i = 0; s->out && s->weight && i < s->n; i++) {
        double sigma = 0, bound;
        s->out[i] = att_fp_load(s->got->data, s->got->dtype, i);
        s->finite |= isfinite(s->out[i]) != 0;
        att_profile_element(s->g->profile, i / in->spec.dv, i % in->spec.dv, s->g->units, &sigma,
                            &bound);
        s->weight[i] = sigma > 0 ? 1 / sigma : 0;
    }
    return s->out && s->weight;
}

double parity_explains(parity_trial *t, const att_tensor *got, const att_error *e, again *g)
{
    subject s = {.g = g, .got = got, .e = e};
    const double ratio = take_output(&s) ? explains(t, &s) : (double)NAN;

    free(s.out);
    free(s.weight);
    return ratio;
}

void parity_explain(const parity_outputs *o, const att_error *e, again *g)
{
    const parity_fault *const tables[] = {
        parity_faults,      parity_logit_faults, parity_memory_faults, parity_tile_faults,
        parity_term_faults, parity_quant_faults, parity_far_faults};
    static const int64_t none[] = {-1, 0};
    subject s = {.g = g, .got = &o->got, .lse = &o->got_lse, .e = e};
    const bool ready = take_output(&s);

    for (size_t table = 0; ready && table < sizeof tables / sizeof *tables; table++)
        for (const parity_fault *f = tables[table]; f->name; f++)
            for (const int64_t *n = f->of ? f->of : none; *n; n++)
                try_reading(&s, f, *n);
    free(s.out);
    free(s.weight);
}
