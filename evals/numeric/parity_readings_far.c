/* SPDX-License-Identifier: Apache-2.0 */
/* Far tensors as they look to whoever keeps an offset in 32 bits (parity_far.h): rows read, or
 * outputs looked for, where the wrapped offset leads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_far.h"
#include "evals/numeric/parity_faults.h"

/* ---------------------------------------------------------------------------- inputs */

/* Rows of a dense [n0,n1,n2,n3] copy, each by its wrapped offset; false: some row traps. */
static bool copy_wrapped(const parity_far *far, const parity_wrap *w, double *to)
{
    const int64_t n = far->t.shape[3], heads = far->t.shape[1], rows = far->t.shape[2];

    for (int64_t r = 0; r < far->rows; r++) {
        const int64_t *at = far->row[r];
        if (!parity_far_read(far, w, at, n, to + ((at[0] * heads + at[1]) * rows + at[2]) * n))
            return false;
    }
    return true;
}

static double *doubles(const att_tensor *t)
{
    return malloc((size_t)(t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3] + 1) *
                  sizeof(double));
}

static bool read_dense(const parity_far *far, const parity_wrap *w, double **to, att_tensor *t)
{
    const int64_t *n = far->t.shape;

    *to = doubles(&far->t);
    *t = att_tensor_dense(*to, ATT_F64, n[0], n[1], n[2], n[3]);
    return *to && copy_wrapped(far, w, *to);
}

static bool read_mask(const parity_far *far, const parity_wrap *w, parity_trial *t)
{
    const int64_t *n = far->t.shape, cells = n[0] * n[1] * n[2] * n[3];
    double *copy = doubles(&far->t);
    bool done = copy && copy_wrapped(far, w, copy);

    t->mask = malloc((size_t)cells + 1);
    for (int64_t c = 0; t->mask && done && c < cells; c++)
        t->mask[c] = copy[c] != 0;
    free(copy);
    t->p.mask = att_tensor_dense(t->mask, ATT_U8, n[0], n[1], n[2], n[3]);
    return t->mask && done;
}

/* k or v, whatever holds them, as dense rows of each sequence's keys. */
static bool read_keys(const parity_far *far, const parity_wrap *w, parity_trial *t, bool values)
{
    const parity_inputs *in = t->in;
    const parity_spec *s = &in->spec;
    int64_t n = values ? s->dv : s->d, rows = s->b * s->hkv * s->sk, at[3];
    double **to = values ? &t->v : &t->k;

    *to = malloc((size_t)(rows * n + 1) * sizeof **to);
    if (!*to)
        return false;
    memcpy(*to, values ? in->v : in->k, (size_t)(rows * n) * sizeof **to);
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t j = 0; j < in->nk[b]; j++)
            for (int64_t h = 0; h < s->hkv; h++) {
                parity_key_row(in, b, j, &at[0], &at[2]);
                at[1] = h;
                if (!parity_far_read(far, w, at, n, *to + ((b * s->hkv + h) * s->sk + j) * n))
                    return false;
            }
    *(values ? &t->p.v : &t->p.k) = att_tensor_dense(*to, ATT_F64, s->b, s->hkv, s->sk, n);
    return true;
}

static bool read_queries(const parity_far *far, const parity_wrap *w, parity_trial *t)
{
    const parity_inputs *in = t->in;
    const parity_spec *s = &in->spec;
    int64_t rows = s->b * s->hq * s->sq, at[3];

    t->q = calloc((size_t)(rows * s->d + 1), sizeof *t->q);
    for (int64_t b = 0; t->q && b < s->b; b++)
        for (int64_t i = 0; i < in->nq[b]; i++)
            for (int64_t h = 0; h < s->hq; h++) {
                parity_query_row(in, b, i, &at[0], &at[2]);
                at[1] = h;
                if (!parity_far_read(far, w, at, s->d, t->q + ((b * s->hq + h) * s->sq + i) * s->d))
                    return false;
            }
    t->p.q = att_tensor_dense(t->q, ATT_F64, s->b, s->hq, s->sq, s->d);
    return t->q != NULL;
}

static bool read_wrapped(const parity_far *far, const char *name, const parity_wrap *w,
                         parity_trial *t)
{
    if (parity_is(name, "mask"))
        return read_mask(far, w, t);
    if (parity_is(name, "bias"))
        return read_dense(far, w, &t->bias, &t->p.bias);
    if (parity_is(name, "q"))
        return read_queries(far, w, t);
    return read_keys(far, w, t, parity_is(name, "v"));
}

/* The trial's number is that of the wrap, from 1; which: the far tensors that wrap, as bits. */
static bool wrapped(parity_trial *t, unsigned which)
{
    const parity_wrap *w = &parity_wraps[t->n - 1];
    bool read = true, wraps = false;

    for (size_t f = 0; f < t->in->fars; f++)
        if (which >> f & 1) {
            wraps |= parity_far_wraps(t->in->far[f], w);
            read = read && read_wrapped(t->in->far[f], t->in->far_name[f], w, t);
        }
    t->why = w->text;
    return read && wraps;
}

