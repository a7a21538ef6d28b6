/* SPDX-License-Identifier: Apache-2.0 */
/* The linear family's recurrence in float64, with the size of the errors that a right kernel makes.
 *
 * All rules are  S_t = D_t S_{t-1} + k_t w_t^T,  o_t = scale S_t^T q_t,  with w = v, or for the
 * delta rules the pseudo-value beta (v - (D S)^T k).  P_t = D_t P_{t-1} + |k_t| |w_t|^T bounds
 * every partial sum of every form (recurrent, chunked, quadratic), since all of them add the same
 * products in another order.  In units of u_acc, a token adds to the state's error
 *
 *   (8 + B_t) D P_{t-1}   the decay: exp to 2 ulp, products, additions; B_t = sum_{s<=t} |g_s|, for
 *                         kernels that sum log decays before exp
 *   6 |k| |w|             the product, features to 4 u
 *
 * which decays as the state does.  A delta token reads the state: its w is off by
 * |beta| (Dk + t + 6) (|k|^T D P + |v|), and what is there already goes through (1 - beta k k^T) D,
 * whose norm is at most rho = max D max(1, |1 - beta |k|^2|): so that errors are followed as the
 * 2-norm of a column of S.  On absolute values they would seem to double with every token.
 * Reading adds (Dk + t + 8) M, M = |scale| |q|^T P.  The likely size takes each rounding as
 * independent (sums of squares; a token's decay 4, product 4), but the error of a decay factor and
 * of equal addends in a row as shared by all tokens (sums).
 *
 * The rule of a contract without a delta, worst = (t (Dk + 8) + Dk + 2) M, is used where it is
 * larger.  linear_elu1: the normaliser is one more column of S, written with v = 1, and
 *   |e| <= (units_num + |o| units_z) / z.
 * Source: Higham 2002 (running error analysis). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/recur.h"

/* One state head at work.  Matrices are [F][wide], wide = Dv + 1: the last column is z's. */
typedef struct walk {
    const recur_spec *s;
    const recur_numbers *n;
    const recur_reading *how;
    int64_t f, wide, b, h, t, first;            /* f: features; first: of the call that t is in */
    double scale, before_features;              /* of the output; of a query before its features */
    double *S, *P, *var, *worst, *drift, *last; /* last: the addend before */
    double *k, *v, *decay, *logs, *raw;         /* [F] [wide] [F] [F] [F] */
    double *worst_col, *var_col, *drift_col;    /* [wide], the delta rules' */
    double *sums;                               /* [wide] sum of |w| */
    double *before;                             /* [F][wide] S before the write */
} walk;

static bool normed(const walk *w)
{
    return recur_normed(w->s->rule);
}

/* Where token t of the head is, and its row there. */
static const recur_numbers *numbers_at(const walk *w, int64_t t, int64_t *row)
{
    const int64_t head = w->b * w->s->hkv + w->h;

    *row = t < w->s->t ? head * w->s->t + t : head * RECUR_AHEAD + t - w->s->t;
    return t < w->s->t ? w->n : w->how->past;
}

static double decay_of(const walk *w, int64_t t, int64_t c)
{
    const recur_spec *s = w->s;
    const int64_t group = s->hq / s->hkv;
    int64_t row;

    if (w->how->decay_missing || t < 0)
        return 1;
    if (s->rule == ATT_RULE_RETENTION)
        return 1 - ldexp(1, (int)(-5 - (w->how->decay_by_query_head ? w->h * group : w->h)));
    if (!recur_gated(s->rule))
        return 1;
    const recur_numbers *n = numbers_at(w, t, &row);
    double g = n->g[row * s->d + c];
    return w->how->decay_base_2 ? exp2(g) : exp(g);
}

/* Row t of k (as features) and v, the token's decay, and the log decays so far. */
static void take_token(walk *w)
{
    const recur_spec *s = w->s;
    int64_t row;
    const recur_numbers *n = numbers_at(w, w->t, &row);

    recur_map(s, n->k + row * s->d, w->k);
    for (int64_t c = 0; c < w->f; c++) {
        w->decay[c] = decay_of(w, w->how->decay_late ? w->t - 1 : w->t, c);
        if (recur_gated(s->rule))
            w->logs[c] += fabs(n->g[row * s->d + c]);
    }
    memcpy(w->v, n->v + row * s->dv, (size_t)s->dv * sizeof *w->v);
    w->v[s->dv] = 1;
}

