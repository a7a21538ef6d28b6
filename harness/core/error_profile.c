/* SPDX-License-Identifier: Apache-2.0 */
/* A profile holds what does not depend on the output that is judged: each row's logits, computed
 * here from the problem, apart from the oracle's code and compared with the oracle's answer, and
 * the rule's sums.  O(pairs (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "base/mem.h"
#include "core/error_profile.h"

/* The oracle's error and that of the sums here, each at most own. */
#define OWN_SLACK 2

void att_profile_drop(att_profile *f)
{
    if (!f)
        return;
    void *owned[] = {f->n,      f->first,    f->s,        f->a,         f->x,      f->key,
                     f->values, f->zeros,    f->sums,     f->lse_bound, f->groups, f->largest,
                     f->room,   f->pointers, f->variance, f->drift};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(f);
}

/* n items of `size` bytes, zeroed, from the heap; NULL on overflow too. */
static void *items(int64_t n, size_t size)
{
    return calloc((size_t)(n > 0 ? n : 1), size);
}

static int64_t used_rows(const att_tensor *lengths, int64_t b, int64_t all)
{
    return lengths->data
               ? (int64_t)att_fp_load(lengths->data, lengths->dtype, b * lengths->stride[3])
               : all;
}

static double broadcast(const att_tensor *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return att_fp_load(t->data, t->dtype,
                       att_tensor_at(t, t->shape[0] > 1 ? b : 0, t->shape[1] > 1 ? h : 0,
                                     t->shape[2] > 1 ? i : 0, t->shape[3] > 1 ? j : 0));
}

static void read_row(const att_tensor *t, int64_t b, int64_t h, int64_t i, int64_t n, double *to)
{
    for (int64_t d = 0; d < n; d++)
        to[d] = att_fp_load(t->data, t->dtype, att_tensor_at(t, b, h, i, d));
}

/* |query position - key position|, for ALiBi. */
static double distance(const att_problem *p, int64_t b, int64_t i, int64_t j)
{
    bool given = p->q_positions.data &&
                 (p->causal == ATT_CAUSAL_POSITIONS || p->causal == ATT_CAUSAL_NONE);
    double at = (double)i, key = (double)j;

    if (given)
        at = broadcast(&p->q_positions, 0, 0, b, i);
    else if (p->causal != ATT_CAUSAL_TOP_LEFT)
        at += (double)(used_rows(&p->kv_lengths, b, p->kv_len) -
                       used_rows(&p->q_lengths, b, p->q_len));
    if (p->k_positions.data)
        key = broadcast(&p->k_positions, 0, 0, b, j);
    return fabs(at - key);
}

/* One pair's final logit, a and x; q and k are rows of dk doubles. */
static void score(const att_problem *p, const double *q, const double *k, int64_t b, int64_t h,
                  int64_t i, int64_t j, att_profile *f, int64_t at)
{
    double dot = 0, size = 0, scale = att_scale(p), x = 0, last = (double)NAN, drift = 0, run = 0;

    for (int64_t d = 0; d < f->dk; d++) {
        double product = q[d] * k[d];
        dot += product;
        size += fabs(product);
        run = product == last ? run + 1 : 1;
        last = product;
        if (run > 1 && run * run * fabs(product) > drift)
            drift = run * run * fabs(product);
    }
    double s = scale * dot, a = fabs(scale) * size;
    drift *= fabs(scale) / 4;
    if (p->softcap > 0) {
        double t = tanh(s / p->softcap);
        s = p->softcap * t;
        a *= 1 - t * t;
        drift *= 1 - t * t;
        x = 2 * fabs(s); /* tanh, and its product with the cap */
    }
    double slope = p->alibi_slopes.data ? att_fp_load(p->alibi_slopes.data, p->alibi_slopes.dtype,
                                                      h * p->alibi_slopes.stride[3])
                                        : 0;
    double terms[2] = {slope != 0 ? -slope * distance(p, b, i, j) : 0,
                       p->bias.data ? broadcast(&p->bias, b, h, i, j) : 0};
    if (terms[0] != 0 || terms[1] != 0)
        x += fabs(s) + fabs(terms[0]);
    for (int t = 0; t < 2; t++)
        if (terms[t] != 0) {
            s += terms[t];
            x += fabs(s);
        }
    f->s[at] = s;
    f->a[at] = a;
    f->x[at] = x;
    f->drift[at] = drift;
    f->key[at] = (int32_t)j;
}

