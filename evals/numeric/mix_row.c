/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/numeric/mix_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error_row.h"
#include "evals/numeric/parity.h"

/* Dimensions of q and k that a score is made of: first + step * n. */
typedef struct dims {
    int64_t q, k, step, n;
    double scale;
} dims;

bool mix_row_make(mix_row *w)
{
    const mix_spec *s = w->s;
    const size_t n = (size_t)s->sk + 2, wide = (size_t)w->n->wide, dk = (size_t)s->d;
    const size_t pooled = mix_selects(s->kind) ? n * 2 * (dk + wide) : 0;
    double *at = calloc(6 * n + pooled + wide * (1 + 12 + ATT_SUMS), sizeof *at);

    w->memory = at;
    w->v = calloc(n, sizeof *w->v);
    w->score = calloc(n, sizeof *w->score);
    w->chosen = calloc(n, 1);
    w->room = malloc(att_error_room((int64_t)n, s->dv) + 1);
    if (!at || !w->v || !w->score || !w->chosen || !w->room)
        return false;
    double **arrays[] = {&w->logit, &w->a, &w->x, &w->running, &w->root, &w->half};
    for (size_t i = 0; i < 6; i++, at += n)
        *arrays[i] = at;
    for (int i = 0; i < 4 && pooled; i++) {
        w->pooled[i] = at;
        at += n * (i < 2 ? dk : wide);
    }
    for (int c = 0; c < 3; c++, at += 4 * wide)
        w->part[c] = (mix_part){at, at + wide, at + 2 * wide, at + 3 * wide};
    w->shift = at;
    w->sums = at + wide;
    return true;
}

void mix_row_drop(mix_row *w)
{
    free(w->memory);
    free(w->v);
    free(w->score);
    free(w->chosen);
    free(w->room);
}

/* ---------------------------------------------------------------------------- a head */

static void pool(mix_row *w)
{
    const mix_spec *s = w->s;
    const int64_t n = s->block, wide[2] = {s->d, w->n->wide};
    const double *from[2] = {w->n->k, w->n->v};

    for (int t = 0; t < 2; t++)
        for (int64_t at = 0; at < (w->n->nk[w->b] / n + 1) * wide[t]; at++) {
            const int64_t block = at / wide[t], d = at % wide[t];
            double sum = 0, size = 0;
            for (int64_t j = block * n; j < (block + 1) * n && j < w->n->nk[w->b]; j++) {
                const double x = from[t][((w->b * s->hkv + w->hk) * s->sk + j) * wide[t] + d];
                sum += x;
                size += fabs(x);
            }
            w->pooled[2 * t][at] = w->r->sums_not_means ? sum : sum / (double)n;
            w->pooled[2 * t + 1][at] = w->r->sums_not_means ? size : size / (double)n;
        }
}

static void run_decays(mix_row *w)
{
    const mix_spec *s = w->s;
    const int64_t head = w->r->per_first_head ? 0
                         : w->r->per_kv_head  ? w->h / (s->hq / s->hkv)
                                              : w->h;
    const int64_t b = w->r->per_first_sequence ? 0 : w->b;
    double sum = 0, squares = 0, sizes = 0;

    for (int64_t l = 0; l < w->n->nk[b]; l++) {
        sum += w->n->decay[(b * s->hq + head) * s->sk + l];
        squares += sum * sum;
        sizes += fabs(sum);
        w->running[l] = sum;
        w->root[l] = sqrt(squares);
        w->half[l] = sizes / 2;
    }
}

void mix_row_open(mix_row *w, int64_t h)
{
    const mix_spec *s = w->s;

    w->h = h;
    w->hk = w->r->heads_tiled ? h % s->hkv : h / (s->hq / s->hkv);
    w->parts = s->kind == ATT_MIX_NSA                                                           ? 3
               : s->kind == ATT_MIX_DIFFERENTIAL || (s->kind == ATT_MIX_MEMORY && !w->r->joint) ? 2
                                                                                                : 1;
    if (s->kind == ATT_MIX_NSA)
        pool(w);
    if (s->kind == ATT_MIX_FORGETTING)
        run_decays(w);
}

/* ------------------------------------------------------------------------- lists of keys */

static bool allowed(const mix_row *w, int64_t j)
{
    const mix_spec *s = w->s;

    if (!parity_is(s->causal, "none") && j > w->position)
        return false;
    if (s->left >= 0 && j < w->position - s->left)
        return false;
    return w->n->mask[((w->b * s->hq + w->h) * s->sq + w->i) * s->sk + j] != 0;
}

static dims whole(const mix_row *w)
{
    const mix_spec *s = w->s;
    dims x = {.step = 1, .n = s->d};

    x.scale = w->r->scale_missing ? 1 : isnan(s->scale) ? 1 / sqrt((double)s->d) : s->scale;
    return x;
}

