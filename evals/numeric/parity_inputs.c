/* SPDX-License-Identifier: Apache-2.0 */
/* Making a case: numbers of a family -> stored (rounded, strided, packed or paged) -> read back, so
 * that the oracle sees exactly what a kernel sees -> the oracle's allowed pairs -> NaN over every
 * key and value that no query may see -> frozen -> the oracle's answer.  Done once, shared by all
 * kernels. */
#include "evals/numeric/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_far.h"

void *parity_buffer(parity_inputs *in, size_t bytes)
{
    if (in->guards == PARITY_GUARDS ||
        !att_guard_make(&in->guard[in->guards], bytes, in->spec.place))
        return NULL;
    return in->guard[in->guards++].data;
}

/* Rows of k or v that are memory: those of keys. */
static bool key_rows(const parity_inputs *in, int64_t (**out)[3], int64_t *n)
{
    const parity_spec *s = &in->spec;
    int64_t(*row)[3] = malloc(((size_t)(s->b * s->hkv * s->sk) + 1) * sizeof *row);

    *out = row;
    *n = 0;
    for (int64_t b = 0; row && b < s->b; b++)
        for (int64_t j = 0; j < in->nk[b]; j++)
            for (int64_t h = 0; h < s->hkv; h++) {
                parity_key_row(in, b, j, &row[*n][0], &row[*n][2]);
                row[(*n)++][1] = h;
            }
    return row != NULL;
}

bool parity_put_far(parity_inputs *in, const char *name, const parity_shape *shape, int32_t dtype,
                    att_tensor *out)
{
    bool keys = parity_is(name, "k") || parity_is(name, "v");
    int64_t(*row)[3] = NULL, rows = 0;
    parity_far *far = in->fars < PARITY_FARS ? calloc(1, sizeof *far) : NULL;

    if (!far || (keys && !key_rows(in, &row, &rows))) {
        free(far);
        return false;
    }
    in->far_name[in->fars] = name;
    in->far[in->fars++] = far;
    if (!parity_far_make(far, shape, dtype, in->spec.place, row, rows))
        return false;
    *out = far->t;
    return true;
}

void parity_inputs_drop(void *inputs)
{
    parity_inputs *in = inputs;

    if (!in)
        return;
    for (size_t g = 0; g < in->guards; g++)
        att_guard_drop(&in->guard[g]);
    for (int f = 0; f < PARITY_PROFILES; f++)
        att_profile_drop(in->profile[f]);
    for (size_t f = 0; f < in->fars; f++) {
        parity_far_drop(in->far[f]);
        free(in->far[f]);
    }
    void *owned[] = {in->q,    in->k,     in->v,       in->nq,  in->nk,  in->cu_q,
                     in->cu_k, in->table, in->allowed, in->out, in->lse, in->unrounded};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(in);
}

bool parity_fits(const parity_spec *s)
{
    const int64_t of[] = {s->b, s->hq, s->sq, s->sk, s->d + s->dv};
    const int64_t rows[] = {s->b, s->hq, s->sq + s->sk, 2 * (s->d + s->dv)};
    int64_t work = 1, cells = 1;

    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (of[i] < 0 || __builtin_mul_overflow(work, of[i] ? of[i] : 1, &work))
            return false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (__builtin_mul_overflow(cells, rows[i] ? rows[i] : 1, &cells))
            return false;
    return work <= (int64_t)1 << 36 && cells <= (int64_t)1 << 28 && s->sk <= INT32_MAX / 4;
}

/* The numbers both problems share. */
static void set_scalars(const parity_spec *s, att_problem *p)
{
    *p = att_problem_init();
    p->batch = s->b;
    p->heads_q = s->hq;
    p->heads_kv = s->hkv;
    p->q_len = s->sq;
    p->kv_len = s->sk;
    p->head_dim = s->d;
    p->value_dim = s->dv;
    p->softcap = s->softcap;
    if (s->scale != 0)
        p->scale = s->scale / sqrt((double)s->d);
    p->causal = parity_is(s->causal, "tl")    ? ATT_CAUSAL_TOP_LEFT
                : parity_is(s->causal, "br")  ? ATT_CAUSAL_BOTTOM_RIGHT
                : parity_is(s->causal, "pos") ? ATT_CAUSAL_POSITIONS
                                              : ATT_CAUSAL_NONE;
    p->window_left = s->left;
    p->window_right = s->right;
}

