/* SPDX-License-Identifier: Apache-2.0 */
/* Readings that change numbers on their way to the softmax: rounding to half precision, a maximum
 * that misses keys, fills that add up.  The problem stays as it is but for its bias, which gains
 * what the fault makes of each logit beyond the right one (NaN: the row ends as NaN). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

int64_t parity_rows(const parity_trial *t)
{
    return t->in->plain.batch * t->in->plain.heads_q * t->in->plain.q_len;
}

parity_place parity_place_of(const parity_trial *t, int64_t row)
{
    const att_problem *p = &t->in->plain;
    parity_place at = {row / (p->heads_q * p->q_len), row / p->q_len % p->heads_q, row % p->q_len};

    return at;
}

/* Offset of (b,h,i,j) in a tensor broadcast to it. */
static int64_t broadcast_at(const att_tensor *t, parity_place at, int64_t j)
{
    return att_tensor_at(t, t->shape[0] == 1 ? 0 : at.b, t->shape[1] == 1 ? 0 : at.h,
                         t->shape[2] == 1 ? 0 : at.i, t->shape[3] == 1 ? 0 : j);
}

bool parity_own_bias(parity_trial *t)
{
    const att_problem *p = &t->in->plain;
    const att_tensor *from = &p->bias;
    int64_t n = p->kv_len, rows = parity_rows(t);

    t->bias = calloc((size_t)(rows * n) + 1, sizeof *t->bias);
    if (!t->bias)
        return false;
    for (int64_t r = 0; r < rows && from->data; r++)
        for (int64_t j = 0; j < n; j++)
            t->bias[r * n + j] =
                att_fp_load(from->data, from->dtype, broadcast_at(from, parity_place_of(t, r), j));
    t->p.bias = att_tensor_dense(t->bias, ATT_F64, p->batch, p->heads_q, p->q_len, n);
    return true;
}

bool parity_masked(const parity_inputs *in, parity_place at, int64_t j)
{
    const att_tensor *m = &in->plain.mask;

    return m->data && !((const uint8_t *)m->data)[broadcast_at(m, at, j)];
}

/* ------------------------------------------------------------------------------- logits */

static double capped(const att_problem *p, double score)
{
    return p->softcap > 0 ? p->softcap * tanh(score / p->softcap) : score;
}

static const double *key_row(const parity_trial *t, parity_place at, int64_t j)
{
    const att_problem *p = &t->in->plain;
    int64_t head = at.h / (p->heads_q / p->heads_kv);

    return t->in->k + ((at.b * p->heads_kv + head) * p->kv_len + j) * p->head_dim;
}

static const double *query_row(const parity_trial *t, parity_place at)
{
    const att_problem *p = &t->in->plain;

    return t->in->q + ((at.b * p->heads_q + at.h) * p->q_len + at.i) * p->head_dim;
}

double parity_score(const parity_trial *t, parity_place at, int64_t j)
{
    const att_problem *p = &t->in->plain;
    const double *q = query_row(t, at), *k = key_row(t, at, j);
    double sum = 0;

    for (int64_t d = 0; d < p->head_dim; d++)
        sum += q[d] * k[d];
    return sum * att_scale(p);
}

static double key_position(const parity_inputs *in, int64_t b, int64_t j)
{
    const att_tensor *k = &in->plain.k_positions;

    return (double)(k->data ? ((const int64_t *)k->data)[b * in->spec.sk + j] : j);
}

/* The final logit; t->bias holds what is added last. */
double parity_logit(const parity_trial *t, int64_t row, int64_t j)
{
    const att_problem *p = &t->in->plain;
    const parity_place at = parity_place_of(t, row);
    double x = capped(p, parity_score(t, at, j)) + t->bias[row * p->kv_len + j];

    if (p->alibi_slopes.data)
        x -= att_fp_load(p->alibi_slopes.data, p->alibi_slopes.dtype, at.h) *
             fabs((double)parity_position(t->in, at.b, at.i) - key_position(t->in, at.b, j));
    return x;
}

/* The largest logit of the allowed keys before `end`. */
double parity_top(const parity_trial *t, int64_t row, int64_t end)
{
    const int64_t n = t->in->plain.kv_len;
    double top = -(double)INFINITY;

    for (int64_t j = 0; j < n && j < end; j++)
        if (t->in->allowed[row * n + j])
            top = fmax(top, parity_logit(t, row, j));
    return top;
}

void parity_spoil_row(parity_trial *t, int64_t row)
{
    for (int64_t j = 0; j < t->in->plain.kv_len; j++)
        t->bias[row * t->in->plain.kv_len + j] = (double)NAN;
}

/* ------------------------------------------------------------------- the running maximum */

/* e^x is lost below -104 and infinite from 88.8 on, in float32. */
#define LOST 104.0
#define VAST 88.8