static bool alone(parity_trial *t, const char *name)
{
    for (size_t f = 0; f < t->in->fars; f++)
        if (parity_is(t->in->far_name[f], name) && !t->in->table)
            return wrapped(t, 1u << f);
    return false;
}

static bool mask_wraps(parity_trial *t)
{
    return alone(t, "mask");
}

static bool bias_wraps(parity_trial *t)
{
    return alone(t, "bias");
}

static bool q_wraps(parity_trial *t)
{
    return alone(t, "q");
}

static bool k_wraps(parity_trial *t)
{
    return alone(t, "k");
}

static bool v_wraps(parity_trial *t)
{
    return alone(t, "v");
}

static bool kv_wrap(parity_trial *t)
{
    return t->in->fars == 2 && !t->in->table && wrapped(t, 3);
}

static bool pages_wrap(parity_trial *t)
{
    return t->in->fars == 2 && t->in->table && wrapped(t, 3);
}

static bool k_pages_wrap(parity_trial *t)
{
    return t->in->fars == 2 && t->in->table && wrapped(t, 1);
}

static bool v_pages_wrap(parity_trial *t)
{
    return t->in->fars == 2 && t->in->table && wrapped(t, 2);
}

static const int64_t ways[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0};

const parity_fault parity_far_faults[] = {
    {"mask_offset_32bit", "a mask's offsets wrap", mask_wraps, ways},
    {"bias_offset_32bit", "a bias's offsets wrap", bias_wraps, ways},
    {"q_offset_32bit", "q's offsets wrap", q_wraps, ways},
    {"k_offset_32bit", "k's offsets wrap", k_wraps, ways},
    {"v_offset_32bit", "v's offsets wrap", v_wraps, ways},
    {"kv_offset_32bit", "offsets of k and v wrap", kv_wrap, ways},
    {"page_offset_32bit", "offsets of pages wrap", pages_wrap, ways},
    {"page_offset_32bit", "offsets of K's pages wrap", k_pages_wrap, ways},
    {"page_offset_32bit", "offsets of V's pages wrap", v_pages_wrap, ways},
    {0},
};

/* --------------------------------------------------------------------------- outputs */

/* The dense copy, with the rows that were not where they belong taken from their wrapped places. */
static bool collect_wrapped(const parity_inputs *in, const parity_far *far, const parity_wrap *w,
                            att_tensor *got)
{
    const parity_spec *s = &in->spec;
    bool lse = parity_is_far(s, "lse");
    int64_t n = lse ? s->sq : s->dv, at[3];
    double *row = malloc((size_t)(n + 1) * sizeof *row);
    bool read = row != NULL;

    for (int64_t r = 0; read && r < s->b * s->hq * (lse ? 1 : s->sq); r++) {
        int64_t b = lse ? r / s->hq : r / s->sq / s->hq;
        int64_t h = lse ? r % s->hq : r / s->sq % s->hq, i = lse ? 0 : r % s->sq;
        at[0] = lse ? 0 : b;
        at[1] = lse ? b : h;
        at[2] = lse ? h : i;
        int64_t own = att_tensor_at(&far->t, at[0], at[1], at[2], 0);
        if (parity_wrapped(&far->t, w, at) == own * (int64_t)att_dtype_size(far->t.dtype))
            continue;
        read = parity_far_read(far, w, at, n, row);
        for (int64_t d = 0; read && d < n; d++)
            att_fp_store(got->data, got->dtype, r * n + d, row[d]);
    }
    free(row);
    return read;
}

void parity_far_moves(const parity_outputs *o, again *g)
{
    bool lse = parity_is_far(&g->in->spec, "lse");
    const att_tensor *from = lse ? &o->got_lse : &o->got;
    size_t bytes = att_dtype_size(from->dtype);

    for (int a = 0; a < 4; a++)
        bytes *= (size_t)from->shape[a];
    for (int w = 0; o->far && !g->in->cu_q && w < PARITY_WRAPS; w++) {
        att_tensor copy = *from;
        att_error e = {.bad = true};
        copy.data = malloc(bytes + 1);
        if (!copy.data)
            return;
        memcpy(copy.data, from->data, bytes);
        if (parity_far_wraps(o->far, &parity_wraps[w]) &&
            collect_wrapped(g->in, o->far, &parity_wraps[w], &copy) &&
            att_error_judge(g->profile, lse ? &o->got : &copy, lse ? &copy : &o->got_lse, g->units,
                            &e) == ATT_OK &&
            !e.bad)
            parity_name(g, lse ? "lse_offset_32bit" : "out_offset_32bit", 0, parity_wraps[w].text);
        free(copy.data);
        if (!e.bad)
            return;
    }
}
