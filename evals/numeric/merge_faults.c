/* SPDX-License-Identifier: Apache-2.0 */
/* Which known bug explains a wrong merge?  Each row of the dictionary states the parts as whoever
 * has that bug reads them; the oracle answers that problem and the output is judged against it by
 * the same rule.  What no problem states is told by its marks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/merge.h"

#define LN2 0x1.62e42fefa39efp-1

/* One fault's reading: copies of what it may change. */
typedef struct trial {
    const merge_case *c;
    att_problem p;
    double *k, *v, *out, *lse;
    uint8_t *mask;
} trial;

typedef struct fault {
    const char *name, *text;
    bool (*read)(trial *t); /* false: the case has nothing of the kind */
} fault;

/* ---------------------------------------------------------------------------- readings */

static bool contiguous(trial *t)
{
    const merge_spec *s = &t->c->spec;
    int64_t b, h, i;
    bool differs = false;

    for (int64_t row = 0; row < merge_rows(s); row++)
        for (int64_t part = 0; part < s->parts; part++) {
            merge_row(s, row, &b, &h, &i);
            const att_tensor *l = &t->c->lses[part];
            int64_t at = (b * s->h + h) * s->s + i, cell = row * s->parts + part;
            differs |= at != att_tensor_at(l, 0, b, h, i);
            t->k[cell] = att_fp_load(l->data, l->dtype, at);
            t->mask[cell] = (uint8_t)(t->k[cell] != -(double)INFINITY);
        }
    return differs;
}

/* The same to whoever keeps the larger of two LSEs by a comparison, which a NaN loses. */
static bool contiguous_numbers(trial *t)
{
    const merge_spec *s = &t->c->spec;
    bool differs = contiguous(t), lost = false;

    for (int64_t cell = 0; cell < merge_rows(s) * s->parts; cell++)
        if (isnan(t->k[cell])) {
            t->mask[cell] = 0;
            lost = true;
        }
    return differs && lost;
}

static bool base_2(trial *t)
{
    const merge_spec *s = &t->c->spec;

    for (int64_t cell = 0; cell < merge_rows(s) * s->parts; cell++)
        t->k[cell] *= LN2;
    return true;
}

static bool averaged(trial *t)
{
    const merge_spec *s = &t->c->spec;

    for (int64_t cell = 0; cell < merge_rows(s) * s->parts; cell++)
        t->k[cell] = 0;
    return true;
}

/* The largest LSE of a row's parts, and the sum of weights over it. */
static double top_of(const merge_case *c, int64_t row, double *sum)
{
    const double *k = c->k + row * c->spec.parts;
    double top = -(double)INFINITY;

    *sum = 0;
    for (int64_t part = 0; part < c->spec.parts; part++)
        top = fmax(top, k[part]);
    for (int64_t part = 0; top != -(double)INFINITY && part < c->spec.parts; part++)
        *sum += exp(k[part] - top);
    return top;
}

static bool not_normalised(trial *t)
{
    const merge_spec *s = &t->c->spec;

    for (int64_t row = 0; row < merge_rows(s); row++) {
        double sum;
        top_of(t->c, row, &sum);
        for (int64_t n = 0; n < s->parts * s->dv; n++)
            t->v[row * s->parts * s->dv + n] *= sum;
    }
    return !t->p.sinks.data;
}

static bool largest_alone(trial *t)
{
    const merge_spec *s = &t->c->spec;
    double sum;

    for (int64_t row = 0; row < merge_rows(s); row++) {
        double top = top_of(t->c, row, &sum);
        for (int64_t part = 0; part < s->parts; part++)
            if (t->c->k[row * s->parts + part] != top)
                t->mask[row * s->parts + part] = 0;
    }
    return s->parts > 1;
}

static bool without_part(trial *t, int64_t part)
{
    const merge_spec *s = &t->c->spec;

    for (int64_t row = 0; row < merge_rows(s); row++)
        t->mask[row * s->parts + part] = 0;
    return true;
}

static bool last_dropped(trial *t)
{
    return t->c->spec.parts > 1 && without_part(t, t->c->spec.parts - 1);
}

static bool first_dropped(trial *t)
{
    return t->c->spec.parts > 1 && without_part(t, 0);
}

static bool no_sinks(trial *t)
{
    bool given = t->p.sinks.data != NULL;

    t->p.sinks = (att_tensor){0};
    return given;
}

static const fault faults[] = {
    {"lse_strided", "LSEs of the parts read as if contiguous", contiguous},
    {"lse_strided", "LSEs of the parts read as if contiguous, gaps taken as empty",
     contiguous_numbers},
    {"merge_base_2", "weights 2^LSE in place of e^LSE", base_2},
    {"merge_averaged", "all parts weigh alike", averaged},
    {"merge_not_normalised", "weights not divided by their sum", not_normalised},
    {"merge_largest_alone", "only the part of the largest LSE counts", largest_alone},
    {"merge_last_part_dropped", "the last part left out", last_dropped},
    {"merge_first_part_dropped", "the first part left out", first_dropped},
    {"sinks_ignored", "no sinks", no_sinks},
    {0},
};

/* ---------------------------------------------------------------------------- judgement */