static bool max_init_half(parity_trial *t)
{
    bool found = false;

    if (!parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        double top = parity_top(t, r, t->in->plain.kv_len);
        if (top == -(double)INFINITY || top > -32752 - LOST)
            continue;
        parity_spoil_row(t, r);
        found = true;
    }
    return found;
}

static bool max_partials(parity_trial *t)
{
    bool found = false;

    if (t->in->plain.kv_len <= 2048 || !parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        double top = parity_top(t, r, t->in->plain.kv_len);
        if (!(top - parity_top(t, r, 2048) > VAST))
            continue;
        parity_spoil_row(t, r);
        found = true;
    }
    return found;
}

/* ------------------------------------------------------------------------ half precision */

static double rounded(double x, int32_t dtype)
{
    return att_fp_round(dtype, (double)(float)x);
}

static bool prescaled(parity_trial *t)
{
    const att_problem *p = &t->in->plain;
    const double log2e = 0x1.715476p0;
    int32_t dtype = t->in->spec.dtype;
    int64_t n = parity_rows(t) * p->head_dim;

    if (dtype != ATT_F16 && dtype != ATT_BF16)
        return false;
    t->q = malloc((size_t)(n + 1) * sizeof *t->q);
    if (!t->q)
        return false;
    double scale = rounded((double)((float)att_scale(p) * (float)log2e), dtype);
    for (int64_t d = 0; d < n; d++)
        t->q[d] = rounded(t->in->q[d] * scale, dtype);
    t->p.q.data = t->q;
    t->p.scale = 1 / log2e;
    return true;
}

/* q.k summed in f16 from the first channel on. */
static double half_score(const parity_trial *t, parity_place at, int64_t j)
{
    const double *q = query_row(t, at), *k = key_row(t, at, j);
    double sum = 0;

    for (int64_t d = 0; d < t->in->plain.head_dim; d++)
        sum = rounded(sum + q[d] * k[d], ATT_F16);
    return sum * att_scale(&t->in->plain);
}

static bool half_sums(parity_trial *t)
{
    const att_problem *p = &t->in->plain;

    if (t->in->spec.dtype != ATT_F16 || !parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++)
        for (int64_t j = 0; j < p->kv_len; j++) {
            parity_place at = parity_place_of(t, r);
            if (t->in->allowed[r * p->kv_len + j])
                t->bias[r * p->kv_len + j] += capped(p, half_score(t, at, j)) -
                                              capped(p, parity_score(t, at, j));
        }
    return true;
}

/* -------------------------------------------------------------------- fills that add up */

/* Fills of key j: 1 each for causality and for the mask. */
static int fills(const parity_trial *t, parity_place at, int64_t j)
{
    return (key_position(t->in, at.b, j) > (double)parity_position(t->in, at.b, at.i)) +
           parity_masked(t->in, at, j);
}

/* A row hidden whole in which some key is hidden twice: -inf there, one finite number elsewhere. */
static bool adds_up(const parity_trial *t, int64_t row)
{
    parity_place at = parity_place_of(t, row);
    int most = 0;

    for (int64_t j = 0; j < t->in->nk[at.b]; j++) {
        int n = fills(t, at, j);
        if (n == 0)
            return false;
        most = n > most ? n : most;
    }
    return most == 2;
}

static void open_single(parity_trial *t, int64_t row)
{
    const int64_t n = t->in->plain.kv_len;
    parity_place at = parity_place_of(t, row);
    bool any = false;

    for (int64_t j = 0; j < t->in->nk[at.b]; j++) {
        bool single = fills(t, at, j) == 1;
        t->mask[row * n + j] = single;
        any |= single;
        if (single && t->in->spec.dtype != ATT_F16) /* the lowest number swallows the logit */
            t->bias[row * n + j] -= parity_logit(t, row, j);
    }
    if (any)
        return;
    memset(t->mask + row * n, 1, (size_t)t->in->nk[at.b]);
    parity_spoil_row(t, row);
}

static void keep_row(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)t, (void)b, (void)i, (void)row;
}

static bool fills_twice(parity_trial *t)
{
    const att_problem *p = &t->in->plain;
    bool found = false;

    if (!p->causal || !p->mask.data || p->sinks.data || !parity_redraw(t, false, keep_row) ||
        !parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        parity_place at = parity_place_of(t, r);
        if (at.i >= t->in->nq[at.b] || !adds_up(t, r))
            continue;
        open_single(t, r);
        found = true;
    }
    return found;
}

const parity_fault parity_logit_faults[] = {
    {"max_init_half", "the running maximum starts at -32752: lower logits are lost", max_init_half,
     NULL},
    {"max_partials_truncated", "the maximum misses the keys from 2048 on", max_partials, NULL},
    {"prescale_in_half", "scale and Q multiplied in the storage type", prescaled, NULL},
    {"qk_half_overflow", "q.k summed in f16", half_sums, NULL},
    {"mask_add_twice", "causal and mask fills add up to -inf in hidden rows", fills_twice, NULL},
    {0},
};