/* The delta rules: v becomes w.  Returns the column d's |k|^T D P + |v|. */
static void pseudo_values(walk *w, double beta, double *reach)
{
    const recur_spec *s = w->s;

    for (int64_t d = 0; d < s->dv; d++) {
        double read = 0, size = fabs(w->v[d]);
        for (int64_t c = 0; c < w->f; c++) {
            int64_t at = c * w->wide + d;
            double decay = w->how->delta_reads_undecayed ? 1 : w->decay[c];
            read += w->k[c] * decay * w->S[at];
            size += fabs(w->k[c]) * decay * w->P[at];
        }
        reach[d] = size;
        w->v[d] = beta * (w->v[d] - read);
    }
}

/* Errors of a column of the delta rules, as norms. */
static void follow_column(walk *w, int64_t d, double beta, double reach)
{
    double kk = 0, aged = 0, logs = 0, most = 0, all = 0;
    const double terms = (double)(w->f + w->t + 7);

    for (int64_t c = 0; c < w->f; c++) {
        double old = w->decay[c] * w->P[c * w->wide + d];
        double new = old + fabs(w->k[c] * w->v[d]);
        kk += w->k[c] * w->k[c];
        aged += old * old;
        all += new *new;
        logs = fmax(logs, w->logs[c]);
        most = fmax(most, w->decay[c]);
    }
    double rho = most * fmax(1, fabs(1 - beta * kk)), written = sqrt(kk) * fabs(w->v[d]);
    double misread = sqrt(kk) * fabs(beta) * reach;
    w->worst_col[d] = rho * w->worst_col[d] + (8 + logs) * sqrt(aged) + terms * misread +
                      6 * written + 2 * sqrt(all);
    w->var_col[d] = rho * rho * w->var_col[d] + (4 + logs * logs / 3) * aged +
                    terms / 3 * misread * misread + 4 * written * written + 2 * all;
    w->drift_col[d] = rho * w->drift_col[d] + (most < 1 ? 0.75 * sqrt(aged) : 0);
}

static void follow_element(walk *w, int64_t at, int64_t c, double addend)
{
    const double decay = w->decay[c], aged = decay * w->P[at], size = fabs(addend);

    w->worst[at] = decay * w->worst[at] + (8 + w->logs[c]) * aged + 6 * size;
    w->var[at] = decay * decay * w->var[at] + (4 + w->logs[c] * w->logs[c] / 3) * aged * aged +
                 4 * size * size;
    w->drift[at] = decay * w->drift[at] + (decay < 1 ? 0.75 * aged : 0) +
                   (addend == w->last[at] ? (aged + size) / 6 : 0);
    w->last[at] = addend;
}

/* Token t: decay, write, and what both do to the errors. */
static void step(walk *w, double *reach)
{
    const recur_spec *s = w->s;
    const bool delta = recur_delta(s->rule);
    int64_t row;
    const recur_numbers *n = numbers_at(w, w->t, &row);
    const double beta = delta && !w->how->beta_missing ? n->beta[row] : 1;

    take_token(w);
    if (delta)
        pseudo_values(w, beta, reach);
    for (int64_t d = 0; d < w->wide; d++)
        w->sums[d] += fabs(w->v[d]);
    for (int64_t d = 0; d < s->dv && delta; d++)
        follow_column(w, d, beta, reach[d]);
    for (int64_t c = 0; c < w->f; c++)
        for (int64_t d = 0; d < w->wide; d++) {
            int64_t at = c * w->wide + d;
            double addend = w->k[c] * w->v[d];
            if (!delta)
                follow_element(w, at, c, addend);
            w->before[at] = w->S[at];
            w->P[at] = w->decay[c] * w->P[at] + fabs(addend);
            w->S[at] = w->decay[c] * w->S[at] + addend;
        }
}

/* Element d of one query: o and its error sizes, before the normaliser. */
typedef struct read {
    double x, units, sigma2, lost;
} read;

