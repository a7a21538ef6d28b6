/* SPDX-License-Identifier: Apache-2.0 */
/* How far positive random features scatter, in closed form.
 *
 *   E[A_j A_l] = S_j S_l exp((x+y_j).(x+y_l))  with  A_j = exp(w.(x+y_j) - (|x|^2 + |y_j|^2) / 2)
 *
 * from E exp(w.u) = exp(|u|^2 / 2), S_j = exp(x.y_j); j = l is lemma 2 of the source.  U and D^ are
 * sums of A over keys, and both are unbiased: E U = 0, E D^ = D.
 * Orthogonal blocks: a function of w has its variance spread over harmonics of degree l, and two
 * orthogonal directions share P_l(0) of each (the Legendre polynomial of d dimensions), -1/(d-1)
 * for l = 2, 3/(d^2 - 1) for l = 4, less after that: at most 1 + (d-1) 3/(d^2-1) in a block of d.
 * Source: Choromanski et al. 2020, "Rethinking attention with performers"; Mueller 1966,
 * "Spherical harmonics". */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/converge.h"

/* One row's keys. */
typedef struct keys {
    int64_t n;
    double *p, *sum; /* [Skv] [Skv][Dk] x + y_j */
    int64_t *j;
} keys;

static void collect(const parity_inputs *in, int64_t row, keys *out)
{
    const parity_spec *s = &in->spec;
    const int64_t kv = row / s->sq / (s->hq / s->hkv);
    const double scale = att_scale(&in->plain), root = sqrt(scale);
    const double *q = in->q + row * s->d;

    out->n = 0;
    for (int64_t j = 0; j < s->sk; j++) {
        const double *k = in->k + (kv * s->sk + j) * s->d;
        double dot = 0;
        if (!in->allowed[row * s->sk + j])
            continue;
        for (int64_t c = 0; c < s->d; c++) {
            dot += q[c] * k[c];
            out->sum[out->n * s->d + c] = root * (q[c] + k[c]);
        }
        out->p[out->n] = exp(scale * dot - in->lse[row]);
        out->j[out->n++] = kv * s->sk + j;
    }
}

static void add_pair(const parity_inputs *in, int64_t row, const keys *k, int64_t a, int64_t b,
                     double *u, double *w)
{
    const parity_spec *s = &in->spec;
    double dot = 0;

    for (int64_t c = 0; c < s->d; c++)
        dot += k->sum[a * s->d + c] * k->sum[b * s->d + c];
    const double weight = k->p[a] * k->p[b] * expm1(dot) * (a == b ? 1 : 2);
    w[row] += weight;
    for (int64_t d = 0; d < s->dv; d++) {
        const double o = in->out[row * s->dv + d];
        u[row * s->dv + d] += weight * (in->v[k->j[a] * s->dv + d] - o) *
                              (in->v[k->j[b] * s->dv + d] - o);
    }
}

att_status converge_features(const parity_inputs *in, double *u, double *w)
{
    const parity_spec *s = &in->spec;
    double *room = calloc((size_t)(s->sk * (s->d + 1)) + 1, sizeof *room);
    keys k = {.p = room, .sum = room + s->sk, .j = calloc((size_t)s->sk + 1, sizeof *k.j)};
    const att_status status = room && k.j ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t row = 0; status == ATT_OK && row < s->b * s->hq * s->sq; row++) {
        if (!converge_row(in, row))
            continue;
        collect(in, row, &k);
        for (int64_t a = 0; a < k.n; a++)
            for (int64_t b = 0; b <= a; b++)
                add_pair(in, row, &k, a, b, u, w);
    }
    free(room);
    free(k.j);
    return status;
}
