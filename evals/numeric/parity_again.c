/* SPDX-License-Identifier: Apache-2.0 */
/* A wrong call is made again before anything else is said of it: a result that does not repeat has
 * its cause in what changes from call to call, and no reading of the case explains it.  Over
 * outputs that hold another byte it shows what was never written, and what was read there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

enum { TRIES = 3, FILL = 0x5a }; /* finite in every float type */

static att_status call(att_ctx *x, const parity_inputs *in, int fill, parity_outputs *o)
{
    att_problem p = in->given;

    if (!parity_outputs_make(in, &p, o))
        return ATT_NO_MEMORY;
    parity_outputs_fill(o, fill);
    const att_status status = att_ctx_attend(x, &p);
    if (status == ATT_OK)
        parity_outputs_collect(in, &p, o);
    return status;
}

/* More than rounding could make of one result. */
static bool apart(double a, double b, double bound)
{
    if (isnan(a) || isnan(b))
        return isnan(a) != isnan(b);
    return a != b && !(fabs(a - b) <= fmax(2 * bound, 1e-3 * fmax(fabs(a), fabs(b))));
}

static bool holds(const att_tensor *t, int64_t at, int byte)
{
    const size_t size = att_dtype_size(t->dtype);
    const unsigned char *from = (const unsigned char *)t->data + (size_t)at * size;

    for (size_t i = 0; i < size; i++)
        if (from[i] != byte)
            return false;
    return true;
}

/* Element (row, d) of both: do they differ, other than as what was there before the calls? */
static bool moved(const again *g, const att_tensor *a, const att_tensor *b, int64_t row, int64_t d)
{
    const int64_t at = row * g->in->spec.dv + d;
    double sigma, bound;

    if (holds(a, at, 0xff) && holds(b, at, FILL))
        return false;
    att_profile_element(g->profile, row, d, g->units, &sigma, &bound);
    return apart(att_fp_load(a->data, a->dtype, at), att_fp_load(b->data, b->dtype, at), bound);
}

static bool in_use(const parity_inputs *in, int64_t row)
{
    const parity_spec *s = &in->spec;

    return row % s->sq < in->nq[row / (s->hq * s->sq)];
}

static bool differs(const again *g, const att_tensor *a, const att_tensor *b)
{
    const parity_spec *s = &g->in->spec;

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++)
        for (int64_t d = 0; d < s->dv && in_use(g->in, row); d++)
            if (moved(g, a, b, row, d))
                return true;
    return false;
}

static void mark_unwritten(again *g, const parity_outputs *first, const parity_outputs *second)
{
    const parity_spec *s = &g->in->spec;

    for (int64_t row = 0; row < s->b * s->hq * s->sq; row++) {
        bool all = s->dv > 0;
        for (int64_t d = 0; d < s->dv && all; d++)
            all = holds(&first->got, row * s->dv + d, 0xff) &&
                  holds(&second->got, row * s->dv + d, FILL);
        g->out[row] = all;
        g->lse[row] = first->got_lse.data && holds(&first->got_lse, row, 0xff) &&
                      holds(&second->got_lse, row, FILL);
    }
}

void parity_again_drop(again *g)
{
    free(g->out);
    free(g->lse);
}

bool parity_call_again(const parity_outputs *o, again *g)
{
    const parity_spec *s = &g->in->spec;
    const size_t rows = (size_t)(s->b * s->hq * s->sq);
    parity_outputs other = {0};

    g->out = calloc(rows + 1, 1);
    g->lse = calloc(rows + 1, 1);
    if (!g->out || !g->lse)
        return false;
    for (int i = 0; i < TRIES && !g->unsteady; i++) {
        g->unsteady = call(g->x, g->in, 0xff, &other) != ATT_OK || differs(g, &o->got, &other.got);
        parity_outputs_drop(&other);
    }
    if (g->unsteady)
        return true;
    const bool called = call(g->x, g->in, FILL, &other) == ATT_OK;
    if (called) {
        g->reads_output = differs(g, &o->got, &other.got);
        mark_unwritten(g, o, &other);
    }
    parity_outputs_drop(&other);
    return called;
}