/* Half `c` of q and k. */
static dims half(const mix_row *w, int c)
{
    dims x = whole(w);

    x.n = w->s->d / 2;
    if (isnan(w->s->scale) && !w->r->whole_scale && !w->r->scale_missing)
        x.scale = 1 / sqrt((double)x.n);
    x.step = w->r->interleaved ? 2 : 1;
    x.q = x.k = w->r->interleaved ? c : c * x.n;
    if (w->r->first_keys_twice)
        x.k = 0;
    if (w->r->first_queries_twice)
        x.q = 0;
    return x;
}

/* A key of the part in work; size: |k|, NULL = that of k. */
static void list(mix_row *w, const dims *x, int64_t h, const double *k, const double *size,
                 const double *v)
{
    const double *q = w->n->q + ((w->b * w->s->hq + h) * w->s->sq + w->i) * w->s->d;
    double dot = 0, all = 0;

    for (int64_t n = 0; n < x->n; n++) {
        const int64_t at = x->k + n * x->step;
        const double one = q[x->q + n * x->step];
        dot += one * k[at];
        all += fabs(one) * (size ? size[at] : fabs(k[at]));
    }
    w->logit[w->count] = x->scale * dot;
    w->a[w->count] = fabs(x->scale) * all;
    w->x[w->count] = size ? (double)(w->s->block / 2 + 1) * w->a[w->count] : 0;
    w->v[w->count++] = v;
}

static void list_key(mix_row *w, const dims *x, int64_t j)
{
    const int64_t at = (w->b * w->s->hkv + w->hk) * w->s->sk + j;

    list(w, x, w->h, w->n->k + at * w->s->d, NULL, w->n->v + at * w->n->wide);
}

static int64_t keys_of(const mix_row *w)
{
    return w->n->nk[w->b] - w->r->last_key_dropped;
}

/* Every allowed key of first .. last. */
static void list_range(mix_row *w, const dims *x, int64_t first, int64_t last)
{
    for (int64_t j = first < 0 ? 0 : first; j < keys_of(w) && j <= last; j++)
        if (allowed(w, j))
            list_key(w, x, j);
}

/* The decays between a key and the query, added to the logit just listed. */
static void decay(mix_row *w, const dims *x, int64_t j)
{
    const mix_reading *r = w->r;
    const int64_t last = w->n->nk[r->per_first_sequence ? 0 : w->b] - 1;
    int64_t from = j + 1 + r->decays_from, to = (r->decay_by_row ? w->i : w->position);
    double sum = 0, *logit = &w->logit[w->count - 1];

    to += r->decays_to;
    from = from < 0 ? 0 : from;
    to = to > last ? last : to;
    if (to >= from)
        sum = w->running[to] - (from > 0 ? w->running[from - 1] : 0);
    sum *= (r->decay_negated ? -1 : 1) * (r->decay_base_2 ? log(2) : 1) *
           (r->decay_scaled ? x->scale : 1) * (r->decay_missing ? 0 : 1);
    if (last >= 0 && to >= 0)
        w->x[w->count - 1] += fmax(w->root[to], w->half[to]) + fabs(w->running[to]) +
                              fabs(j <= last ? w->running[j] : 0);
    w->x[w->count - 1] += fabs(*logit) + fabs(*logit + sum);
    *logit += sum;
}

/* --------------------------------------------------------------------------- one softmax */

/* What pooled values are off by: block u sum p |v|. */
static void shift_values(mix_row *w, const att_error_sums *sums)
{
    const int64_t wide = w->n->wide;

    memset(w->shift, 0, (size_t)wide * sizeof *w->shift);
    for (int64_t c = 0; c < w->count; c++)
        for (int64_t d = 0; d < w->s->dv; d++)
            w->shift[d] += exp(w->logit[c] - sums->lse) * w->pooled[3][c * wide + d];
}

/* Softmax attention over the keys listed, with its errors; then the list is empty. */
static void soften(mix_row *w, int c, int64_t dk, bool pooled)
{
    const int64_t wide = w->n->wide;
    const double n = (double)w->s->block;
    mix_part *p = &w->part[c];
    att_error_sums sums = {0};
    const att_error_keys keys = {
        .n = w->count, .dk = dk, .dv = w->s->dv, .s = w->logit, .a = w->a, .x = w->x, .v = w->v};

    memset(p->o, 0, 4 * (size_t)wide * sizeof *p->o);
    if (w->count > 0) {
        for (int i = 0; i < ATT_SUMS; i++)
            sums.column[i] = w->sums + (size_t)i * (size_t)wide;
        att_error_sum_row(&keys, w->u->acc, w->room, &sums);
        if (pooled)
            shift_values(w, &sums);
    }
    for (int64_t d = 0; d < w->s->dv && w->count > 0; d++) {
        const double more = pooled ? w->shift[d] : 0;
        double widen;
        p->o[d] = sums.column[ATT_SUM_O][d];
        p->variance[d] = att_error_variance(&sums, d, w->u->acc, w->u) +
                         n * (w->u->acc * more) * (w->u->acc * more);
        p->worst[d] = att_error_bound(&sums, d, w->u->acc, w->u, &widen) + n * w->u->acc * more;
        p->own[d] = 2 * sums.column[ATT_SUM_OWN][d] + n * 0x1p-52 * more;
    }
    w->count = 0;
}

/* ----------------------------------------------------------------------------------- NSA */

