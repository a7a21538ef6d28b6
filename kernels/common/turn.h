/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary embedding row by row, with steps that a kernel may replace.
 *
 *   (x1, x2) -> (c x1 - s x2, s x1 + c x2)     angle = position * theta^(-2i / rotary_dim)
 *   scaled:  f = theta^(-2i / rotary_dim) -> g f / s + (1 - g) f, c and s times a factor (attn.h)
 *
 * Angles in double, which keeps them exact enough at any position; the products in f32.  A row is
 * read whole before any of it is written, so that it may be turned in place.
 * Bound: 3 2^-24 (|c x1| + |s x2|) and the rounding of the result.  Source: Su et al. 2021. */
#ifndef ATT_COMMON_TURN_H
#define ATT_COMMON_TURN_H

#include "common/accept.h"
#include "common/half.h"

typedef struct att_turn att_turn;

/* One row in work. */
typedef struct att_turn_row {
    const att_problem *p;
    const att_turn *way;
    int64_t b, h, i;
    float *x, *y; /* [D] as read, as to be written */
} att_turn_row;

/* The steps; NULL = done right. */
struct att_turn {
    int64_t (*position)(const att_turn_row *w);
    double (*width)(const att_problem *p);           /* of the frequencies' exponents */
    int64_t (*distance)(const att_problem *p);       /* between the dimensions of a pair */
    double (*ramp)(const att_rope *r, int64_t pair); /* how far YaRN interpolates it, 0 to 1 */
    double (*gain)(const att_rope *r);               /* of cos and sin */
    void (*read)(const att_turn_row *w);             /* the row into x */
    void (*store)(const att_turn_row *w);            /* y into the row */
    int64_t (*batch)(const att_problem *p);          /* how many sequences are turned */
    void (*pair)(const att_turn_row *w, int64_t one, int64_t two, float c, float s); /* into y */
};

static inline int64_t att_turn_position(const att_turn_row *w)
{
    const att_tensor *t = &w->p->q_positions;
    if (!t->data)
        return w->i;
    return ((const int64_t *)t->data)[(t->shape[2] == 1 ? 0 : w->b * t->stride[2]) +
                                      (t->shape[3] == 1 ? 0 : w->i * t->stride[3])];
}

static inline void att_turn_read(const att_turn_row *w)
{
    const att_tensor *q = &w->p->q;
    att_load_row(q->data, q->dtype, att_tensor_at(q, w->b, w->h, w->i, 0), q->stride[3],
                 w->p->head_dim, w->x);
}

static inline void att_turn_store(const att_turn_row *w)
{
    const att_tensor *out = &w->p->out;
    att_store_row(out->data, out->dtype, att_tensor_at(out, w->b, w->h, w->i, 0), out->stride[3],
                  w->p->head_dim, w->y);
}

static inline double att_turn_table(const att_turn_row *w, const att_tensor *t, int64_t pair)
{
    const int64_t b = t->shape[1] == 1 ? 0 : w->b, i = t->shape[2] == 1 ? 0 : w->i;
    return (double)att_load(t->data, t->dtype, att_tensor_at(t, 0, b, i, pair));
}

/* Where pair `pair` begins. */
static inline int64_t att_turn_first(const att_problem *p, int64_t pair)
{
    return p->rope->pairing == ATT_ROPE_HALF ? pair : 2 * pair;
}

static inline int64_t att_turn_distance(const att_problem *p)
{
    return p->rope->pairing == ATT_ROPE_HALF ? p->rope->rotary_dim / 2 : 1;
}

static inline void att_turn_pair(const att_turn_row *w, int64_t one, int64_t two, float c, float s)
{
    w->y[one] = c * w->x[one] - s * w->x[two];
    w->y[two] = s * w->x[one] + c * w->x[two];
}

static inline double att_turn_clamped(double g)
{
    return g > 0 ? g < 1 ? g : 1 : 0;
}

/* By the pair's number, between the two that turn `fast` and `slow` times over the old length. */
static inline double att_turn_ramp(const att_rope *r, int64_t pair)
{
    const double width = (double)r->rotary_dim, to_pairs = width / (2 * log(r->theta));
    const double turn = 2 * acos(-1.0);
    const double lo = fmax(0, floor(to_pairs * log(r->original_len / (turn * r->fast))));
    const double hi = fmin(width - 1, ceil(to_pairs * log(r->original_len / (turn * r->slow))));
    return att_turn_clamped(((double)pair - lo) / (hi == lo ? 0.001 : hi - lo));
}

/* By the number of turns itself. */
static inline double att_turn_ramp_turns(const att_rope *r, int64_t pair)
{
    const double f = pow(r->theta, -2 * (double)pair / (double)r->rotary_dim);
    const double turns = r->original_len * f / (2 * acos(-1.0));
    return att_turn_clamped((r->fast - turns) / (r->fast - r->slow));
}

static inline double att_turn_gain(const att_rope *r)
{
    return r->mscale != 0 ? r->mscale : 0.1 * log(r->factor) + 1;
}