static read read_column(const walk *w, const double *q, int64_t d)
{
    const recur_spec *s = w->s;
    const double *S = w->how->read_before_write ? w->before : w->S;
    double x = 0, size = 0, spread = 0, drift = 0, far = 0, qq = 0, one = 0;
    const double dk = (double)w->f, n = (double)(w->t + 1), scale = fabs(w->scale);

    for (int64_t c = 0; c < w->f; c++) {
        const int64_t at = c * w->wide + d;
        x += q[c] * S[at];
        size += fabs(q[c]) * w->P[at];
        far += fabs(q[c]) * w->worst[at];
        drift += fabs(q[c]) * w->drift[at];
        spread += q[c] * q[c] * w->var[at];
        qq += q[c] * q[c];
        one += fabs(q[c]);
    }
    if (recur_delta(s->rule)) {
        far = sqrt(qq) * w->worst_col[d];
        spread = qq * (w->var_col[d] + w->drift_col[d] * w->drift_col[d]);
    }
    read r = {.x = w->scale * x, .units = scale * (far + (dk + n + 8) * size)};
    if (!recur_delta(s->rule))
        r.units = fmax(r.units, scale * (n * (dk + 8) + dk + 2) * size);
    r.sigma2 = scale * scale * (spread + drift * drift + (dk + n + 8) * size * size);
    r.lost = 4 * (dk + 2) * (n + w->sums[d] + n * scale * one);
    return r;
}

/* z of all state heads up to this one, at this token alone (a sum over the wrong axis).  `before`
 * is free once the token is written. */
static double norm_over_heads(const walk *w, const double *q)
{
    const recur_spec *s = w->s;
    double norm = 0, *k = w->before;

    for (int64_t h = 0; h <= w->h; h++) {
        recur_map(s, w->n->k + ((w->b * s->hkv + h) * s->t + w->t) * s->d, k);
        for (int64_t c = 0; c < w->f; c++)
            norm += q[c] * k[c];
    }
    return norm;
}

static bool without_norm(const walk *w)
{
    int64_t first = 0, n;

    while (first + (n = recur_call_length(w->s, first)) <= w->t)
        first += n;
    return w->how->norm_missing || n <= w->how->norm_missing_upto;
}

static void read_query(walk *w, int64_t hq, double *q, recur_field *out)
{
    const recur_spec *s = w->s;
    const int64_t row = (w->b * s->hq + hq) * s->t + w->t;
    read z = {.x = 1};

    for (int64_t c = 0; c < s->d; c++)
        w->raw[c] = w->before_features * w->n->q[row * s->d + c];
    if (w->how->norm_of_keys_only && s->rule == ATT_RULE_LINEAR_ELU1)
        memcpy(q, w->raw, (size_t)s->d * sizeof *q);
    else
        recur_map(s, w->raw, q);
    if (normed(w) && !without_norm(w))
        z = read_column(w, q, s->dv);
    if (normed(w) && w->how->norm_over_heads)
        z.x = norm_over_heads(w, q);
    for (int64_t d = 0; d < s->dv; d++) {
        const int64_t at = row * s->dv + d;
        const read r = read_column(w, q, d);
        const double o = r.x / z.x;
        out->x[at] = o;
        out->units[at] = (r.units + fabs(o) * z.units) / fabs(z.x);
        out->sigma[at] = sqrt(r.sigma2 + o * o * z.sigma2) / fabs(z.x);
        out->lost[at] = (r.lost + fabs(o) * z.lost) / fabs(z.x);
    }
}

static void start(walk *w)
{
    const recur_spec *s = w->s;
    const int64_t head = w->b * s->hkv + w->h;
    const bool given = s->starts && !w->how->state_forgotten;
    const size_t cells = (size_t)(w->f * w->wide) * sizeof(double);
    double *zeroed[] = {w->var, w->worst, w->drift},
           *narrow[] = {w->worst_col, w->var_col, w->drift_col, w->sums};

    for (size_t i = 0; i < sizeof zeroed / sizeof *zeroed; i++)
        memset(zeroed[i], 0, cells);
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        memset(narrow[i], 0, (size_t)w->wide * sizeof(double));
    memset(w->logs, 0, (size_t)w->f * sizeof *w->logs);
    for (int64_t c = 0; c < w->f; c++)
        for (int64_t d = 0; d < w->wide; d++) {
            double *x = &w->S[c * w->wide + d];
            *x = !given      ? 0
                 : d < s->dv ? w->n->s[(head * w->f + c) * s->dv + d]
                             : w->n->z[head * w->f + c];
            w->P[c * w->wide + d] = fabs(*x);
            w->sums[d] += fabs(*x);
            w->last[c * w->wide + d] = (double)NAN;
        }
}

