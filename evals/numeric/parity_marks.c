/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that no other problem states, told by the marks that they leave: what was never written,
 * rows without keys, NaN from keys that a row may not see, an LSE of another kind. */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

/* What differs between an output and the right answer, by rows. */
typedef struct marks {
    int64_t rows, empty;                   /* rows with keys, and without */
    int64_t untouched, empty_untouched;    /* all bytes still as they were filled */
    int64_t nan, empty_wrong;              /* NaN where a number is asked for; not +0 */
    int64_t hidden, hidden_nan, other_nan; /* rows without keys: by mask alone; NaN in those; in
                                              the others */
    int64_t lse, lse_untouched, lse_wrong, base2, sunk; /* LSEs; of each kind that is wrong */
} marks;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * (1 + fabs(b));
}

static bool any_allowed(const parity_inputs *in, int64_t row)
{
    const uint8_t *at = in->allowed + row * in->spec.sk;

    return in->spec.sk > 0 && memchr(at, 1, (size_t)in->spec.sk) != NULL;
}

/* Does the mask, or a bias of -inf, alone forbid every key? */
static bool hidden_whole(const parity_inputs *in, int64_t row)
{
    const parity_spec *s = &in->spec;
    const att_tensor *bias = &in->plain.bias;
    parity_place at = {row / (s->hq * s->sq), row / s->sq % s->hq, row % s->sq};

    for (int64_t j = 0; j < in->nk[at.b]; j++) {
        int64_t place = bias->data ? att_tensor_at(bias, bias->shape[0] == 1 ? 0 : at.b,
                                                   bias->shape[1] == 1 ? 0 : at.h,
                                                   bias->shape[2] == 1 ? 0 : at.i,
                                                   bias->shape[3] == 1 ? 0 : j)
                                   : 0;
        bool barred = bias->data && isinf(att_fp_load(bias->data, bias->dtype, place));
        if (!barred && !parity_masked(in, at, j))
            return false;
    }
    return in->nk[at.b] > 0;
}

static void look_at_lse(const parity_inputs *in, const att_tensor *got, const again *g, int64_t row,
                        int64_t h, marks *m)
{
    double want = in->lse[row], x = att_fp_load(got->data, got->dtype, row);
    const att_tensor *z = &in->plain.sinks;

    m->lse++;
    m->lse_untouched += g->lse[row];
    if (!isfinite(want) || near(x, want))
        return;
    m->lse_wrong++;
    m->base2 += near(x, want * 0x1.71547652b82fep+0);
    if (z->data) {
        double sink = att_fp_load(z->data, z->dtype, h);
        double top = fmax(sink, want);
        m->sunk += near(x, top + log(exp(sink - top) + exp(want - top)));
    }
}

static marks look(const parity_inputs *in, const parity_outputs *o, const again *g)
{
    const att_tensor *got = &o->got;
    const parity_spec *s = &in->spec;
    marks m = {0};

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        int64_t b = row / (s->hq * s->sq), h = row / s->sq % s->hq, i = row % s->sq;
        if (i >= in->nq[b])
            continue;
        bool seen = any_allowed(in, row), untouched = g->out[row], nan = false;
        bool zero = true;
        for (int64_t d = 0; d < s->dv; d++) {
            double x = att_fp_load(got->data, got->dtype, row * s->dv + d);
            double want = in->out[row * s->dv + d];
            nan |= isnan(x) && !isnan(want);
            zero &= x == 0 && !signbit(x);
        }
        m.rows += seen;
        m.empty += !seen;
        m.untouched += seen && untouched;
        m.empty_untouched += !seen && untouched;
        m.nan += seen && nan && !untouched;
        m.empty_wrong += !seen && !untouched && !zero;
        m.hidden += !seen && hidden_whole(in, row);
        m.hidden_nan += !seen && !untouched && nan && hidden_whole(in, row);
        m.other_nan += !seen && !untouched && nan && !hidden_whole(in, row);
        if (o->got_lse.data)
            look_at_lse(in, &o->got_lse, g, row, h, &m);
    }
    return m;
}

/* Does the mask close all of some 16 keys from a multiple of 16 on to the row? */
static bool landmark_closed(const parity_inputs *in, int64_t b, int64_t h, int64_t i)
{
    const att_tensor *m = &in->plain.mask;
    int64_t run = 0;

    for (int64_t j = 0; j < in->nk[b]; j++) {
        int64_t at = att_tensor_at(m, m->shape[0] > 1 ? b : 0, m->shape[1] > 1 ? h : 0,
                                   m->shape[2] > 1 ? i : 0, m->shape[3] > 1 ? j : 0);
        run = ((const uint8_t *)m->data)[at] ? 0 : j % 16 == 0 ? 1 : run ? run + 1 : 0;
        if (run && (j % 16 == 15 || j == in->nk[b] - 1))
            return true;
    }
    return false;
}

/* Is a row with keys NaN exactly where a landmark of 16 keys is masked? */
static bool nan_by_landmarks(const parity_inputs *in, const att_tensor *got)
{
    const parity_spec *s = &in->spec;
    int64_t found = 0;

    for (int64_t row = 0; in->plain.mask.data && row < s->b * s->hq * s->sq; row++) {
        int64_t b = row / (s->hq * s->sq), h = row / s->sq % s->hq, i = row % s->sq;
        if (i >= in->nq[b] || !any_allowed(in, row) || isnan(in->out[row * s->dv]))
            continue;
        bool nan = isnan(att_fp_load(got->data, got->dtype, row * s->dv));
        if (nan != landmark_closed(in, b, h, i))
            return false;
        found += nan;
    }
    return found > 0;
}