/* What position 1 turns pair `pair` by. */
static inline double att_turn_rate(const att_problem *p, const att_turn *way, int64_t pair)
{
    const att_rope *r = p->rope;
    const double width = way->width ? way->width(p) : (double)r->rotary_dim;
    const double f = pow(r->theta, -2 * (double)pair / width);
    double g = 0;

    if (r->scaling == ATT_ROPE_YARN)
        g = (way->ramp ? way->ramp : att_turn_ramp)(r, pair);
    if (r->scaling == ATT_ROPE_LLAMA3)
        g = att_turn_ramp_turns(r, pair);
    return g > 0 ? g * f / r->factor + (1 - g) * f : f;
}

static inline void att_turn_do_row(const att_turn_row *w)
{
    const att_turn *way = w->way;
    const att_rope *r = w->p->rope;
    const double at = (double)(way->position ? way->position : att_turn_position)(w);
    const bool yarn = r->scaling == ATT_ROPE_YARN;
    const double gain = yarn ? (way->gain ? way->gain : att_turn_gain)(r) : 1;
    const int64_t distance = (way->distance ? way->distance : att_turn_distance)(w->p);

    (way->read ? way->read : att_turn_read)(w);
    for (int64_t d = 0; d < w->p->head_dim; d++)
        w->y[d] = w->x[d];
    for (int64_t pair = 0; pair < r->rotary_dim / 2; pair++) {
        const int64_t one = att_turn_first(w->p, pair), two = one + distance;
        const double angle = r->cos.data ? 0 : at * att_turn_rate(w->p, way, pair);
        const float c = (float)(r->cos.data ? att_turn_table(w, &r->cos, pair) : gain * cos(angle));
        const float s = (float)(r->sin.data ? att_turn_table(w, &r->sin, pair) : gain * sin(angle));
        (way->pair ? way->pair : att_turn_pair)(w, one, two, c, s);
    }
    (way->store ? way->store : att_turn_store)(w);
}

static inline att_status att_turn_all(const att_problem *p, const att_turn *way,
                                      const att_scratch *s)
{
    att_turn_row w = {.p = p, .way = way, .x = s->data};
    const int64_t batch = way->batch ? way->batch(p) : p->batch;

    if (s->bytes < 2 * (size_t)p->head_dim * sizeof(float))
        return ATT_NO_MEMORY;
    w.y = w.x + p->head_dim;
    for (w.b = 0; w.b < batch; w.b++)
        for (w.h = 0; w.h < p->heads_q; w.h++)
            for (w.i = 0; w.i < p->q_len; w.i++)
                att_turn_do_row(&w);
    return ATT_OK;
}

/* ---- `supports` and `plan` of such kernels */

static inline att_status att_turn_supports(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_reason *why)
{
    const att_rope *r = p->rope;

    (void)self, (void)params;
    if (op != ATT_OP_ROPE)
        return att_refuse(why, ATT_UNSUPPORTED, "operator not offered");
    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem) || p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version, or flags");
    if (!r || r->rotary_dim < 0 || r->rotary_dim > p->head_dim || r->rotary_dim % 2)
        return att_refuse(why, ATT_INVALID, "rope without its section, or rotary_dim odd or large");
    if (r->scaling < ATT_ROPE_PLAIN || r->scaling > ATT_ROPE_LLAMA3)
        return att_refuse(why, ATT_UNSUPPORTED, "unknown scaling %d", (int)r->scaling);
    if (r->scaling &&
        !(r->factor > 0 && r->original_len > 0 && r->slow > 0 && r->fast > r->slow && r->theta > 1))
        return att_refuse(why, ATT_INVALID, "scaling: factor, original_len, slow < fast or theta");
    if (!att_is_float(p->q.dtype, ATT_HALVES_AND_SINGLE) ||
        !att_is_float(p->out.dtype, ATT_HALVES_AND_SINGLE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of q or out");
    if (!att_shaped(&p->q, p->batch, p->heads_q, p->q_len, p->head_dim) ||
        !att_shaped(&p->out, p->batch, p->heads_q, p->q_len, p->head_dim))
        return att_refuse(why, ATT_INVALID, "the shape of q or out is not the problem's");
    if (p->q_positions.data && p->q_positions.dtype != ATT_I64)
        return att_refuse(why, ATT_INVALID, "q_positions must be I64 {1,1,B,S}");
    if ((r->cos.data != NULL) != (r->sin.data != NULL) ||
        (r->cos.data && (!att_broadcasts(&r->cos, 1, p->batch, p->q_len, r->rotary_dim / 2) ||
                         !att_broadcasts(&r->sin, 1, p->batch, p->q_len, r->rotary_dim / 2))))
        return att_refuse(why, ATT_INVALID, "cos and sin must be {1,B,S,rotary_dim/2}");
    return ATT_OK;
}

static inline att_status att_turn_plan(const att_kernel *self, att_op op, const att_problem *p,
                                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->scratch_bytes = 2 * (size_t)p->head_dim * sizeof(float);
    return ATT_OK;
}

#endif