/* How many pairs each row has, and how many in all. */
static int64_t count_pairs(const att_problem *p, const uint8_t *allowed, att_profile *f)
{
    int64_t pairs = 0;

    for (int64_t r = 0; r < f->rows; r++) {
        int64_t b = r / (f->heads * f->q_len), i = r % f->q_len, n = 0;
        const uint8_t *row = allowed + r * f->kv_len;
        f->first[r] = pairs;
        if (i >= used_rows(&p->q_lengths, b, f->q_len)) {
            f->n[r] = -1;
            continue;
        }
        for (int64_t j = 0; j < f->kv_len; j++)
            n += row[j] != 0;
        f->n[r] = n > 0 ? n + f->sink : 0;
        pairs += f->n[r];
    }
    return pairs;
}

static bool take_memory(const att_problem *p, const uint8_t *allowed, att_profile *f)
{
    int64_t cells;

    f->n = items(f->rows, sizeof *f->n);
    f->first = items(f->rows, sizeof *f->first);
    if (!f->n || !f->first || f->kv_len > INT32_MAX)
        return false;
    int64_t pairs = count_pairs(p, allowed, f);
    if (__builtin_mul_overflow(f->rows, f->wide * ATT_SUMS, &cells) || cells > INT64_MAX / 64)
        return false;
    f->s = items(pairs, sizeof *f->s);
    f->a = items(pairs, sizeof *f->a);
    f->x = items(pairs, sizeof *f->x);
    f->drift = items(pairs, sizeof *f->drift);
    f->key = items(pairs, sizeof *f->key);
    f->values = items(f->batch * p->heads_kv * f->kv_len * f->wide, sizeof *f->values);
    f->zeros = items(f->wide, sizeof *f->zeros);
    f->sums = items(cells, sizeof *f->sums);
    f->lse_bound = items(f->rows, sizeof *f->lse_bound);
    f->groups = items(f->rows, sizeof *f->groups);
    f->largest = items(f->rows, sizeof *f->largest);
    f->room = items((int64_t)att_error_room(f->kv_len + 1, f->dv), 1);
    f->pointers = items(f->kv_len + 1, sizeof *f->pointers);
    f->variance = items(f->wide, sizeof *f->variance);
    return f->s && f->a && f->x && f->drift && f->key && f->values && f->zeros && f->sums &&
           f->lse_bound && f->groups && f->largest && f->room && f->pointers && f->variance;
}

att_error_keys att_profile_keys(const att_profile *f, int64_t r)
{
    int64_t head = r / f->q_len, kv = head / f->group;
    att_error_keys k = {.n = f->n[r],
                        .dk = f->dk,
                        .dv = f->dv,
                        .sink = f->sink,
                        .s = f->s + f->first[r],
                        .a = f->a + f->first[r],
                        .x = f->x + f->first[r],
                        .drift = f->drift + f->first[r],
                        .v = f->pointers};

    for (int64_t j = 0; j < k.n; j++) {
        int32_t key = f->key[f->first[r] + j];
        f->pointers[j] = key < 0 ? f->zeros : f->values + (kv * f->kv_len + key) * f->wide;
    }
    return k;
}

att_error_sums att_profile_sums(const att_profile *f, int64_t r)
{
    att_error_sums s = {.n = f->n[r], .groups = f->groups[r], .largest_group = f->largest[r]};

    for (int c = 0; c < ATT_SUMS; c++)
        s.column[c] = f->sums + (r * ATT_SUMS + c) * f->wide;
    return s;
}