static double *doubles(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(double));
}

/* q, k and v (but quantised ones) between dense doubles and storage, either way. */
static void move_all(parity_inputs *in,
                     void (*move)(const att_tensor *, int64_t, int64_t, int64_t, int64_t, double *))
{
    const parity_spec *s = &in->spec;
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t i = 0; i < in->nq[b]; i++) {
            parity_query_row(in, b, i, &i0, &i2);
            for (int64_t h = 0; h < s->hq; h++)
                move(&in->given.q, i0, h, i2, s->d, in->q + ((b * s->hq + h) * s->sq + i) * s->d);
        }
        for (int64_t j = 0; j < in->nk[b] && !parity_quantised(s); j++) {
            parity_key_row(in, b, j, &i0, &i2);
            for (int64_t h = 0; h < s->hkv; h++) {
                int64_t row = (b * s->hkv + h) * s->sk + j;
                move(&in->given.v, i0, h, i2, s->dv, in->v + row * s->dv);
                move(&in->given.k, i0, h, i2, s->d, in->k + row * s->d);
            }
        }
    }
}

static void store_one(const att_tensor *t, int64_t i0, int64_t h, int64_t i2, int64_t n, double *x)
{
    parity_store_row(t, i0, h, i2, n, x);
}

/* q, k and v in one pool [B, S, Hq + 2 Hkv, W], the way a fused projection leaves them. */
static bool make_pool(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    int64_t rows = s->sq > s->sk ? s->sq : s->sk, width = s->d > s->dv ? s->d : s->dv;
    parity_shape pool = parity_shape_of("bshd", s->b, s->hq + 2 * s->hkv, rows, width);
    unsigned char *data = parity_buffer(in, (size_t)pool.extent * att_dtype_size(s->dtype));
    int64_t step = (int64_t)att_dtype_size(s->dtype) * pool.stride[1];

    if (!data)
        return false;
    in->given.q = parity_tensor(&pool, data, s->dtype);
    in->given.k = parity_tensor(&pool, data + s->hq * step, s->dtype);
    in->given.v = parity_tensor(&pool, data + (s->hq + s->hkv) * step, s->dtype);
    const int64_t q[4] = {s->b, s->hq, s->sq, s->d}, k[4] = {s->b, s->hkv, s->sk, s->d};
    const int64_t v[4] = {s->b, s->hkv, s->sk, s->dv};
    memcpy(in->given.q.shape, q, sizeof q);
    memcpy(in->given.k.shape, k, sizeof k);
    memcpy(in->given.v.shape, v, sizeof v);
    return true;
}

static bool make_one(parity_inputs *in, const char *name, const parity_shape *shape,
                     att_tensor *out)
{
    if (parity_is_far(&in->spec, name))
        return parity_put_far(in, name, shape, in->spec.dtype, out);
    void *data = parity_buffer(in, (size_t)shape->extent * att_dtype_size(in->spec.dtype));

    if (data)
        *out = parity_tensor(shape, data, in->spec.dtype);
    return data != NULL;
}

