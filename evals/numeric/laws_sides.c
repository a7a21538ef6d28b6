/* SPDX-License-Identifier: Apache-2.0 */
/* Making a law's problems: each side is an ordinary parity case whose numbers are copied from the
 * base by its indices. */
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/laws.h"

int64_t law_rows(const parity_spec *s)
{
    return s->b * s->hq * s->sq;
}

void law_without_lengths(parity_spec *s)
{
    s->lens = "none";
}

void law_without_blocks(parity_spec *s)
{
    s->block = "none";
}

void law_explicit_positions(parity_spec *s)
{
    bool count = !parity_is(s->causal, "none") || s->left >= 0 || s->right >= 0 ||
                 !parity_is(s->alibi, "none");

    if (count)
        s->causal = "pos";
}

static void drop_side(law_side *s)
{
    void *owned[] = {s->at.b, s->at.h,   s->at.hk, s->at.i,   s->at.j,
                     s->row,  s->silent, s->shift, s->channel};

    parity_inputs_drop(s->in);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

void law_drop(void *object)
{
    law_case *c = object;

    if (!c)
        return;
    parity_inputs_drop(c->base);
    for (size_t i = 0; i < c->sides; i++)
        drop_side(&c->side[i]);
    free(c->want);
    free(c);
}

att_status law_base(law_case *c, parity_edit edit, void *arg)
{
    return parity_inputs_make_edited(c->x, &c->spec, edit, arg, &c->base);
}

/* 0, 1, ... as far as the base goes. */
static int64_t *same(int64_t n, int64_t base)
{
    int64_t *at = calloc((size_t)n + 1, sizeof *at);

    for (int64_t i = 0; at && i < n; i++)
        at[i] = i < base ? i : -1;
    return at;
}

law_side *law_open(law_case *c, const parity_spec *spec)
{
    const parity_spec *b = &c->spec;

    if (c->sides == LAW_SIDES)
        return NULL;
    law_side *s = &c->side[c->sides++];
    *s = (law_side){.spec = *spec, .times = 1};
    s->at = (law_cells){same(spec->b, b->b), same(spec->hq, b->hq), same(spec->hkv, b->hkv),
                        same(spec->sq, b->sq), same(spec->sk, b->sk)};
    s->row = malloc((size_t)(law_rows(b) + 1) * sizeof *s->row);
    for (int64_t r = 0; s->row && r < law_rows(b); r++)
        s->row[r] = -1;
    return s->at.b && s->at.h && s->at.hk && s->at.i && s->at.j && s->row ? s : NULL;
}

/* -------------------------------------------------------------------------- copying */

typedef struct copying {
    law_case *c;
    law_side *s;
    parity_edit edit;
    void *arg;
} copying;

static void copy_row(const double *from, int64_t row, int64_t n, double *to)
{
    for (int64_t d = 0; d < n; d++)
        to[d] = row < 0 ? 0 : from[row * n + d];
}

static void copy_numbers(const copying *w, parity_inputs *in)
{
    const parity_spec *s = &in->spec, *b = &w->c->spec;
    const parity_inputs *base = w->c->base;
    const law_cells *at = &w->s->at;
    int64_t n = 0;

    for (int64_t r = 0; r < law_rows(s); r++) {
        int64_t ob = at->b[r / (s->hq * s->sq)], oh = at->h[r / s->sq % s->hq],
                oi = at->i[r % s->sq];
        int64_t row = ob < 0 || oh < 0 || oi < 0 ? -1 : (ob * b->hq + oh) * b->sq + oi;
        if (s->d == b->d) /* else the law fills them */
            copy_row(base->q, row, s->d, in->q + r * s->d);
    }
    for (int64_t ib = 0; ib < s->b; ib++)
        for (int64_t hk = 0; hk < s->hkv; hk++)
            for (int64_t j = 0; j < s->sk; j++, n++) {
                int64_t ob = at->b[ib], oh = at->hk[hk], oj = at->j[j];
                int64_t row = ob < 0 || oh < 0 || oj < 0 ? -1 : (ob * b->hkv + oh) * b->sk + oj;
                if (s->d == b->d)
                    copy_row(base->k, row, s->d, in->k + n * s->d);
                if (s->dv == b->dv)
                    copy_row(base->v, row, s->dv, in->v + n * s->dv);
            }
}

/* A mask's or bias's cell; `other` where the base has none. */
static double cell(const att_tensor *t, const int64_t at[4], double other)
{
    int64_t o[4];

    for (int a = 0; a < 4; a++) {
        o[a] = t->data && t->shape[a] > 1 ? at[a] : 0;
        if (at[a] < 0)
            return other;
    }
    return t->data ? att_fp_load(t->data, t->dtype, att_tensor_at(t, o[0], o[1], o[2], o[3]))
                   : other;
}

static void copy_grid(const law_cells *at, const att_tensor *from, double other, att_tensor *to)
{
    const int64_t *n = to->shape;

    if (!to->data)
        return;
    for (int64_t b = 0; b < n[0]; b++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t i = 0; i < n[2]; i++)
                for (int64_t j = 0; j < n[3]; j++) {
                    const int64_t o[4] = {at->b[b], at->h[h], at->i[i], at->j[j]};
                    int64_t put = att_tensor_at(to, b, h, i, j);
                    if (to->dtype == ATT_U8)
                        ((uint8_t *)to->data)[put] = (uint8_t)cell(from, o, other);
                    else
                        att_fp_store(to->data, to->dtype, put, cell(from, o, other));
                }
}

/* Block masks: rows and keys of sides that have one are the base's, from the first on. */
static void copy_blocks(const law_cells *at, const att_problem *from, att_problem *to)
{
    const att_tensor *f = &from->block_mask, *t = &to->block_mask;
    const int64_t *n = t->shape;

    for (int64_t c = 0; t->data && f->data && c < n[0] * n[1] * n[2] * n[3]; c++) {
        int64_t b = c / (n[1] * n[2] * n[3]), h = c / (n[2] * n[3]) % n[1];
        int64_t i = c / n[3] % n[2], j = c % n[3];
        int64_t ob = f->shape[0] > 1 ? at->b[b] : 0, oh = f->shape[1] > 1 ? at->h[h] : 0;
        ((uint8_t *)t->data)[att_tensor_at(t, b, h, i, j)] =
            ((const uint8_t *)f->data)[att_tensor_at(f, ob, oh, i, j)];
    }
}

static void copy_heads(const law_cells *at, const att_tensor *from, att_tensor *to)
{
    for (int64_t h = 0; to->data && from->data && h < to->shape[3]; h++)
        if (at->h[h] >= 0)
            ((float *)to->data)[h] = ((const float *)from->data)[at->h[h]];
}

static void copy_positions(const law_cells *at, const int64_t *index, const att_tensor *from,
                           att_tensor *to)
{
    for (int64_t b = 0; to->data && from->data && b < to->shape[2]; b++)
        for (int64_t i = 0; i < to->shape[3]; i++)
            if (at->b[b] >= 0 && index[i] >= 0)
                ((int64_t *)to->data)[b * to->shape[3] + i] =
                    ((const int64_t *)from->data)[at->b[b] * from->shape[3] + index[i]];
}

static void copy_all(parity_inputs *in, void *arg)
{
    const copying *w = arg;
    const att_problem *from = &w->c->base->given;
    const law_cells *at = &w->s->at;
    att_problem *to = &in->given;

    copy_numbers(w, in);
    copy_grid(at, &from->mask, 1, &to->mask);
    copy_grid(at, &from->bias, 0, &to->bias);
    copy_blocks(at, from, to);
    copy_heads(at, &from->sinks, &to->sinks);
    copy_heads(at, &from->alibi_slopes, &to->alibi_slopes);
    copy_positions(at, at->i, &from->q_positions, &to->q_positions);
    copy_positions(at, at->j, &from->k_positions, &to->k_positions);
    to->scale = in->plain.scale = from->scale;
    if (w->edit)
        w->edit(in, w->arg);
}

/* Which of the side's rows meets each row of the base. */
static void meet(const law_case *c, law_side *s)
{
    const parity_spec *n = &s->spec, *b = &c->spec;

    for (int64_t r = 0; r < law_rows(n); r++) {
        int64_t ib = r / (n->hq * n->sq), i = r % n->sq;
        int64_t ob = s->at.b[ib], oh = s->at.h[r / n->sq % n->hq], oi = s->at.i[i];
        if (ob < 0 || oh < 0 || oi < 0 || i >= s->in->nq[ib] || oi >= c->base->nq[ob])
            continue;
        int64_t row = (ob * b->hq + oh) * b->sq + oi;
        s->row[row] = s->silent && s->silent[row] ? -1 : r;
    }
}

att_status law_close(law_case *c, law_side *s, parity_edit edit, void *arg)
{
    copying w = {c, s, edit, arg};
    att_status status = parity_inputs_make_edited(c->x, &s->spec, copy_all, &w, &s->in);

    if (status == ATT_OK)
        meet(c, s);
    return status;
}

att_status law_side_like(law_case *c, const parity_spec *spec, parity_edit edit, void *arg)
{
    law_side *s = law_open(c, spec);

    return s ? law_close(c, s, edit, arg) : ATT_NO_MEMORY;
}
