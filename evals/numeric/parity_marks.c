/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that no other problem states, told by the marks that they leave: what was never written,
 * rows without keys, NaN from keys that a row may not see, an LSE of another kind. */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"

/* What differs between an output and the right answer, by rows. */
typedef struct marks {
    int64_t rows, empty;                     /* rows with keys, and without */
    int64_t untouched, empty_untouched;      /* all bytes still as they were filled */
    int64_t nan, empty_wrong;                /* NaN where a number is asked for; not +0 */
    int64_t late, early;                     /* elements off at d >= 64, and below */
    int64_t lse, lse_untouched, base2, sunk; /* LSEs; of each kind that is wrong */
} marks;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * (1 + fabs(b));
}

static bool all_ones(const att_tensor *t, int64_t row, int64_t n)
{
    size_t size = att_dtype_size(t->dtype);
    const unsigned char *at = (const unsigned char *)t->data + (size_t)(row * n) * size;

    for (size_t i = 0; i < (size_t)n * size; i++)
        if (at[i] != 0xff)
            return false;
    return true;
}

static bool any_allowed(const parity_inputs *in, int64_t row)
{
    const uint8_t *at = in->allowed + row * in->spec.sk;

    return in->spec.sk > 0 && memchr(at, 1, (size_t)in->spec.sk) != NULL;
}

static void look_at_lse(const parity_inputs *in, const att_tensor *got, int64_t row, int64_t h,
                        marks *m)
{
    double want = in->lse[row], x = att_fp_load(got->data, got->dtype, row);
    const att_tensor *z = &in->plain.sinks;

    m->lse++;
    m->lse_untouched += all_ones(got, row, 1);
    if (!isfinite(want) || near(x, want))
        return;
    m->base2 += near(x, want * 0x1.71547652b82fep+0);
    if (z->data) {
        double sink = att_fp_load(z->data, z->dtype, h);
        double top = fmax(sink, want);
        m->sunk += near(x, top + log(exp(sink - top) + exp(want - top)));
    }
}

static marks look(const parity_inputs *in, const att_tensor *got, const att_tensor *got_lse)
{
    const parity_spec *s = &in->spec;
    marks m = {0};

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        int64_t b = row / (s->hq * s->sq), h = row / s->sq % s->hq, i = row % s->sq;
        if (i >= in->nq[b])
            continue;
        bool seen = any_allowed(in, row), untouched = all_ones(got, row, s->dv), nan = false;
        bool zero = true;
        for (int64_t d = 0; d < s->dv; d++) {
            double x = att_fp_load(got->data, got->dtype, row * s->dv + d);
            double want = in->out[row * s->dv + d];
            nan |= isnan(x) && !isnan(want);
            zero &= x == 0 && !signbit(x);
            if (!isnan(want) && !(fabs(x - want) <= 0.02 * (1e-3 + fabs(want))))
                *(d < 64 ? &m.early : &m.late) += 1;
        }
        m.rows += seen;
        m.empty += !seen;
        m.untouched += seen && untouched;
        m.empty_untouched += !seen && untouched;
        m.nan += seen && nan && !untouched;
        m.empty_wrong += !seen && !untouched && !zero;
        if (got_lse->data)
            look_at_lse(in, got_lse, row, h, &m);
    }
    return m;
}

/* Does row (h, i) of every sequence hold what belongs to the row of index i H + h? */
static bool transposed(const parity_inputs *in, const att_tensor *got)
{
    const parity_spec *s = &in->spec;
    int64_t rows = s->hq * s->sq;

    for (int64_t r = 0; r < s->b * rows; r++) {
        int64_t h = r % rows / s->sq, i = r % s->sq;
        int64_t to = r / rows * rows + i * s->hq + h;
        for (int64_t d = 0; d < s->dv; d++) {
            double x = att_fp_load(got->data, got->dtype, to * s->dv + d);
            double want = in->out[r * s->dv + d];
            if (!isnan(want) && !(fabs(x - want) <= 0.02 * (1e-3 + fabs(want))))
                return false;
        }
    }
    return s->hq > 1 && s->sq > 1;
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

static bool beyond_16_bits(const parity_spec *s)
{
    return s->b * s->hq > UINT16_MAX || s->sq > UINT16_MAX;
}

void parity_marks(att_ctx *x, const parity_inputs *in, const att_tensor *got,
                  const att_tensor *got_lse)
{
    marks m = look(in, got, got_lse);

    if (m.lse > 0 && m.lse_untouched == m.lse && m.untouched == 0)
        att_ctx_diagnose(x, "lse_never_written", 0, "no LSE was written");
    if (m.empty_untouched > 0 && m.empty_untouched == m.empty && m.untouched == 0)
        att_ctx_diagnose(x, "masked_row_not_stored", 0, "rows without keys were not written");
    if (m.untouched > 0 && m.untouched == m.rows && beyond_16_bits(&in->spec))
        att_ctx_diagnose(x, "grid_65535", 0,
                         "nothing was written where heads or rows are more than 65535");
    else if (m.untouched > 0)
        att_ctx_diagnose(x, "rows_not_written", 0, "rows with keys were not written");
    if (m.empty_wrong > 0 && in->spec.sk == 0)
        att_ctx_diagnose(x, "divide_by_zero_empty", 0, "not 0 where there are no keys");
    else if (m.empty_wrong > 0)
        att_ctx_diagnose(x, "empty_split_typo", 0, "not 0 in rows whose keys are all masked");
    bool landmarks = m.nan > 0 && nan_by_landmarks(in, got);
    if (landmarks)
        att_ctx_diagnose(x, "nystrom_pad_mask", 0,
                         "NaN exactly in the rows of which some 16 keys are all masked");
    if (m.nan > 0 && !landmarks && !parity_is(in->spec.values, "nan"))
        att_ctx_diagnose(
            x, parity_is(in->spec.bias, "lowest") ? "mask_cast_to_inf" : "zero_times_nan", 0,
            parity_is(in->spec.bias, "lowest")
                ? "NaN where every key has the lowest finite bias"
                : "NaN from keys or memory that the row may not see");
    if (m.lse_untouched > 0 && m.lse_untouched < m.lse && m.untouched == 0)
        att_ctx_diagnose(x, "lse_strided", 0, "LSEs not written where their strides say");
    if (m.early + m.late > 0 && transposed(in, got))
        att_ctx_diagnose(x, "out_offset_transposed", 0, "head and query swapped in the output");
    if (m.base2 > 0)
        att_ctx_diagnose(x, "lse_base_2", 0, "LSE to the base 2");
    if (m.sunk > 0)
        att_ctx_diagnose(x, "sink_in_lse", 0, "LSE with the sink in it");
    if (m.early > 0 && in->spec.dv > 64 && m.late == 0)
        att_ctx_diagnose(x, "v_tile_offset_missing", 0,
                         "only the first 64 of more value columns are wrong");
}