static bool make_storage(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    parity_shape q = parity_query_shape(in, s->layout, s->d);
    parity_shape k = parity_key_shape(in, s->layout, s->d),
                 v = parity_key_shape(in, s->layout, s->dv);

    if (parity_is(s->layout, "pooled"))
        return make_pool(in);
    if (parity_is(s->layout, "broadcast"))
        q = parity_query_shape(in, "bhsd", s->d);
    if (parity_is_far(s, "q"))
        q = parity_far_shape(s, q.n[0], q.n[1], q.n[2], q.n[3]);
    if (parity_is_far(s, "k") && !in->table)
        k = parity_far_shape(s, k.n[0], k.n[1], k.n[2], k.n[3]);
    if (parity_is_far(s, "v") && !in->table)
        v = parity_far_shape(s, v.n[0], v.n[1], v.n[2], v.n[3]);
    if (!make_one(in, "q", &q, &in->given.q))
        return false;
    if (parity_quantised(s))
        return parity_quant_make(in);
    if (!make_one(in, "k", &k, &in->given.k))
        return false;
    if (!parity_is(s->layout, "shared"))
        return make_one(in, "v", &v, &in->given.v);
    in->given.v = in->given.k; /* V is the first Dv channels of K */
    in->given.v.shape[3] = s->dv;
    return true;
}

/* May a query see key j of sequence b and KV head hk, or what another sequence keeps in its place?
 */
static bool is_seen(const parity_inputs *in, int64_t b, int64_t hk, int64_t j)
{
    const parity_spec *s = &in->spec;
    int64_t group = s->hq / s->hkv, page = in->table ? j / s->page : 0;
    bool seen = false;

    for (int64_t o = in->table ? 0 : b; !seen && o < (in->table ? s->b : b + 1); o++) {
        if (j >= in->nk[o] ||
            (in->table && in->table[o * in->pages + page] != in->table[b * in->pages + page]))
            continue;
        for (int64_t r = 0; !seen && r < group * s->sq; r++)
            seen = in->allowed[((o * s->hq + hk * group) * s->sq + r) * s->sk + j];
    }
    return seen;
}

/* NaN over keys and values that no query of their group may see. */
static void hide_unseen(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++)
        for (int64_t hk = 0; hk < s->hkv; hk++)
            for (int64_t j = 0; j < in->nk[b]; j++) {
                if (is_seen(in, b, hk, j))
                    continue;
                int64_t row = (b * s->hkv + hk) * s->sk + j;
                for (int64_t d = 0; d < s->d; d++)
                    in->k[row * s->d + d] = (double)NAN;
                for (int64_t d = 0; d < s->dv; d++)
                    in->v[row * s->dv + d] = (double)NAN;
                parity_key_row(in, b, j, &i0, &i2);
                if (parity_quantised(s)) {
                    parity_quant_hide(in, i0, hk, i2);
                    continue;
                }
                parity_store_row(&in->given.v, i0, hk, i2, s->dv, in->v + row * s->dv);
                parity_store_row(&in->given.k, i0, hk, i2, s->d, in->k + row * s->d);
            }
}

static att_status ask_oracle(att_ctx *x, parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    int64_t rows = s->b * s->hq * s->sq;
    const att_variant *oracle = att_ctx_find(x, "reference_f64");

    in->allowed = calloc((size_t)(rows * s->sk) + 1, 1);
    in->out = doubles(rows * s->dv);
    in->lse = doubles(rows);
    if (!in->allowed || !in->out || !in->lse)
        return ATT_NO_MEMORY;
    if (!oracle) {
        att_ctx_why(x, "the table of kernels has no reference_f64");
        return ATT_FAILED;
    }
    att_status status = att_ctx_call(x, &oracle->part[0], ATT_OP_SELECT, &in->plain, in->allowed);
    if (status != ATT_OK)
        return status;
    if (!parity_is(s->layout, "broadcast") && s->place != ATT_PLACE_LOOSE)
        hide_unseen(in);
    for (size_t g = 0; g < in->guards; g++)
        att_guard_freeze(&in->guard[g], true);
    for (size_t f = 0; f < in->fars; f++)
        att_far_freeze(&in->far[f]->memory, true);
    in->plain.out = att_tensor_dense(in->out, ATT_F64, s->b, s->hq, s->sq, s->dv);
    in->plain.lse = att_tensor_dense(in->lse, ATT_F64, 1, s->b, s->hq, s->sq);
    return att_ctx_oracle(x, ATT_OP_ATTEND, &in->plain);
}

