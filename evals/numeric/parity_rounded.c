/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that quantise q and k inside attend (as SageAttention does): exact on what those become.
 *
 * The kernel itself says what that is: `quantise` and `dequantise` are asked for each sequence and
 * head, q's rows without zeros and k's with zeros of one a channel (a kernel that refuses those is
 * asked without), in the largest groups of tokens that it supports.  The oracle then answers on
 * these numbers, and the numeric rule judges the output by that.  That they are near what was given
 * is measured beside: a step of int8 over the whole head is the coarsest that such a kernel takes.
 * What is not finite stays as it is: no code holds it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity_own.h"

#define MOST_GROUP 1024

bool parity_rounds(const att_kernel *kernel)
{
    return kernel->class_ == ATT_APPROX && !kernel->select && kernel->attend && kernel->quantise &&
           kernel->dequantise;
}

/* One head of one sequence. */
typedef struct rows {
    int64_t n, width, group;
    bool zeros;
    float *x, *y, *scale, *zero; /* [n][width] given, [n][width] as codes mean it */
    int8_t *code;
} rows;

static att_problem problem_of(const rows *r, bool back)
{
    const int64_t groups = (r->n + r->group - 1) / r->group;
    att_problem p = att_problem_init();

    p.batch = p.heads_q = p.heads_kv = 1;
    p.q_len = p.kv_len = r->n;
    p.head_dim = p.value_dim = r->width;
    p.k = att_tensor_dense(r->x, ATT_F32, 1, 1, r->n, r->width);
    p.out = att_tensor_dense(r->code, ATT_I8, 1, 1, r->n, r->width);
    if (back) {
        p.k = p.out;
        p.out = att_tensor_dense(r->y, ATT_F32, 1, 1, r->n, r->width);
    }
    p.k_quant = (att_quant){.scheme = ATT_QUANT_AFFINE, .axis = 2, .group = r->group};
    p.k_quant.scales = att_tensor_dense(r->scale, ATT_F32, 1, 1, groups, 1);
    if (r->zeros)
        p.k_quant.zeros = att_tensor_dense(r->zero, ATT_F32, 1, 1, groups, r->width);
    return p;
}

/* The largest groups that the kernel takes; false: none. */
static bool choose(const att_variant_part *part, bool zeros, rows *r)
{
    for (int with = zeros; with >= 0; with--)
        for (r->group = MOST_GROUP; r->group >= 1; r->group /= 2) {
            r->zeros = with;
            const att_problem to = problem_of(r, false), from = problem_of(r, true);
            if (part->kernel->supports(part->kernel, ATT_OP_QUANTISE, &to, part->values, NULL) ==
                    ATT_OK &&
                part->kernel->supports(part->kernel, ATT_OP_DEQUANTISE, &from, part->values,
                                       NULL) == ATT_OK)
                return true;
        }
    return false;
}

static att_status round_head(att_ctx *x, rows *r, bool zeros, double *at, double *steps)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    double most = 0;

    for (int64_t i = 0; i < r->n * r->width; i++) {
        r->x[i] = (float)at[i];
        most = isfinite(at[i]) ? fmax(most, fabs(at[i])) : most;
    }
    if (!choose(part, zeros, r)) {
        att_ctx_why(x, "quantises inside attend, but no groups of tokens to int8 when asked");
        return ATT_UNSUPPORTED;
    }
    const att_problem to = problem_of(r, false), from = problem_of(r, true);
    att_status status = att_ctx_call(x, part, ATT_OP_QUANTISE, &to, NULL);
    if (status == ATT_OK)
        status = att_ctx_call(x, part, ATT_OP_DEQUANTISE, &from, NULL);
    for (int64_t i = 0; status == ATT_OK && i < r->n * r->width; i++) {
        if (!isfinite(at[i]))
            continue;
        double moved = fabs((double)r->y[i] - at[i]), half = most / 254;
        if (!(moved == 0))
            *steps = att_error_fold(*steps, half > 0 ? moved / half : (double)INFINITY);
        at[i] = (double)r->y[i];
    }
    return status;
}

/* All heads of q or k in place; n: rows of each sequence. */
static att_status round_all(att_ctx *x, double *data, const int32_t *n, const int64_t size[4],
                            bool zeros, double *steps)
{
    const size_t cells = (size_t)(size[2] * size[3]) + 1;
    rows r = {.width = size[3]};
    att_status status = ATT_NO_MEMORY;

    r.x = calloc(cells, sizeof *r.x);
    r.y = calloc(cells, sizeof *r.y);
    r.scale = calloc(cells, sizeof *r.scale);
    r.zero = calloc(cells, sizeof *r.zero);
    r.code = calloc(cells, sizeof *r.code);
    if (r.x && r.y && r.scale && r.zero && r.code)
        status = ATT_OK;
    for (int64_t head = 0; status == ATT_OK && head < size[0] * size[1]; head++) {
        r.n = n[head / size[1]];
        if (r.n > 0)
            status = round_head(x, &r, zeros, data + head * size[2] * size[3], steps);
    }
    void *owned[] = {r.x, r.y, r.scale, r.zero, r.code};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    return status;
}

static double *copy(const double *from, int64_t n)
{
    double *to = malloc((size_t)(n + 1) * sizeof *to);

    if (to)
        memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

att_status parity_on_rounded(att_ctx *x, const parity_inputs *in, parity_inputs *own, double *steps)
{
    const parity_spec *s = &in->spec;
    const int64_t q[4] = {s->b, s->hq, s->sq, s->d}, k[4] = {s->b, s->hkv, s->sk, s->d};

    if (!parity_room_of_own(in, own))
        return ATT_NO_MEMORY;
    memcpy(own->allowed, in->allowed, (size_t)(s->b * s->hq * s->sq * s->sk));
    own->rounded_q = copy(in->q, q[0] * q[1] * q[2] * q[3]);
    own->k = copy(in->k, k[0] * k[1] * k[2] * k[3]);
    if (!own->rounded_q || !own->k)
        return ATT_NO_MEMORY;
    own->q = own->rounded_q;
    att_status status = round_all(x, own->q, in->nq, q, false, steps);
    if (status == ATT_OK)
        status = round_all(x, own->k, in->nk, k, true, steps);
    if (status != ATT_OK)
        return status;
    own->plain.q = att_tensor_dense(own->q, ATT_F64, s->b, s->hq, s->sq, s->d);
    own->plain.k = att_tensor_dense(own->k, ATT_F64, s->b, s->hkv, s->sk, s->d);
    return att_ctx_oracle(x, ATT_OP_ATTEND, &own->plain);
}