static void drop_trial(trial *t)
{
    void *owned[] = {t->k, t->v, t->mask, t->out, t->lse};

    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

static bool copy_case(const merge_case *c, trial *t)
{
    size_t rows = (size_t)merge_rows(&c->spec), cells = rows * (size_t)c->spec.parts;
    size_t dv = (size_t)c->spec.dv;

    *t = (trial){.c = c, .p = c->plain};
    t->k = malloc((cells + 1) * sizeof *t->k);
    t->v = malloc((cells * dv + 1) * sizeof *t->v);
    t->mask = malloc(cells + 1);
    t->out = calloc(rows * dv + 1, sizeof *t->out);
    t->lse = calloc(rows + 1, sizeof *t->lse);
    if (!t->k || !t->v || !t->mask || !t->out || !t->lse)
        return false;
    memcpy(t->k, c->k, cells * sizeof *t->k);
    memcpy(t->v, c->v, cells * dv * sizeof *t->v);
    memcpy(t->mask, c->mask, cells);
    t->p.k.data = t->k;
    t->p.v.data = t->v;
    t->p.mask.data = t->mask;
    t->p.out.data = t->out;
    t->p.lse.data = t->lse;
    return true;
}

/* The sigma ratio over 6 where the reading explains the output; else NaN. */
static double explains(att_ctx *x, const merge_case *c, const fault *f, const att_units *units)
{
    merge_answer as = {0};
    att_error e = {.bad = true};
    trial t;
    double ratio = (double)NAN;

    if (copy_case(c, &t) && f->read(&t) && att_ctx_oracle(x, ATT_OP_ATTEND, &t.p) == ATT_OK &&
        att_profile_make(&t.p, t.mask, t.out, t.lse, units->acc, &as.profile, NULL) == ATT_OK) {
        as.out = t.out;
        as.lse = t.lse;
        if (merge_judge(&c->spec, &as, &c->got, NULL, units, &e) == ATT_OK && !e.bad)
            ratio = e.sigma_ratio / 6;
    }
    att_profile_drop(as.profile);
    drop_trial(&t);
    return ratio;
}

/* ------------------------------------------------------------------------------- marks */

/* Rows by what is wrong with them. */
typedef struct marks {
    int64_t rows, holed, empty; /* with parts; some of them empty; with none */
    int64_t nan, nan_holed, nan_empty, far, nan_far;
    int64_t lse, lse_untouched, lse_base2, lse_sunk, lse_top;
} marks;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * (1 + fabs(b));
}

static void look_at_lse(const merge_case *c, int64_t row, double top, marks *m)
{
    double want = c->want_lse[row], x = (double)((const float *)c->got_lse.data)[row];
    uint32_t bits;

    memcpy(&bits, (const float *)c->got_lse.data + row, sizeof bits);
    m->lse++;
    m->lse_untouched += bits == UINT32_MAX;
    if (!isfinite(want) || near(x, want))
        return;
    m->lse_base2 += near(x, want / LN2);
    m->lse_top += near(x, top);
    if (c->plain.sinks.data) {
        double z = att_fp_load(c->plain.sinks.data, ATT_F32, row % c->spec.h);
        double over = fmax(z, want);
        m->lse_sunk += near(x, over + log(exp(z - over) + exp(want - over)));
    }
}

static marks look(const merge_case *c)
{
    const merge_spec *s = &c->spec;
    marks m = {0};

    for (int64_t row = 0; row < merge_rows(s); row++) {
        double sum, top = top_of(c, row, &sum);
        bool some = s->parts > 0 && memchr(c->mask + row * s->parts, 1, (size_t)s->parts);
        bool hole = s->parts > 0 && memchr(c->mask + row * s->parts, 0, (size_t)s->parts);
        bool nan = false, far = some && fabs(top) > 80;
        for (int64_t d = 0; d < s->dv; d++)
            nan |= !isfinite(att_fp_load(c->got.data, c->got.dtype, row * s->dv + d)) &&
                   isfinite(c->want[row * s->dv + d]);
        m.rows += some;
        m.holed += some && hole;
        m.empty += !some;
        m.far += far;
        m.nan += nan;
        m.nan_holed += nan && some && hole;
        m.nan_empty += nan && !some;
        m.nan_far += nan && far;
        if (c->got_lse.data)
            look_at_lse(c, row, top, &m);
    }
    return m;
}

static void name_marks(att_ctx *x, const merge_case *c)
{
    marks m = look(c);

    if (m.lse > 0 && m.lse_untouched == m.lse)
        att_ctx_diagnose(x, "lse_never_written", 0, "no LSE was written");
    else if (m.lse_untouched > 0)
        att_ctx_diagnose(x, "lse_strided", 0, "LSEs not written where their strides say");
    if (m.lse_base2 > 0)
        att_ctx_diagnose(x, "lse_base_2", 0, "LSE to the base 2");
    if (m.lse_sunk > 0)
        att_ctx_diagnose(x, "sink_in_lse", 0, "LSE with the sink in it");
    if (m.lse_top > 0)
        att_ctx_diagnose(x, "merge_lse_of_largest", 0, "the largest part's LSE as that of all");
    if (m.nan > 0 && m.nan == m.nan_empty && m.nan_empty == m.empty)
        att_ctx_diagnose(x, "empty_split_typo", 0, "NaN exactly where every part is empty");
    else if (m.nan_holed > 0 && m.nan_holed == m.holed && m.nan == m.nan_holed + m.nan_empty)
        att_ctx_diagnose(x, "merge_empty_part_read", 0, "NaN exactly where some part is empty");
    else if (m.nan_far > 0 && m.nan_far == m.nan)
        att_ctx_diagnose(x, "merge_overflows", 0, "not finite where e^LSE leaves the range");
}

void merge_diagnose(att_ctx *x, const merge_case *c, const att_units *units, bool lse_alone)
{
    name_marks(x, c);
    for (const fault *f = faults; f->name && !lse_alone; f++) {
        double ratio = explains(x, c, f, units);
        if (!isnan(ratio))
            att_ctx_diagnose(x, f->name, ratio, f->text);
    }
}
