/* SPDX-License-Identifier: Apache-2.0 */
/* The linear family's quadratic form in float64: all pairs of tokens, no state in between.
 *
 *   o_i = scale (sum_c q_ic D_0ic S_c + sum_{j<=i} (q_i . D_ji k_j) w_j)
 *   w_i = v_i, or (delta) beta_i (v_i - sum_c k_ic D_0ic S_c - sum_{j<i} (k_i . D_ji k_j) w_j)
 *   D_ji = exp(g_{j+1} + ... + g_i)
 *
 * and for rules with a normaliser o_i = sum_j f(q_i, k_j) v_j / sum_j f(q_i, k_j), f taken from q
 * and k themselves.
 *
 * Why: a third answer, written apart from the recurrence walked here and from the oracle's, so that
 * neither is judged by a recurrence alone.  O(T^2 (Dk + Dv)) a head.
 * Source: Katharopoulos et al. 2020; Yang et al. 2023, 2024; Dao and Gu 2024. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/recur.h"

typedef struct twin {
    const recur_spec *s;
    const recur_numbers *n;
    int64_t f, b, h;
    double scale;
    double *w;     /* [T][Dv] what is written */
    double *aged;  /* [Dk] x decayed */
    double *decay; /* [T][Dk], where each channel has its own */
    double log;    /* of a decay that all channels share */
} twin;

static const double *key(const twin *w, int64_t j)
{
    return w->n->k + ((w->b * w->s->hkv + w->h) * w->s->t + j) * w->s->d;
}

static const double *gates(const twin *w, int64_t j)
{
    return w->n->g + ((w->b * w->s->hkv + w->h) * w->s->t + j) * w->s->d;
}

/* aged = x, of age 0. */
static void begin(twin *w, const double *x)
{
    memcpy(w->aged, x, (size_t)w->s->d * sizeof *x);
    w->log = 0;
}

/* Token j's decay comes between. */
static void age(twin *w, int64_t j)
{
    const recur_spec *s = w->s;

    if (s->rule == ATT_RULE_RETENTION)
        w->log += log1p(-ldexp(1, (int)(-5 - w->h)));
    if (recur_gated(s->rule) && !s->channels)
        w->log += gates(w, j)[0];
    for (int64_t c = 0; c < s->d && recur_gated(s->rule) && s->channels; c++)
        w->aged[c] *= w->decay[j * s->d + c];
}

/* aged . y, times the decay that all channels share */
static double meet(const twin *w, const double *y)
{
    double sum = 0;

    for (int64_t c = 0; c < w->s->d; c++)
        sum += w->aged[c] * y[c];
    return w->log < 0 || w->log > 0 ? exp(w->log) * sum : sum;
}

/* to += share S^T (D x), x aged since before the first token.  A state that is not given is zeros,
 * of which a NaN makes one. */
static void from_state(const twin *w, double share, double *to)
{
    const recur_spec *s = w->s;
    const double *state = w->n->s + (w->b * s->hkv + w->h) * s->d * s->dv;

    for (int64_t c = 0; c < s->d; c++)
        for (int64_t d = 0; d < s->dv; d++)
            to[d] += share * exp(w->log) * w->aged[c] * (s->starts ? state[c * s->dv + d] : 0);
}

static void add_row(double share, const double *row, int64_t n, double *to)
{
    for (int64_t d = 0; d < n; d++)
        to[d] += share * row[d];
}

/* What each token of the head writes, and its decays. */
static void solve(twin *w)
{
    const recur_spec *s = w->s;
    const int64_t row = (w->b * s->hkv + w->h) * s->t;

    memcpy(w->w, w->n->v + row * s->dv, (size_t)(s->t * s->dv) * sizeof *w->w);
    for (int64_t i = 0; i < s->t * s->d; i++)
        w->decay[i] = recur_gated(s->rule) ? exp(w->n->g[row * s->d + i]) : 1;
    for (int64_t i = 0; i < s->t && recur_delta(s->rule); i++) {
        double *w_i = w->w + i * s->dv;
        begin(w, key(w, i));
        for (int64_t j = i; j >= 0; j--) {
            if (j < i)
                add_row(-meet(w, key(w, j)), w->w + j * s->dv, s->dv, w_i);
            age(w, j);
        }
        from_state(w, -1, w_i);
        for (int64_t d = 0; d < s->dv; d++)
            w_i[d] *= w->n->beta[row + i];
    }
}

