/* SPDX-License-Identifier: Apache-2.0 */
/* Laws of values: a constant V comes out as it is; the output is linear in V; latent keys and
 * values may be absorbed into the queries and the outputs' channels.
 *
 * Numbers lie on coarse grids, so that sums of the inputs are exact in every storage type and both
 * sides are one problem, not two close ones.
 *   linear:   o(2 V1 + V2) = 2 o(V1) + o(V2)
 *   absorbed: k_h = W_h^T c, v_h = some channels of c  =>  q_h . k_h = (W_h q_h) . c, at one scale
 * Source: DeepSeek-AI 2024, "DeepSeek-V2" (multi-head latent attention). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/laws.h"

/* -------------------------------------------------------------------------- constant */

static void constant(parity_inputs *in, void *arg)
{
    const parity_spec *s = &in->spec;
    att_rng *rng = arg;

    for (int64_t n = 0; n < s->b * s->hkv * s->sk; n++)
        for (int64_t d = 0; d < s->dv; d++)
            in->v[n * s->dv + d] = n % s->sk ? in->v[(n - 1) * s->dv + d] : 3 * att_rng_normal(rng);
}

static att_status constant_v(law_case *c)
{
    const parity_spec *s = &c->spec;
    att_status status = law_base(c, constant, &c->rng);

    c->want = calloc((size_t)(law_rows(s) * s->dv) + 1, sizeof *c->want);
    if (!c->want)
        return ATT_NO_MEMORY;
    for (int64_t r = 0; status == ATT_OK && r < law_rows(s); r++) {
        const uint8_t *row = c->base->allowed + r * s->sk;
        const uint8_t *key = s->sk ? memchr(row, 1, (size_t)s->sk) : NULL;
        int64_t kv = r / s->sq / (s->hq / s->hkv);
        if (key) /* any key that the row sees */
            memcpy(c->want + r * s->dv, c->base->v + (kv * s->sk + (key - row)) * s->dv,
                   (size_t)s->dv * sizeof *c->want);
    }
    return status;
}

static void without_sinks(parity_spec *s)
{
    s->sinks = "none";
}

/* ---------------------------------------------------------------------------- linear */

static double grid(att_rng *rng, int64_t most, double step)
{
    return ((double)att_rng_below(rng, (uint64_t)(2 * most + 1)) - (double)most) * step;
}

typedef struct pair {
    double *v[2]; /* V1, V2 */
    double part[2];
} pair;

static void combine(parity_inputs *in, void *arg)
{
    const pair *w = arg;

    for (int64_t n = 0; n < in->spec.b * in->spec.hkv * in->spec.sk * in->spec.dv; n++)
        in->v[n] = w->part[0] * w->v[0][n] + w->part[1] * w->v[1][n];
}

static att_status v_linear(law_case *c)
{
    const double part[3][2] = {{2, 1}, {1, 0}, {0, 1}};
    int64_t n = c->spec.b * c->spec.hkv * c->spec.sk * c->spec.dv;
    pair w = {{calloc((size_t)n + 1, sizeof(double)), calloc((size_t)n + 1, sizeof(double))},
              {2, 1}};
    att_status status = w.v[0] && w.v[1] ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t i = 0; status == ATT_OK && i < n; i++)
        for (int p = 0; p < 2; p++)
            w.v[p][i] = grid(&c->rng, 40, 0.125);
    if (status == ATT_OK)
        status = law_base(c, combine, &w);
    for (int p = 1; status == ATT_OK && p < 3; p++) {
        memcpy(w.part, part[p], sizeof w.part);
        status = law_side_like(c, &c->spec, combine, &w);
        if (status == ATT_OK)
            c->side[c->sides - 1].times = part[0][p - 1];
    }
    free(w.v[0]);
    free(w.v[1]);
    return status;
}

/* -------------------------------------------------------------------------- absorbed */

#define NONZERO 2 /* of each row of W: products and sums stay on the grid */

/* q = [q_n, q_r], k_h = [W_h^T c, r]: the last `turn` channels are shared, as rotary ones are. */
typedef struct latent {
    int64_t width, turn; /* of c, of r */
    double *c, *r;       /* [B][Skv][width], [B][Skv][turn] */
    int64_t *at;         /* [Hq][width][NONZERO] where row l of W_h is not 0 */
    double *sign;        /* [Hq][width][NONZERO] */
    int64_t *channel;    /* [Hq][Dv] */
    att_rng *rng;
} latent;

static void expand(parity_inputs *in, void *arg)
{
    const latent *w = arg;
    const parity_spec *s = &in->spec;
    int64_t own = s->d - w->turn;

    for (int64_t n = 0; n < s->b * s->hq * s->sq * s->d; n++)
        in->q[n] = grid(w->rng, 4, 0.25);
    memset(in->k, 0, (size_t)(s->b * s->hkv * s->sk * s->d) * sizeof *in->k);
    for (int64_t n = 0; n < s->b * s->hkv * s->sk; n++) {
        int64_t h = n / s->sk % s->hkv, row = n / (s->hkv * s->sk) * s->sk + n % s->sk;
        const double *c = w->c + row * w->width;
        for (int64_t l = 0; l < w->width * NONZERO; l++)
            in->k[n * s->d + w->at[h * w->width * NONZERO + l]] +=
                w->sign[h * w->width * NONZERO + l] * c[l / NONZERO];
        memcpy(in->k + n * s->d + own, w->r + row * w->turn, (size_t)w->turn * sizeof *in->k);
        for (int64_t d = 0; d < s->dv; d++)
            in->v[n * s->dv + d] = c[w->channel[h * s->dv + d]];
    }
    in->given.scale = in->plain.scale = 1 / sqrt((double)s->d);
}

