/* SPDX-License-Identifier: Apache-2.0 */
/* The rules themselves, each from its project's description of when a test passes. */
#include "evals/numeric/judges.h"

#include <math.h>
#include <stddef.h>

#include "base/fp.h"

static double over(double e, double allowed)
{
    return e == 0 ? 0 : allowed > 0 ? e / allowed : (double)INFINITY;
}

static double largest(const double *a, const double *b, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static double mean(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += fabs(a[i] - b[i]);
    return n > 0 ? sum / (double)n : 0;
}

static double squares(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double e = a[i] - (b ? b[i] : 0);
        sum += e * e;
    }
    return sum;
}

/* What adding and taking off 0.3 leaves of x in the storage type. */
static double shaken(int32_t dtype, double x)
{
    return att_fp_round(dtype, att_fp_round(dtype, x + 0.3) - 0.3);
}

static double flash_2x(const judge_pair *p)
{
    double slack = 0;

    for (int64_t i = 0; i < p->n; i++)
        slack = fmax(slack, fabs(shaken(p->dtype, p->want[i]) - p->want[i]));
    return over(largest(p->got, p->want, p->n), 2 * largest(p->low, p->want, p->n) + 2 * slack);
}

static double max_ratio(const judge_pair *p)
{
    return over(largest(p->got, p->want, p->n), 1.5 * largest(p->low, p->want, p->n));
}

static double mean_ratio(const judge_pair *p)
{
    return over(mean(p->got, p->want, p->n), 1.1 * mean(p->low, p->want, p->n));
}

static double close(const judge_pair *p, double atol, double rtol)
{
    double most = 0;

    for (int64_t i = 0; i < p->n; i++)
        most = fmax(most, over(fabs(p->got[i] - p->want[i]), atol + rtol * fabs(p->want[i])));
    return most;
}

typedef struct tolerance {
    double atol, rtol;
} tolerance;

static double torch_close(const judge_pair *p)
{
    static const tolerance of[ATT_DTYPES] = {[ATT_F64] = {1e-7, 1e-7},
                                             [ATT_F32] = {1e-5, 1.3e-6},
                                             [ATT_F16] = {1e-5, 1e-3},
                                             [ATT_BF16] = {1e-5, 1.6e-2}};

    return close(p, of[p->dtype].atol, of[p->dtype].rtol);
}

static double ort_close(const judge_pair *p)
{
    static const tolerance of[ATT_DTYPES] = {[ATT_F64] = {1e-5, 1e-5},
                                             [ATT_F32] = {1e-5, 1e-4},
                                             [ATT_F16] = {2.5e-3, 1e-3},
                                             [ATT_BF16] = {2e-2, 1e-2}};

    return close(p, of[p->dtype].atol, of[p->dtype].rtol);
}

static double plain_1e3(const judge_pair *p)
{
    return close(p, 1e-3, 1e-3);
}

static double plain_15e3(const judge_pair *p)
{
    return close(p, 1.5e-2, 0);
}

static double rms_5e3(const judge_pair *p)
{
    double e = squares(p->got, p->want, p->n), size = squares(p->want, NULL, p->n);

    return largest(p->got, p->want, p->n) <= 1e-6 ? 0 : over(sqrt(e), 0.005 * sqrt(size));
}

static double ggml_nmse(const judge_pair *p)
{
    return over(squares(p->got, p->want, p->n), 5e-4 * squares(p->want, NULL, p->n));
}

#define JUDGE(name, text) {#name, name},
const judge judges[] = {
#include "evals/numeric/judges.def"
    {NULL, NULL}};