/* Adds the compressed probabilities of head h to the blocks' scores. */
static void weigh_blocks(mix_row *w, const dims *x, int64_t h, int64_t blocks)
{
    double top = -(double)INFINITY, total = 0, worst = 0;

    for (int64_t at = 0; at < blocks; at++)
        list(w, x, h, w->pooled[0] + at * w->s->d, w->pooled[1] + at * w->s->d, NULL);
    for (int64_t at = 0; at < blocks; at++)
        top = fmax(top, w->logit[at]);
    for (int64_t at = 0; at < blocks; at++) {
        const double far = top - w->logit[at];
        worst =
            fmax(worst, w->u->acc * (((double)x->n + 3) * w->a[at] + 2 * (1 + far) + 2 * w->x[at]));
        total += exp(-far);
    }
    for (int64_t at = 0; at < blocks; at++) {
        const double p = exp(w->logit[at] - top) / total;
        w->score[at].x += p;
        w->score[at].off += p * (expm1(2 * worst) + ((double)blocks + 4) * w->u->acc) +
                            2 * w->u->acc_lost;
    }
    w->count = 0;
}

static void nsa_parts(mix_row *w, bool *tied)
{
    const mix_spec *s = w->s;
    const mix_reading *r = w->r;
    const dims x = whole(w);
    const int64_t group = s->hq / s->hkv, first = w->h / group * group;
    const int64_t ended = (w->position + 1 + (r->open_block ? s->block - 1 : 0)) / s->block;
    const int64_t last = (keys_of(w) + s->block - 1) / s->block;
    const int64_t blocks = w->position < 0 ? 0 : ended < last ? ended : last;

    for (int64_t at = 0; at < blocks; at++)
        list(w, &x, w->h, w->pooled[0] + at * s->d, w->pooled[1] + at * s->d,
             w->pooled[2] + at * w->n->wide);
    soften(w, 0, s->d, true);
    memset(w->score, 0, (size_t)blocks * sizeof *w->score);
    memset(w->chosen, 0, (size_t)s->sk + 2);
    if (w->position >= 0) {
        for (int64_t h = first; h < first + group; h++)
            if (!(r->chosen_by_head && h != w->h) && !(r->chosen_by_first_head && h != first))
                weigh_blocks(w, &x, h, blocks);
        const int64_t forced = mix_force(s, r, w->position, w->chosen);
        *tied = mix_choose(w->score, blocks, s->keep + r->keep_more - forced, r->worst_chosen,
                           w->chosen);
    }
    for (int64_t j = 0; j < keys_of(w); j++)
        if (w->chosen[j / s->block] && (j <= w->position || r->selected_future))
            list_key(w, &x, j);
    soften(w, 1, s->d, false);
    list_range(w, &x, w->position - s->window - r->window_more + 1, w->position);
    soften(w, 2, s->d, false);
}

/* -------------------------------------------------------------------------------- memory */

static void memory_parts(mix_row *w, bool *tied)
{
    const mix_spec *s = w->s;
    const mix_reading *r = w->r;
    const dims x = whole(w);
    const int64_t near = w->position - s->window - r->window_more + 1;
    int64_t far = r->overlaps ? w->position + 1 : near;

    far = far < 0 ? 0 : far > keys_of(w) ? keys_of(w) : far;
    for (int64_t j = 0; j < far; j++) {
        list_key(w, &x, j);
        w->score[j] = (mix_score){w->logit[j], w->u->acc * ((double)s->d + 3) * w->a[j]};
    }
    w->count = 0;
    memset(w->chosen, 0, (size_t)s->sk + 2);
    *tied = mix_choose(w->score, far, r->far_all ? far : s->keep + r->keep_more, r->worst_chosen,
                       w->chosen);
    for (int64_t j = 0; j < far; j++)
        if (w->chosen[j])
            list_key(w, &x, j);
    if (!r->joint)
        soften(w, 0, s->d, false);
    list_range(w, &x, near, w->position);
    soften(w, r->joint ? 0 : 1, s->d, false);
}

void mix_row_parts(mix_row *w, bool *tied)
{
    const bool top_left = w->r->top_left || parity_is(w->s->causal, "tl");
    dims x = whole(w);

    w->position = w->i + (top_left ? 0 : w->n->nk[w->b] - w->n->nq[w->b]);
    w->count = 0;
    if (w->s->kind == ATT_MIX_NSA) {
        nsa_parts(w, tied);
    } else if (w->s->kind == ATT_MIX_MEMORY) {
        memory_parts(w, tied);
    } else if (w->s->kind == ATT_MIX_DIFFERENTIAL) {
        for (int c = 0; c < 2; c++) {
            x = half(w, c);
            list_range(w, &x, 0, INT64_MAX);
            soften(w, c, x.n, false);
        }
    } else {
        for (int64_t j = 0; j < keys_of(w); j++)
            if (allowed(w, j)) {
                list_key(w, &x, j);
                if (w->s->kind == ATT_MIX_FORGETTING)
                    decay(w, &x, j);
            }
        soften(w, 0, w->s->d, false);
    }
}
