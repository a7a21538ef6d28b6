/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer loses against dense attention on the same numbers, before K and V were quantised
 * where they are:
 *
 *   loss_l2 = |out - dense|_2 / |dense|_2,   over the rows in use and what is finite in both
 *
 * A figure to choose by, without a limit: an approximation, or a function of its own, is held to
 * its own answer. */
#include <math.h>

#include "base/fp.h"
#include "evals/numeric/parity_own.h"

void parity_record_loss(att_ctx *x, const parity_inputs *in, const att_tensor *got)
{
    const parity_spec *s = &in->spec;
    const double *dense_out = in->unrounded ? in->unrounded : in->out;
    double off = 0, size = 0;

    for (int64_t at = 0; at < s->b * s->hq * s->sq * s->dv; at++) {
        const int64_t row = at / s->dv;
        const double dense = dense_out[at], here = att_fp_load(got->data, got->dtype, at);
        if (row % s->sq >= in->nq[row / (s->hq * s->sq)] || !isfinite(dense) || !isfinite(here))
            continue;
        off = hypot(off, here - dense);
        size = hypot(size, dense);
    }
    if (size > 0)
        att_ctx_record(x, "loss_l2", off / size);
}
