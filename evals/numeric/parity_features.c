/* SPDX-License-Identifier: Apache-2.0 */
/* The performer's weights in float64, from the features that its parameters name.
 *
 *   w_ij = sum_r exp(a_r(x_i) + a_r(y_j)),  a_r(x) = w_r . x - |x|^2 / 2
 *   x = +-root q, y = root k, root = sqrt |scale|; a factor that a row shares cancels
 *
 * w_r are single numbers, part of the function: drawn as the kernel documents (common/favor.h;
 * splitmix64, Box-Muller, blocks of Dk made orthogonal twice over, rounded to f32 at each step),
 * here once more.
 * Bound: with A_r(x) = sum_c |w_rc x_c| + |x|^2 / 2, C_r the largest |a_r(y_j)| of the row's keys
 * and T = max_r (|a_r(x)| + C_r), a term is off by at most
 *
 *   expm1 u ((Dk + 6) (A_r(x) + A_r(y)) + 3 |a_r(x)| + 7 C_r + T + 4 n + m + 24)
 *
 * by dot products, exponents taken less the largest so far (which may change n times, by 2 C_r in
 * all), and sums over keys and features; exp of less than -87 is lost.  O(m (keys Dk + pairs)); of
 * many rows every `stride`th is judged.
 * Source: Choromanski et al. 2020; error analysis after Higham 2002. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_own.h"

#define MOST_CELLS ((int64_t)1 << 23) /* keys times features kept */
#define MOST_TERMS ((int64_t)1 << 20) /* exponentials a case */

typedef struct features {
    int64_t m;
    float *w;                     /* [m][Dk] */
    double *key, *key_size;       /* [keys][m] a_r(y), A_r(y) */
    double *row, *row_size, *far; /* [m] a_r(x), A_r(x), C_r */
    double *x;                    /* [Dk] */
    double top, furthest;         /* the row's largest exponent; T */
    double root, sign;
} features;

static double unit_draw(uint64_t stream, uint64_t n)
{
    uint64_t z = (stream + n) * UINT64_C(0x9e3779b97f4a7c15);

    z ^= z >> 30;
    z *= UINT64_C(0xbf58476d1ce4e5b9);
    z ^= z >> 27;
    z *= UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t c = 0; c < n; c++)
        sum += (double)a[c] * (double)b[c];
    return sum;
}

/* Row r keeps its length and loses what it shares with its block's rows before it. */
static void make_orthogonal(float *w, int64_t r, int64_t n)
{
    float *row = w + r * n;
    const double length = sqrt(dot(row, row, n));

    for (int pass = 0; pass < 2; pass++)
        for (int64_t s = r / n * n; s < r; s++) {
            const double share = dot(row, w + s * n, n) / dot(w + s * n, w + s * n, n);
            for (int64_t c = 0; c < n; c++)
                row[c] -= (float)(share * (double)w[s * n + c]);
        }
    const double left = sqrt(dot(row, row, n));
    for (int64_t c = 0; c < n; c++)
        row[c] *= (float)(length / left);
}

static void draw(features *f, int64_t n, int64_t seed, bool orthogonal)
{
    const uint64_t start = (uint64_t)(unit_draw(1, (uint64_t)seed) * 0x1p63);

    for (int64_t i = 0; i < f->m * n; i++) {
        const double u = unit_draw(start, 2 * (uint64_t)i);
        const double turn = unit_draw(start, 2 * (uint64_t)i + 1);
        f->w[i] = (float)(sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * turn));
        if (orthogonal && i % n == n - 1)
            make_orthogonal(f->w, i / n, n);
    }
}

/* a_r and A_r of all features for the row x, times `root`. */
static void exponents(const features *f, const double *x, double root, int64_t n, double *a,
                      double *size)
{
    double half = 0;

    for (int64_t c = 0; c < n; c++) {
        f->x[c] = root * x[c];
        half += f->x[c] * f->x[c] / 2;
    }
    for (int64_t r = 0; r < f->m; r++) {
        a[r] = -half;
        size[r] = half;
        for (int64_t c = 0; c < n; c++) {
            a[r] += (double)f->w[r * n + c] * f->x[c];
            size[r] += fabs((double)f->w[r * n + c] * f->x[c]);
        }
    }
}

