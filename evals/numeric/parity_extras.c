/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of a case beside q, k and v: lengths, pages, masks, biases, sinks, slopes, positions.
 * Each lies in its own guarded buffer with exactly the extent that its shape needs. */
#include "evals/numeric/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_far.h"

/* A guarded tensor whose elements the caller fills through att_fp_store or as integers. */
static bool make_tensor(parity_inputs *in, const char *layout, int32_t dtype, int64_t n0,
                        int64_t n1, int64_t n2, int64_t n3, att_tensor *out)
{
    parity_shape s = parity_shape_of(layout, n0, n1, n2, n3);
    void *data = parity_buffer(in, (size_t)s.extent * att_dtype_size(dtype));

    if (data)
        *out = parity_tensor(&s, data, dtype);
    return data != NULL;
}

/* Masks and biases have strides like q's, in layouts that suit any shape. */
static const char *layout_of(const parity_spec *s)
{
    static const char *const own[] = {"padded", "bshd", "reversed", "stepped", "inverted"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (parity_is(s->layout, own[i]))
            return own[i];
    return "bhsd";
}

static bool int_row(parity_inputs *in, const int32_t *from, int64_t n0, int64_t n1, att_tensor *out)
{
    if (!make_tensor(in, "bhsd", ATT_I32, 1, 1, n0, n1, out))
        return false;
    memcpy(out->data, from, (size_t)(n0 * n1) * sizeof *from);
    return true;
}

/* Sequence 0 is whole, sequence 1 empty, the others anything between; a lone one is ragged too. */
static int32_t ragged(att_rng *rng, int64_t b, int64_t batch, int64_t all)
{
    if (b == 0 && batch > 1)
        return (int32_t)all;
    return b == 1 ? 0 : (int32_t)att_rng_below(rng, (uint64_t)all + 1);
}

static bool page_table(parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    int64_t pages = (s->sk + s->page - 1) / s->page, all = s->b * pages;
    int32_t *order = malloc((size_t)(all + 1) * sizeof *order);

    in->table = malloc((size_t)(all + 1) * sizeof *in->table);
    in->pages = pages;
    in->page_step = parity_is_far(s, "kv") ? parity_far_pages(s) : 1;
    if (!order || !in->table) {
        free(order);
        return false;
    }
    for (int64_t page = 0; page <= all; page++)
        order[page] = (int32_t)(page * in->page_step);
    att_rng_shuffle(rng, order, (size_t)all + 1, sizeof *order);
    for (int64_t b = 0; b < s->b; b++) {
        bool shares = b > 0 && parity_shares_pages(s);
        int64_t same = shares ? (int64_t)att_rng_below(rng, (uint64_t)pages + 1) : 0;
        for (int64_t page = 0; page < pages; page++) { /* past the length: to be ignored */
            bool first = page < same && page * s->page < in->nk[0];
            in->table[b * pages + page] =
                page * s->page < in->nk[b] ? order[(first ? 0 : b) * pages + page] : -1;
        }
    }
    free(order);
    return int_row(in, in->table, s->b, pages, &in->given.block_table);
}

static bool running_sum(const int32_t *lengths, int64_t n, int32_t **out)
{
    *out = calloc((size_t)n + 1, sizeof **out);
    for (int64_t b = 0; *out && b < n; b++)
        (*out)[b + 1] = (*out)[b] + lengths[b];
    return *out != NULL;
}

bool parity_lengths(parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    bool keys = !parity_is(s->lens, "none"), queries = parity_is(s->lens, "both");
    bool packed = parity_is(s->store, "packed");
    att_tensor nq, nk;

    in->nq = calloc((size_t)s->b + 1, sizeof *in->nq);
    in->nk = calloc((size_t)s->b + 1, sizeof *in->nk);
    if (!in->nq || !in->nk)
        return false;
    for (int64_t b = 0; b < s->b; b++) {
        in->nk[b] = keys ? ragged(rng, b, s->b, s->sk) : (int32_t)s->sk;
        in->nq[b] = queries ? ragged(rng, b + 1, s->b, s->sq) : (int32_t)s->sq;
    }
    if (!int_row(in, in->nq, 1, s->b, &nq) || !int_row(in, in->nk, 1, s->b, &nk))
        return false;
    in->plain.q_lengths = nq;
    in->plain.kv_lengths = nk;
    if (packed || parity_is(s->store, "page16q")) {
        if (!running_sum(in->nq, s->b, &in->cu_q) ||
            !int_row(in, in->cu_q, 1, s->b + 1, &in->given.cu_q))
            return false;
    } else if (queries) {
        in->given.q_lengths = nq;
    }
    if (packed)
        return running_sum(in->nk, s->b, &in->cu_k) &&
               int_row(in, in->cu_k, 1, s->b + 1, &in->given.cu_k);
    if (keys || s->page > 0)
        in->given.kv_lengths = nk;
    in->given.page_size = s->page;
    return s->page == 0 || page_table(in, rng);
}

/* ------------------------------------------------------------------------ mask and bias */

/* The dimensions of a kind that broadcasts. */
static void extents(const parity_spec *s, const char *kind, int64_t n[4])
{
    int64_t full[4] = {s->b, s->hq, s->sq, s->sk}, rows[4] = {1, 1, s->sq, s->sk};
    int64_t heads[4] = {1, s->hq, s->sq, s->sk}, keys[4] = {s->b, 1, 1, s->sk};
    int64_t column[4] = {1, 1, s->sq, 1}, batch[4] = {s->b, 1, s->sq, s->sk};
    const int64_t *of = full;

    of = parity_is(kind, "rows") || parity_is(kind, "tile") || parity_is(kind, "empty") ||
                 parity_is(kind, "hole")
             ? rows
             : of;
    of = parity_is(kind, "heads") ? heads : of;
    of = parity_is(kind, "keys") ? keys : of;
    of = parity_is(kind, "column") ? column : of;
    of = parity_is(kind, "batch") || parity_is(kind, "lowest") || parity_mask_planted(kind) ? batch
                                                                                            : of;
    memcpy(n, of, sizeof full);
}

static bool make_broadcast(parity_inputs *in, const char *name, int32_t dtype, const int64_t n[4],
                           att_tensor *out)
{
    const parity_spec *s = &in->spec;

    if (!parity_is_far(s, name))
        return make_tensor(in, layout_of(s), dtype, n[0], n[1], n[2], n[3], out);
    parity_shape far = parity_far_shape(s, n[0], n[1], n[2], n[3]);
    return parity_put_far(in, name, &far, dtype, out);
}

static uint8_t mask_value(const parity_spec *s, att_rng *rng, int64_t i, int64_t j)
{
    static const uint8_t yes[3] = {1, 2, 255}; /* nonzero = attend */
    int64_t tile = s->sk > 64 ? 64 : s->sk / 2;
    bool on = att_rng_below(rng, 10) < 7;

    if (parity_is(s->mask, "ones"))
        on = true;
    if (parity_is(s->mask, "tile"))
        on = j >= tile;
    if (parity_is(s->mask, "hole"))
        on = j == 0 || j >= tile;
    if (parity_is(s->mask, "empty"))
        on = on && i % 3 != 1;
    return on ? yes[att_rng_below(rng, 3)] : 0;
}

static bool make_mask(parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    int64_t n[4];
    att_tensor *m = &in->given.mask;

    if (parity_is(s->mask, "none"))
        return true;
    extents(s, s->mask, n);
    if (!make_broadcast(in, "mask", ATT_U8, n, m))
        return false;
    if (parity_mask_planted(s->mask))
        return parity_mask_plant(in, rng, m);
    for (int64_t b = 0; b < n[0]; b++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t i = 0; i < n[2]; i++)
                for (int64_t j = 0; j < n[3]; j++)
                    ((uint8_t *)m->data)[att_tensor_at(m, b, h, i, j)] = mask_value(s, rng, i, j);
    return true;
}

static double bias_value(const parity_spec *s, att_rng *rng, int64_t b, int64_t i)
{
    double x = att_rng_normal(rng);
    uint64_t draw = att_rng_below(rng, 10);

    if (parity_is(s->bias, "inf"))
        return draw < 3 ? -(double)INFINITY : x;
    if (parity_is(s->bias, "lowest")) /* f32's most negative finite value is a number, not a mask */
        return (b + i) % 3 == 0 || draw < 3 ? -0x1.fffffep+127 : x;
    return x;
}

/* Mostly that of q; some kinds in another float type, which the contract allows. */
static int32_t bias_dtype(const parity_spec *s)
{
    const bool narrow = s->dtype == ATT_F16 || s->dtype == ATT_BF16;

    if (parity_is(s->bias, "lowest") || s->dtype == ATT_F64)
        return ATT_F32;
    if (parity_is(s->bias, "batch") || parity_is(s->bias, "rows"))
        return narrow ? ATT_F32 : s->dtype;
    if (parity_is(s->bias, "column"))
        return s->dtype == ATT_F16 ? ATT_BF16 : ATT_F16;
    return s->dtype;
}

static bool make_bias(parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    int64_t n[4];
    att_tensor *t = &in->given.bias;

    if (parity_is(s->bias, "none"))
        return true;
    extents(s, s->bias, n);
    if (!make_broadcast(in, "bias", bias_dtype(s), n, t))
        return false;
    for (int64_t b = 0; b < n[0]; b++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t i = 0; i < n[2]; i++)
                for (int64_t j = 0; j < n[3]; j++)
                    att_fp_store(t->data, t->dtype, att_tensor_at(t, b, h, i, j),
                                 bias_value(s, rng, b, i));
    return true;
}

/* ---------------------------------------------------------------------------- block mask */

/* The kinds: which dimensions are broadcast, and block sizes of which no two are alike. */
static const struct {
    const char *name;
    bool batch, heads, rows; /* has an extent of its own there */
    int64_t block_q, block_k;
} blocks[] = {
    {"full", true, true, true, 16, 16},  {"heads", false, true, true, 1, 16},
    {"rows", false, false, true, 4, 8},  {"batch", true, false, true, 3, 5},
    {"keys", true, false, false, 64, 1},
};

static bool make_blocks(parity_inputs *in, att_rng *rng)
{
    const parity_spec *s = &in->spec;
    att_problem *g = &in->given;
    size_t kind = 0;

    if (parity_is(s->block, "none"))
        return true;
    while (!parity_is(s->block, blocks[kind].name))
        kind++;
    g->block_q = blocks[kind].block_q;
    g->block_k = blocks[kind].block_k;
    int64_t columns = (s->sk + g->block_k - 1) / g->block_k;
    int64_t rows = blocks[kind].rows ? (s->sq + g->block_q - 1) / g->block_q : 1;
    if (!make_tensor(in, layout_of(s), ATT_U8, blocks[kind].batch ? s->b : 1,
                     blocks[kind].heads ? s->hq : 1, rows, columns, &g->block_mask))
        return false;
    const att_tensor *m = &g->block_mask;
    for (int64_t n = 0; n < m->shape[0] * m->shape[1] * rows * columns; n++) {
        int64_t b = n / columns / rows / m->shape[1], h = n / columns / rows % m->shape[1];
        ((uint8_t *)m->data)[att_tensor_at(m, b, h, n / columns % rows, n % columns)] =
            att_rng_below(rng, 10) < 6 ? 1 : 0;
    }
    return true;
}

/* ------------------------------------------------------------------------ a head's numbers */

/* ALiBi slopes (Press, Smith and Lewis 2022): 2^(-8h/n) for a power of two n; else those of the
 * power of two below, then every other one of the power of two above. */
static double slope(int64_t h, int64_t heads)
{
    int64_t below = 1;

    while (2 * below <= heads)
        below *= 2;
    if (h < below)
        return exp2(-8.0 * (double)(h + 1) / (double)below);
    return exp2(-8.0 * (double)(2 * (h - below) + 1) / (double)(2 * below));
}

static double sink(const parity_spec *s, int64_t h)
{
    static const double mixed[3] = {-3, 0, 8};

    if (parity_is(s->sinks, "low"))
        return -3;
    if (parity_is(s->sinks, "zero"))
        return 0;
    return parity_is(s->sinks, "high") ? 8 : mixed[h % 3];
}

static bool make_heads(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    bool sinks = !parity_is(s->sinks, "none"), alibi = !parity_is(s->alibi, "none");

    if (sinks && !make_tensor(in, "bhsd", ATT_F32, 1, 1, 1, s->hq, &in->given.sinks))
        return false;
    if (alibi && !make_tensor(in, "bhsd", ATT_F32, 1, 1, 1, s->hq, &in->given.alibi_slopes))
        return false;
    for (int64_t h = 0; h < s->hq; h++) {
        if (sinks)
            att_fp_store(in->given.sinks.data, ATT_F32, h, sink(s, h));
        if (alibi)
            att_fp_store(in->given.alibi_slopes.data, ATT_F32, h, slope(h, s->hq));
    }
    return true;
}

/* Explicit positions: queries a little off the bottom-right diagonal, neighbouring keys swapped. */
static bool make_positions(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    att_tensor *q = &in->given.q_positions, *k = &in->given.k_positions;

    if (!parity_is(s->causal, "pos"))
        return true;
    if (!make_tensor(in, "bhsd", ATT_I64, 1, 1, s->b, s->sq, q) ||
        !make_tensor(in, "bhsd", ATT_I64, 1, 1, s->b, s->sk, k))
        return false;
    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t i = 0; i < s->sq; i++)
            ((int64_t *)q->data)[b * s->sq + i] = i + in->nk[b] - in->nq[b] + b % 3 - 1;
        for (int64_t j = 0; j < s->sk; j++)
            ((int64_t *)k->data)[b * s->sk + j] = j ^ 1;
    }
    return true;
}

bool parity_extras(parity_inputs *in, att_rng *rng)
{
    att_problem *g = &in->given, *p = &in->plain;

    if (!make_mask(in, rng) || !make_bias(in, rng) || !make_blocks(in, rng) || !make_heads(in) ||
        !make_positions(in))
        return false;
    p->mask = g->mask;
    p->bias = g->bias;
    p->block_mask = g->block_mask;
    p->block_q = g->block_q;
    p->block_k = g->block_k;
    p->sinks = g->sinks;
    p->alibi_slopes = g->alibi_slopes;
    p->q_positions = g->q_positions;
    p->k_positions = g->k_positions;
    return true;
}