/* Does the oracle's answer for row r agree with the sums? */
static bool oracle_agrees(const att_profile *f, int64_t r, const att_error_sums *s, att_why *why)
{
    double lse = f->lse[r];

    for (int64_t d = 0; d < f->dv; d++) {
        double o = f->out[r * f->dv + d], mine = s->column[ATT_SUM_O][d];
        double slack = OWN_SLACK * s->column[ATT_SUM_OWN][d] + 0x1p-1070;
        bool same = isfinite(o) == isfinite(mine) && (!isfinite(o) || fabs(o - mine) <= slack);
        if (!same) {
            att_why_set(why,
                        "row %lld, element %lld: the oracle says %.17g, the judge's own sum %.17g",
                        (long long)r, (long long)d, o, mine);
            return false;
        }
    }
    if (isfinite(lse) != isfinite(s->lse) ||
        (isfinite(lse) && !(fabs(lse - s->lse) <= OWN_SLACK * s->lse_own))) {
        att_why_set(why, "row %lld: the oracle's LSE is %.17g, the judge's own %.17g", (long long)r,
                    lse, s->lse);
        return false;
    }
    return true;
}

static bool sum_row(att_profile *f, int64_t r, att_why *why)
{
    att_error_sums sums = att_profile_sums(f, r);

    if (f->n[r] <= 0)
        return true;
    att_error_keys keys = att_profile_keys(f, r);
    att_error_sum_row(&keys, f->u_acc, f->room, &sums);
    f->groups[r] = (int32_t)sums.groups;
    f->largest[r] = (int32_t)sums.largest_group;
    f->lse_bound[r] = sums.lse_bound + sums.lse_own;
    return oracle_agrees(f, r, &sums, why);
}

/* All rows that read kv head hk of batch b. */
static att_status profile_head(const att_problem *p, const uint8_t *allowed, att_profile *f,
                               int64_t b, int64_t hk, double *k, double *q, att_why *why)
{
    for (int64_t j = 0; j < f->kv_len; j++) {
        read_row(&p->k, b, hk, j, f->dk, k + j * f->dk);
        read_row(&p->v, b, hk, j, f->dv,
                 f->values + ((b * p->heads_kv + hk) * f->kv_len + j) * f->wide);
    }
    for (int64_t h = hk * f->group; h < (hk + 1) * f->group; h++)
        for (int64_t i = 0; i < f->q_len; i++) {
            int64_t r = (b * f->heads + h) * f->q_len + i, at = f->first[r];
            read_row(&p->q, b, h, i, f->dk, q);
            for (int64_t j = 0; f->n[r] > 0 && j < f->kv_len; j++)
                if (allowed[r * f->kv_len + j])
                    score(p, q, k + j * f->dk, b, h, i, j, f, at++);
            if (f->n[r] > 0 && f->sink) {
                f->s[at] = att_fp_load(p->sinks.data, p->sinks.dtype, h * p->sinks.stride[3]);
                f->key[at] = -1;
            }
            if (!sum_row(f, r, why))
                return ATT_FAILED;
        }
    return ATT_OK;
}

att_status att_profile_make(const att_problem *p, const uint8_t *allowed, const double *out,
                            const double *lse, double u_acc, att_profile **profile, att_why *why)
{
    att_profile *f = calloc(1, sizeof *f);
    double *k = NULL, *q = NULL;
    att_status status = ATT_NO_MEMORY;

    *profile = NULL;
    if (!f)
        return status;
    *f = (att_profile){.batch = p->batch,
                       .heads = p->heads_q,
                       .q_len = p->q_len,
                       .kv_len = p->kv_len,
                       .dk = p->head_dim,
                       .dv = p->value_dim,
                       .wide = att_error_pad(p->value_dim),
                       .u_acc = u_acc,
                       .sink = p->sinks.data != NULL,
                       .out = out,
                       .lse = lse};
    f->group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    f->rows = f->batch * f->heads * f->q_len;
    k = items(f->kv_len * f->dk, sizeof *k);
    q = items(f->dk, sizeof *q);
    if (!k || !q || !take_memory(p, allowed, f))
        goto done;
    status = ATT_OK;
    for (int64_t b = 0; b < f->batch; b++)
        for (int64_t hk = 0; status == ATT_OK && hk < p->heads_kv; hk++)
            status = profile_head(p, allowed, f, b, hk, k, q, why);
done:
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory to judge %lld rows of %lld keys", (long long)(f ? f->rows : 0),
                    (long long)p->kv_len);
    free(k);
    free(q);
    if (status == ATT_OK)
        *profile = f;
    else
        att_profile_drop(f);
    return status;
}