static int64_t value_named(att_ctx *x, const char *name, int64_t otherwise)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];

    for (size_t i = 0; part->values && part->kernel->params[i].name; i++)
        if (parity_is(part->kernel->params[i].name, name))
            return part->values[i].i;
    return otherwise;
}

static bool make_room(features *f, int64_t n, int64_t keys)
{
    const int64_t cells = keys * f->m;

    f->w = malloc((size_t)(f->m * n) * sizeof *f->w + 1);
    f->key = malloc((size_t)(2 * cells + 3 * f->m + n) * sizeof *f->key + 1);
    if (!f->w || !f->key)
        return false;
    f->key_size = f->key + cells;
    f->row = f->key_size + cells;
    f->row_size = f->row + f->m;
    f->far = f->row_size + f->m;
    f->x = f->far + f->m;
    return true;
}

att_status parity_features_begin(parity_weigher *w, att_ctx *x)
{
    const parity_spec *s = &w->in->spec;
    const int64_t keys = s->b * s->hkv * s->sk, rows = s->b * s->hq * s->sq, n = s->d;
    const double scale = att_scale(&w->in->plain);
    features *f = calloc(1, sizeof *f);

    w->own = f;
    if (!f)
        return ATT_NO_MEMORY;
    f->m = value_named(x, "m", 256);
    f->root = sqrt(fabs(scale));
    f->sign = scale < 0 ? -1 : 1;
    if (keys * f->m > MOST_CELLS) {
        att_ctx_why(x, "too many keys to draw features for once more");
        return ATT_UNSUPPORTED;
    }
    if (!make_room(f, n, keys))
        return ATT_NO_MEMORY;
    draw(f, n, value_named(x, "draw", 1), value_named(x, "orthogonal", 1) != 0);
    for (int64_t j = 0; j < keys; j++)
        exponents(f, w->in->k + j * n, f->root, n, f->key + j * f->m, f->key_size + j * f->m);
    while (rows / w->stride * s->sk * f->m > MOST_TERMS && w->stride < rows)
        w->stride += 2; /* odd: rows and heads of all kinds */
    return ATT_OK;
}

void parity_features_row(parity_weigher *w, int64_t row, int64_t first, const uint8_t *allowed)
{
    features *f = w->own;
    const int64_t n = w->in->spec.d;

    exponents(f, w->in->q + row * n, f->sign * f->root, n, f->row, f->row_size);
    f->top = -(double)INFINITY;
    f->furthest = 0;
    for (int64_t r = 0; r < f->m; r++)
        f->far[r] = 0;
    for (int64_t j = 0; j < w->in->spec.sk; j++)
        for (int64_t r = 0; r < f->m && allowed[j]; r++) {
            const double a = f->key[(first + j) * f->m + r];
            f->far[r] = fmax(f->far[r], fabs(a));
            f->top = fmax(f->top, a + f->row[r]);
        }
    for (int64_t r = 0; r < f->m; r++)
        f->furthest = fmax(f->furthest, fabs(f->row[r]) + f->far[r]);
}

parity_weight parity_features_weigh(const parity_weigher *w, int64_t row, int64_t key)
{
    const features *f = w->own;
    const double *a = f->key + key * f->m, *size = f->key_size + key * f->m;
    const double dims = (double)w->in->spec.d + 6, m = (double)f->m, n = (double)w->keys;
    parity_weight out = {.lost = m * (n + 2) * 0x1p-124, .drops = 4 * m};

    (void)row;
    for (int64_t r = 0; r < f->m; r++) {
        const double term = exp(a[r] + f->row[r] - f->top);
        const double off = dims * (size[r] + f->row_size[r]) + 3 * fabs(f->row[r]) + 7 * f->far[r] +
                           f->furthest + 4 * n + m + 24;
        out.w += term;
        out.units += term * expm1(w->u * off) / w->u;
    }
    return out;
}

void parity_features_end(parity_weigher *w)
{
    features *f = w->own;

    if (!f)
        return;
    free(f->w);
    free(f->key);
    free(f);
}