/* Is some V that the row may not see NaN? */
static bool unseen_nan(const parity_inputs *in, int64_t row)
{
    const parity_spec *s = &in->spec;
    int64_t b = row / (s->hq * s->sq), head = row / s->sq % s->hq / (s->hq / s->hkv);

    for (int64_t j = 0; j < in->nk[b]; j++)
        if (!in->allowed[row * s->sk + j] &&
            isnan(in->v[((b * s->hkv + head) * s->sk + j) * s->dv]))
            return true;
    return false;
}

/* Has every key that the row may see the lowest finite bias? */
static bool lowest_alone(const parity_inputs *in, int64_t row)
{
    const parity_spec *s = &in->spec;
    const att_tensor *t = &in->plain.bias;

    for (int64_t j = 0; j < s->sk; j++) {
        int64_t at = att_tensor_at(t, t->shape[0] == 1 ? 0 : row / (s->hq * s->sq),
                                   t->shape[1] == 1 ? 0 : row / s->sq % s->hq,
                                   t->shape[2] == 1 ? 0 : row % s->sq, t->shape[3] == 1 ? 0 : j);
        if (in->allowed[row * s->sk + j] && att_fp_load(t->data, t->dtype, at) > -3e38)
            return false;
    }
    return true;
}

/* Are the rows with keys NaN just where `expected` says, and somewhere? */
static bool nan_just_where(const parity_inputs *in, const att_tensor *got,
                           bool (*expected)(const parity_inputs *in, int64_t row))
{
    const parity_spec *s = &in->spec;
    int64_t found = 0;

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        if (row % s->sq >= in->nq[row / (s->hq * s->sq)] || !any_allowed(in, row) ||
            isnan(in->out[row * s->dv]))
            continue;
        bool nan = isnan(att_fp_load(got->data, got->dtype, row * s->dv));
        if (nan != expected(in, row))
            return false;
        found += nan;
    }
    return found > 0;
}

/* Of several queries a sequence, are the first B packed rows alone written? */
static bool one_row_a_sequence(const parity_inputs *in, const again *g)
{
    const parity_spec *s = &in->spec;
    bool more = false;

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        int64_t b = row / (s->hq * s->sq), i = row % s->sq;
        if (i >= in->nq[b])
            continue;
        bool later = in->cu_q[b] + i >= s->b;
        if (g->out[row] != later)
            return false;
        more |= later;
    }
    return more;
}

/* Rows without keys that are not 0: which of the bugs that leave NaN there? */
static void name_empty_rows(again *g, const parity_inputs *in, const marks *m)
{
    if (in->spec.sk == 0) {
        parity_name(g, "divide_by_zero_empty", 0, "not 0 where there are no keys");
        return;
    }
    bool mask_alone = m->hidden_nan == m->hidden && m->hidden > 0 && m->other_nan == 0;
    if (m->hidden_nan + m->other_nan == m->empty)
        parity_name(g, "empty_split_typo", 0, "NaN in every row whose keys are all masked");
    if (mask_alone)
        parity_name(g, "negative_kv_max", 0, "NaN in the rows that the mask alone hides");
}

static bool beyond_16_bits(const parity_spec *s)
{
    return s->b * s->hq > UINT16_MAX || s->sq > UINT16_MAX;
}

void parity_marks(const parity_inputs *in, const parity_outputs *o, again *g)
{
    const att_tensor *got = &o->got;
    marks m = look(in, o, g);

    if (m.lse > 0 && m.lse_untouched == m.lse && m.untouched == 0)
        parity_name(g, "lse_never_written", 0, "no LSE was written");
    if (m.empty_untouched > 0 && m.empty_untouched == m.empty && m.untouched == 0)
        parity_name(g, "masked_row_not_stored", 0, "rows without keys were not written");
    if (m.untouched > 0 && m.untouched == m.rows && beyond_16_bits(&in->spec))
        parity_name(g, "grid_65535", 0,
                    "nothing was written where heads or rows are more than 65535");
    else if (in->cu_q && m.untouched > 0 && one_row_a_sequence(in, g))
        parity_name(g, "multi_token_one_row", 0,
                    "only as many packed rows written as there are sequences");
    else if (m.untouched > 0)
        parity_name(g, "rows_not_written", 0, "rows with keys were not written");
    if (m.empty_wrong > 0)
        name_empty_rows(g, in, &m);
    bool landmarks = m.nan > 0 && nan_by_landmarks(in, got);
    if (landmarks)
        parity_name(g, "nystrom_pad_mask", 0,
                    "NaN exactly in the rows of which some 16 keys are all masked");
    if (parity_is(in->spec.bias, "lowest") && nan_just_where(in, got, lowest_alone))
        parity_name(g, "mask_cast_to_inf", 0, "NaN where every key has the lowest finite bias");
    else if (!landmarks && nan_just_where(in, got, unseen_nan))
        parity_name(g, "zero_times_nan", 0, "NaN from values that the row may not see");
    if (m.lse_untouched > 0 && m.lse_untouched < m.lse && m.untouched == 0)
        parity_name(g, "lse_strided", 0, "LSEs not written where their strides say");
    if (m.base2 > 0 && m.base2 == m.lse_wrong)
        parity_name(g, "lse_base_2", 0, "LSE to the base 2");
    if (m.sunk > 0 && m.sunk == m.lse_wrong)
        parity_name(g, "sink_in_lse", 0, "LSE with the sink in it");
}