/* f(q, k) of a rule with a normaliser. */
static double weight(const twin *w, const double *q, const double *k)
{
    double x = 0;

    for (int64_t c = 0; c < w->s->d; c++)
        x += w->s->rule == ATT_RULE_BASED
                 ? w->scale * q[c] * k[c]
                 : (q[c] > 0 ? q[c] + 1 : exp(q[c])) * (k[c] > 0 ? k[c] + 1 : exp(k[c]));
    return w->s->rule == ATT_RULE_BASED ? 1 + x + x * x / 2 : x;
}

static double answer_normed(const twin *w, const double *q, int64_t i, double *room, double *o)
{
    const recur_spec *s = w->s;
    const int64_t head = w->b * s->hkv + w->h;
    double norm = 0;

    for (int64_t c = 0; c < s->d; c++)
        w->aged[c] = s->rule == ATT_RULE_BASED ? w->scale * q[c] : q[c];
    recur_map(s, w->aged, room);
    for (int64_t c = 0; c < w->f && s->starts; c++) {
        norm += room[c] * w->n->z[head * w->f + c];
        add_row(room[c], w->n->s + (head * w->f + c) * s->dv, s->dv, o);
    }
    for (int64_t j = 0; j <= i; j++) {
        const double share = weight(w, q, key(w, j));
        norm += share;
        add_row(share, w->w + j * s->dv, s->dv, o);
    }
    return norm;
}

static void answer(twin *w, int64_t hq, int64_t i, double *room, double *o)
{
    const recur_spec *s = w->s;
    const double *q = w->n->q + ((w->b * s->hq + hq) * s->t + i) * s->d;

    memset(o, 0, (size_t)s->dv * sizeof *o);
    if (recur_normed(s->rule)) {
        const double over = answer_normed(w, q, i, room, o);
        for (int64_t d = 0; d < s->dv; d++)
            o[d] /= over;
        return;
    }
    begin(w, q);
    for (int64_t j = i; j >= 0; j--) {
        add_row(meet(w, key(w, j)), w->w + j * s->dv, s->dv, o);
        age(w, j);
    }
    from_state(w, 1, o);
    for (int64_t d = 0; d < s->dv; d++)
        o[d] *= w->scale;
}

/* The state after the last token; `room` holds the features of a key, or a decay a channel. */
static void finish(twin *w, double *room, double *state, double *z)
{
    const recur_spec *s = w->s;
    const int64_t head = w->b * s->hkv + w->h;

    memset(state, 0, (size_t)(w->f * s->dv) * sizeof *state);
    memset(z, 0, (size_t)w->f * sizeof *z);
    for (int64_t c = 0; c < s->d; c++)
        room[c] = 1;
    begin(w, room);
    for (int64_t j = s->t - 1; j >= 0; j--) {
        recur_map(s, key(w, j), room);
        for (int64_t c = 0; c < w->f; c++) {
            const double share = recur_normed(s->rule) ? 1 : exp(w->log) * w->aged[c];
            z[c] += room[c];
            add_row(share * room[c], w->w + j * s->dv, s->dv, state + c * s->dv);
        }
        age(w, j);
    }
    for (int64_t c = 0; c < w->f && s->starts; c++) {
        const double share = recur_normed(s->rule) ? 1 : exp(w->log) * w->aged[c];
        z[c] += w->n->z[head * w->f + c];
        add_row(share, w->n->s + (head * w->f + c) * s->dv, s->dv, state + c * s->dv);
    }
}

att_status recur_twin(const recur_spec *s, const recur_numbers *n, double *out, double *state,
                      double *z)
{
    const int64_t f = recur_features(s), group = s->hkv ? s->hq / s->hkv : 0;
    twin w = {.s = s, .n = n, .f = f};
    double *room = calloc((size_t)(s->t * (s->dv + s->d) + s->d + f) + 1, sizeof *room);

    if (!room)
        return ATT_NO_MEMORY;
    w.w = room;
    w.decay = w.w + s->t * s->dv;
    w.aged = w.decay + s->t * s->d;
    w.scale = !isnan(s->scale) ? s->scale : s->rule == ATT_RULE_SSD ? 1 : 1 / sqrt((double)s->d);
    for (w.b = 0; w.b < s->b; w.b++)
        for (w.h = 0; w.h < s->hkv; w.h++) {
            const int64_t head = w.b * s->hkv + w.h;
            solve(&w);
            for (int64_t hq = w.h * group; hq < (w.h + 1) * group; hq++)
                for (int64_t i = 0; i < s->t; i++)
                    answer(&w, hq, i, w.aged + s->d, out + ((w.b * s->hq + hq) * s->t + i) * s->dv);
            finish(&w, w.aged + s->d, state + head * f * s->dv, z + head * f);
        }
    free(room);
    return ATT_OK;
}