/* What quantisation is to be compared with: the oracle's answer on k and v as they are now. */
static att_status ask_unrounded(att_ctx *x, parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    att_problem p = in->plain;

    in->unrounded = doubles(s->b * s->hq * s->sq * s->dv);
    if (!in->unrounded)
        return ATT_NO_MEMORY;
    p.out = att_tensor_dense(in->unrounded, ATT_F64, s->b, s->hq, s->sq, s->dv);
    return att_ctx_oracle(x, ATT_OP_ATTEND, &p);
}

static att_rng stream(const att_ctx *x, const parity_spec *s, const char *name)
{
    att_rng rng = att_ctx_group_rng(x, name);

    return s->draw ? att_rng_split(&rng, s->draw) : rng;
}

static att_status make_numbers(att_ctx *x, parity_inputs *in, parity_edit edit, void *arg)
{
    const parity_spec *s = &in->spec;
    att_rng lengths = stream(x, s, "lengths"), values = stream(x, s, "values");
    att_rng extras = stream(x, s, "extras"), far = stream(x, s, "far");
    int64_t rows = s->b * s->hkv * s->sk;

    in->q = doubles(s->b * s->hq * s->sq * s->d);
    in->k = doubles(rows * s->d);
    in->v = doubles(rows * s->dv);
    if (!in->q || !in->k || !in->v || !parity_lengths(in, &lengths) || !make_storage(in) ||
        !parity_extras(in, &extras))
        return ATT_NO_MEMORY;
    att_status status = parity_values(x, in, &values);
    if (status != ATT_OK)
        return status;
    if (edit)
        edit(in, arg);
    move_all(in, store_one);
    for (size_t f = 0; f < in->fars; f++)
        parity_far_decoys(in->far[f], &far);
    move_all(in, parity_load_row); /* rounded; one row where storage is shared */
    in->plain.q = att_tensor_dense(in->q, ATT_F64, s->b, s->hq, s->sq, s->d);
    in->plain.k = att_tensor_dense(in->k, ATT_F64, s->b, s->hkv, s->sk, s->d);
    in->plain.v = att_tensor_dense(in->v, ATT_F64, s->b, s->hkv, s->sk, s->dv);
    if (!parity_quantised(s))
        return ATT_OK;
    status = ask_unrounded(x, in);
    if (status == ATT_OK)
        parity_quant_round(in);
    return status;
}

att_status parity_inputs_make_edited(att_ctx *x, const parity_spec *spec, parity_edit edit,
                                     void *arg, parity_inputs **out)
{
    parity_inputs *in = calloc(1, sizeof *in);
    att_status status = ATT_NO_MEMORY;

    *out = NULL;
    if (!in)
        return status;
    in->spec = *spec;
    set_scalars(spec, &in->given);
    set_scalars(spec, &in->plain);
    status = make_numbers(x, in, edit, arg);
    if (status == ATT_OK)
        status = ask_oracle(x, in);
    if (status == ATT_NO_MEMORY)
        att_ctx_why(x, "no memory for the inputs");
    if (status == ATT_OK)
        *out = in;
    else
        parity_inputs_drop(in);
    return status;
}

att_status parity_inputs_make(att_ctx *x, const parity_spec *spec, parity_inputs **out)
{
    return parity_inputs_make_edited(x, spec, NULL, NULL, out);
}

att_status parity_profile(att_ctx *x, parity_inputs *in, double u_acc, att_profile **out)
{
    int f = 0;

    while (f < PARITY_PROFILES - 1 && in->profile[f] && in->profile_unit[f] != u_acc)
        f++;
    if (in->profile[f] && in->profile_unit[f] != u_acc) {
        att_profile_drop(in->profile[f]);
        in->profile[f] = NULL;
    }
    in->profile_unit[f] = u_acc;
    *out = in->profile[f];
    if (*out)
        return ATT_OK;
    att_status status = att_profile_make(&in->plain, in->allowed, in->out, in->lse, u_acc,
                                         &in->profile[f], att_ctx_why_buffer(x));
    *out = in->profile[f];
    return status;
}