typedef struct absorbing {
    const latent *w;
    const parity_inputs *base;
} absorbing;

static void absorb(parity_inputs *in, void *arg)
{
    const latent *w = ((const absorbing *)arg)->w;
    const parity_inputs *base = ((const absorbing *)arg)->base;
    const parity_spec *s = &in->spec;
    int64_t d = base->spec.d, own = d - w->turn;

    for (int64_t r = 0; r < law_rows(s); r++) {
        const double *q = base->q + r * d;
        int64_t first = r / s->sq % s->hq * w->width * NONZERO;
        for (int64_t l = 0; l < w->width; l++)
            in->q[r * s->d + l] = 0;
        for (int64_t l = 0; l < w->width * NONZERO; l++)
            in->q[r * s->d + l / NONZERO] += w->sign[first + l] * q[w->at[first + l]];
        memcpy(in->q + r * s->d + w->width, q + own, (size_t)w->turn * sizeof *q);
    }
    for (int64_t n = 0; n < s->b * s->sk; n++) {
        memcpy(in->k + n * s->d, w->c + n * w->width, (size_t)w->width * sizeof *in->k);
        memcpy(in->k + n * s->d + w->width, w->r + n * w->turn, (size_t)w->turn * sizeof *in->k);
        memcpy(in->v + n * s->dv, w->c + n * w->width, (size_t)w->width * sizeof *in->v);
    }
}

static bool draw(const parity_spec *s, latent *w)
{
    int64_t rows = s->b * s->sk, cells = s->hq * w->width * NONZERO, channels = s->hq * s->dv;

    w->c = calloc((size_t)(rows * w->width) + 1, sizeof *w->c);
    w->r = calloc((size_t)(rows * w->turn) + 1, sizeof *w->r);
    w->at = calloc((size_t)cells + 1, sizeof *w->at);
    w->sign = calloc((size_t)cells + 1, sizeof *w->sign);
    w->channel = calloc((size_t)channels + 1, sizeof *w->channel);
    if (!w->c || !w->r || !w->at || !w->sign || !w->channel)
        return false;
    for (int64_t n = 0; n < rows * w->width; n++)
        w->c[n] = grid(w->rng, 4, 0.25);
    for (int64_t n = 0; n < rows * w->turn; n++)
        w->r[n] = grid(w->rng, 4, 0.25);
    for (int64_t n = 0; n < cells; n++) {
        w->at[n] = (int64_t)att_rng_below(w->rng, (uint64_t)(s->d - w->turn));
        w->sign[n] = att_rng_below(w->rng, 2) ? 1 : -1;
    }
    for (int64_t n = 0; n < channels; n++)
        w->channel[n] = (int64_t)att_rng_below(w->rng, (uint64_t)w->width);
    return true;
}

static att_status absorbed(law_case *c)
{
    const parity_spec *s = &c->spec;
    latent w = {.width = s->dv + 3, .turn = s->d >= 8 ? 4 : 0, .rng = &c->rng};
    if (s->dv >= 128) { /* DeepSeek's: 512 + 64 of heads of 128 + 64 and 128 */
        w.width = 4 * s->dv;
        w.turn = s->d / 3;
    }
    absorbing a = {.w = &w};
    parity_spec spec = *s;
    law_side *side = NULL;
    att_status status = draw(s, &w) ? law_base(c, expand, &w) : ATT_NO_MEMORY;

    c->one_form = true; /* latent attention need not know the expanded one */
    spec.hkv = 1;
    spec.d = w.width + w.turn;
    spec.dv = w.width;
    spec.layout = "shared"; /* the values are the first channels of the latent keys */
    if (status == ATT_OK && !(side = law_open(c, &spec)))
        status = ATT_NO_MEMORY;
    if (side) {
        side->channel = w.channel;
        w.channel = NULL;
        a.base = c->base;
        status = law_close(c, side, absorb, &a);
    }
    void *owned[] = {w.c, w.r, w.at, w.sign, w.channel};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    return status;
}

static void one_each(parity_spec *s)
{
    s->hq = s->hq < 2 ? 3 : s->hq;
    s->hkv = s->hq;
}

const law laws_values[] = {
    {"constant_v", "a constant V comes out as it is", ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_KNOWN,
     false, without_sinks, constant_v},
    {"v_linear", "the output is linear in V", ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_SUM, true,
     NULL, v_linear},
    {"mla_absorbed", "latent keys and values absorbed into the queries give the same",
     ATT_BINDS_EXACT, LAW_EQUAL, true, one_each, absorbed},
    {0},
};
