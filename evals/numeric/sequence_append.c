/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a session: tokens are drawn as the cache's type can hold them, noted in the history,
 * and handed over in memory that is gone when the step returns; of a ragged append, what no
 * sequence takes is NaN. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/sequence_session.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t session_most(const int64_t *x, int64_t n)
{
    int64_t top = 0;

    for (int64_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

/* A step that the contract has done was not. */
att_status session_refused(sessions *c, const char *step, att_status status)
{
    att_ctx_record(c->x, "refused", 1);
    att_ctx_why(c->x, "%s: status %d", step, (int)status);
    return ATT_OK;
}

session_event *session_told(sessions *c, char what)
{
    session_event *e = &c->log.event[c->log.events++];

    *e = (session_event){.what = what, .session = c->now ? c->now->number : 0};
    return e;
}

/* What both sides of the contract know of a session. */
att_problem session_problem(const sessions *c, int64_t batch)
{
    const parity_spec *s = &c->log.spec;
    att_problem p = att_problem_init();

    p.batch = batch;
    p.heads_q = s->hq;
    p.heads_kv = s->hkv;
    p.head_dim = s->d;
    p.value_dim = s->dv;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.window_left = s->left;
    p.q = att_tensor_dense(NULL, s->dtype, batch, s->hq, s->sq, s->d);
    p.out = att_tensor_dense(NULL, s->dtype, batch, s->hq, s->sq, s->dv);
    p.k.dtype = p.v.dtype = c->dtype;
    if (c->dtype == ATT_I8)
        p.k_quant = p.v_quant = (att_quant){.scheme = ATT_QUANT_AFFINE, .axis = 2, .group = 1};
    return p;
}

/* ------------------------------------------------------------------------------- append */

static bool room_for(session_log *log, int64_t n)
{
    const parity_spec *s = &log->spec;

    while (log->tokens + n > log->room) {
        int64_t room = log->room * 2 + 64;
        for (int side = 0; side < 2; side++) {
            int64_t row = s->hkv * session_width(s, side);
            double *code = realloc(log->code[side], (size_t)(room * row) * sizeof *code);
            if (code)
                log->code[side] = code;
            double *scale = realloc(log->scale[side], (size_t)(room * s->hkv) * sizeof *scale);
            if (scale)
                log->scale[side] = scale;
            if (!code || !scale)
                return false;
        }
        log->room = room;
    }
    return true;
}

/* A head of a new token: its code and scale, as the cache's type can hold them. */
static void draw_head(sessions *c, int side, int64_t token, int64_t h, bool nan)
{
    session_log *log = &c->log;
    const int64_t heads = log->spec.hkv, width = session_width(&log->spec, side);
    att_rng rng = att_ctx_group_rng(c->x, side ? "values" : "keys");
    double *code = log->code[side] + (token * heads + h) * width, scale = 1;

    rng = att_rng_split(&rng, (uint64_t)(token * heads + h));
    if (c->dtype == ATT_I8) /* few bits, so that scale * code is a float */
        scale = ldexp(1 + (double)att_rng_below(&rng, 128) / 128, (int)att_rng_below(&rng, 4) - 7);
    for (int64_t d = 0; d < width; d++) {
        double x = nan ? (double)NAN : att_rng_normal(&rng);
        if (c->dtype == ATT_I8)
            code[d] = nan ? 1 : fmax(-127, fmin(127, rint(x * 50)));
        else {
            unsigned char stored[8];
            att_fp_store(stored, c->dtype, 0, x);
            code[d] = att_fp_load(stored, c->dtype, 0);
        }
    }
    log->scale[side][token * heads + h] = nan && c->dtype == ATT_I8 ? (double)NAN : scale;
}

/* The memory of one append: frozen, as strided as the draw has it, gone with the step. */
typedef struct handed {
    att_guard side[2], scales[2], lengths;
} handed;

static bool hand_side(sessions *c, const session_event *e, int side, bool nan, handed *m,
                      att_problem *p)
{
    static const char *const layouts[] = {"bhsd", "bshd", "padded"};
    const session_log *log = &c->log;
    const int64_t heads = log->spec.hkv, width = session_width(&log->spec, side);
    const parity_shape shape = parity_shape_of(layouts[c->draws % 3], e->batch, heads, e->n, width);
    const size_t size = att_dtype_size(c->dtype);
    att_tensor *t = side ? &p->v : &p->k, *scales = side ? &p->v_quant.scales : &p->k_quant.scales;

    if (!att_guard_make(&m->side[side], (size_t)shape.extent * size, log->spec.place) ||
        !att_guard_make(&m->scales[side], (size_t)(e->batch * heads * e->n) * sizeof(float),
                        log->spec.place))
        return false;
    *t = parity_tensor(&shape, m->side[side].data, c->dtype);
    if (c->dtype == ATT_I8)
        *scales = att_tensor_dense(m->scales[side].data, ATT_F32, e->batch, heads, e->n, 1);
    for (int64_t b = 0; b < e->batch; b++)
        for (int64_t i = 0; i < e->taken[b]; i++)
            for (int64_t h = 0; h < heads; h++) {
                int64_t token = e->first + b * e->n + i;
                draw_head(c, side, token, h, nan);
                for (int64_t d = 0; d < width; d++) {
                    double x = log->code[side][(token * heads + h) * width + d];
                    if (c->dtype == ATT_I8)
                        ((int8_t *)t->data)[att_tensor_at(t, b, h, i, d)] = (int8_t)x;
                    else
                        att_fp_store(t->data, t->dtype, att_tensor_at(t, b, h, i, d), x);
                }
                if (c->dtype == ATT_I8)
                    ((float *)scales->data)[att_tensor_at(scales, b, h, i, 0)] =
                        (float)log->scale[side][token * heads + h];
            }
    att_guard_freeze(&m->side[side], true);
    att_guard_freeze(&m->scales[side], true);
    return true;
}

/* Appends what the event says; it becomes part of the history if that goes well. */
static att_status append(sessions *c, const session_event *e, bool ragged, bool nan)
{
    att_problem p = session_problem(c, e->batch);
    live *l = c->now;
    handed m = {0};
    att_status status = ATT_NO_MEMORY;

    p.kv_len = e->n;
    if (room_for(&c->log, e->batch * e->n) && hand_side(c, e, 0, nan, &m, &p) &&
        hand_side(c, e, 1, nan, &m, &p) &&
        att_guard_make(&m.lengths, sizeof e->taken, ATT_PLACE_ALIGNED)) {
        memcpy(m.lengths.data, e->taken, sizeof e->taken);
        att_guard_freeze(&m.lengths, true);
        if (ragged)
            p.kv_lengths = att_tensor_dense(m.lengths.data, ATT_I32, 1, 1, 1, e->batch);
        status = c->ops->append(l->session, &p);
        if (status != ATT_OK)
            status = session_refused(c, "append", status);
        else {
            *session_told(c, 'a') = *e;
            c->log.tokens += e->batch * e->n;
            for (int64_t b = 0; b < e->batch; b++) {
                int64_t had = b < l->batch ? l->length[b] : 0;
                l->length[b] = had + e->taken[b];
                if (b >= l->batch || l->longest[b] < l->length[b])
                    l->longest[b] = l->length[b];
            }
            l->batch = e->batch;
        }
    }
    att_guard *guards[] = {&m.side[0], &m.side[1], &m.scales[0], &m.scales[1], &m.lengths};
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        att_guard_drop(guards[i]);
    return status;
}

att_status session_append(sessions *c, const sequence_step *step, bool nan)
{
    const parity_spec *s = &c->log.spec;
    att_rng rng = att_ctx_group_rng(c->x, "taken");
    session_event e = {.what = 'a', .session = c->now->number, .first = c->log.tokens};

    e.batch = c->next_batch ? c->next_batch : c->now->batch;
    e.n = least(least(step->n, s->sq),
                s->sk - session_most(c->now->length, least(e.batch, c->now->batch)));
    if (e.n < 1)
        return ATT_OK;
    c->next_batch = 0;
    rng = att_rng_split(&rng, ++c->draws);
    for (int64_t b = 0; b < e.batch; b++)
        e.taken[b] =
            (int32_t)(step->what == 'u' ? (int64_t)att_rng_below(&rng, (uint64_t)e.n + 1) : e.n);
    return append(c, &e, step->what == 'u', nan);
}