static void finish(walk *w, recur_answer *out)
{
    const recur_spec *s = w->s;
    const int64_t head = w->b * s->hkv + w->h;

    for (int64_t c = 0; c < w->f; c++)
        for (int64_t d = 0; d < w->wide; d++) {
            const int64_t from = c * w->wide + d;
            recur_field *f = d < s->dv ? &out->s : &out->z;
            const int64_t at = d < s->dv ? (head * w->f + c) * s->dv + d : head * w->f + c;
            const bool column = recur_delta(s->rule) && d < s->dv;
            f->x[at] = w->S[from];
            f->units[at] = column ? w->worst_col[d] : w->worst[from];
            f->sigma[at] = column ? hypot(sqrt(w->var_col[d]), w->drift_col[d])
                                  : hypot(sqrt(w->var[from]), w->drift[from]);
            f->lost[at] = 4 * ((double)s->t + w->sums[d]);
        }
}

/* At the end of a block the state is aged back to where each thread thought that it ended. */
static void leave_block(walk *w)
{
    const recur_spec *s = w->s;
    const int64_t block = w->how->block, end = w->t - w->first;

    for (int64_t d = 0; d < s->dv && block && (end + 1) % block == 0; d++)
        for (int64_t c = 0; c < w->f; c++) {
            const int64_t at = c * w->wide + d;
            double back = 1;
            for (int64_t t = end; t % block > block - 7 + 2 * (d % 4); t--)
                back /= decay_of(w, w->first + t, c);
            w->S[at] *= back;
            w->P[at] *= back;
            w->worst[at] *= back;
            w->drift[at] *= back;
            w->var[at] *= back * back;
        }
}

/* The last token of a call that takes in whole chunks: those past it too. */
static void fill_chunk(walk *w, double *reach)
{
    const int64_t last = w->t, chunk = w->how->chunk;

    for (int64_t n = last + 1 - w->first; chunk && n % chunk; n++) {
        w->t = w->first + n;
        step(w, reach);
    }
    w->t = last;
}

static bool make_room(walk *w, double **room)
{
    const int64_t cells = w->f * w->wide, d = w->f;
    double *at = calloc((size_t)(7 * cells + 5 * d + 5 * w->wide + w->wide), sizeof *at);
    double **large[] = {&w->S, &w->P, &w->var, &w->worst, &w->drift, &w->last, &w->before};
    double **rows[] = {&w->k, &w->decay, &w->logs, &w->raw};
    double **narrow[] = {&w->v, &w->worst_col, &w->var_col, &w->drift_col, &w->sums};

    *room = at;
    for (size_t i = 0; at && i < sizeof large / sizeof *large; i++, at += cells)
        *large[i] = at;
    for (size_t i = 0; at && i < sizeof rows / sizeof *rows; i++, at += d)
        *rows[i] = at;
    for (size_t i = 0; at && i < sizeof narrow / sizeof *narrow; i++, at += w->wide)
        *narrow[i] = at;
    return at != NULL;
}

static void walk_head(walk *w, recur_answer *out, double *q, double *reach)
{
    const recur_spec *s = w->s;
    const int64_t group = s->hq / s->hkv;
    int64_t next = 0;

    start(w);
    for (w->t = 0; w->t < s->t; w->t++) {
        if (w->t == next) {
            w->first = next;
            next += recur_call_length(s, w->t);
            if (w->how->state_forgotten && w->t)
                memset(w->S, 0, (size_t)(w->f * w->wide) * sizeof *w->S);
        }
        step(w, reach);
        for (int64_t i = 0; i < group; i++)
            read_query(w, w->how->heads_tiled ? i * s->hkv + w->h : w->h * group + i, q, &out->out);
        leave_block(w);
        if (w->t + 1 == next)
            fill_chunk(w, reach);
    }
    finish(w, out);
}

att_status recur_walk(const recur_spec *s, const recur_numbers *n, const recur_reading *reading,
                      recur_answer *out)
{
    static const recur_reading right = {0};
    walk w = {.s = s, .n = n, .how = reading ? reading : &right};
    double *room = NULL;

    w.wide = s->dv + 1;
    w.f = recur_features(s);
    if (!make_room(&w, &room))
        return ATT_NO_MEMORY;
    double *q = w.sums + w.wide, *reach = q + w.f;
    w.scale = !isnan(s->scale) ? s->scale : s->rule == ATT_RULE_SSD ? 1 : 1 / sqrt((double)s->d);
    if (w.how->scale_missing)
        w.scale = s->rule == ATT_RULE_SSD && isnan(s->scale) ? 1 / sqrt((double)s->d) : 1;
    w.before_features = s->rule == ATT_RULE_BASED ? w.scale : 1;
    if (normed(&w))
        w.scale = 1;
    for (w.b = 0; w.b < s->b; w.b++)
        for (w.h = 0; w.h < s->hkv; w.h++)
            walk_head(&w, out, q, reach);
    free(room);
    return ATT_OK;
}
