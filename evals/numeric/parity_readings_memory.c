/* SPDX-License-Identifier: Apache-2.0 */
/* Readings that go to the wrong place in memory: past an end, by another stride or page size, by
 * another plan of the work.  What lies outside a buffer is NaN, as the harness fills it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

/* Element `at` of t, counted from its data, wherever that is. */
static double raw(const parity_inputs *in, const att_tensor *t, int64_t at)
{
    const size_t size = att_dtype_size(t->dtype);
    const uintptr_t from = (uintptr_t)t->data + (uintptr_t)(at * (int64_t)size);

    for (size_t g = 0; g < in->guards; g++) {
        const uintptr_t start = (uintptr_t)in->guard[g].data;
        if (from >= start && from + size <= start + in->guard[g].bytes)
            return att_fp_load((const void *)from, t->dtype, 0);
    }
    return (double)NAN;
}

/* Of row j of a sequence's K or V, as far as rows go on past its end. */
static int64_t row_at(const parity_inputs *in, const att_tensor *t, int64_t b, int64_t head,
                      int64_t j)
{
    const bool packed = in->cu_k != NULL;

    return att_tensor_at(t, packed ? 0 : b, head, (packed ? in->cu_k[b] : 0) + j, 0);
}

/* ------------------------------------------------------------------------ keys elsewhere */

typedef int64_t (*key_place)(const parity_inputs *in, const att_tensor *t, int64_t b, int64_t head,
                             int64_t j);

static double *read_rows(const parity_inputs *in, const att_tensor *t, int64_t n, key_place place)
{
    const parity_spec *s = &in->spec;
    const int64_t width = t->shape[3];
    double *to = malloc((size_t)(s->b * s->hkv * n * width + 1) * sizeof *to);

    for (int64_t r = 0; to && r < s->b * s->hkv * n; r++) {
        const int64_t at = place(in, t, r / n / s->hkv, r / n % s->hkv, r % n);
        for (int64_t d = 0; d < width; d++)
            to[r * width + d] = raw(in, t, at + d * t->stride[3]);
    }
    return to;
}

/* K and V of n keys, each where `place` says. */
static bool read_keys(parity_trial *t, int64_t n, key_place place)
{
    const parity_inputs *in = t->in;
    const parity_spec *s = &in->spec;

    t->k = read_rows(in, &in->given.k, n, place);
    t->v = read_rows(in, &in->given.v, n, place);
    if (!t->k || !t->v)
        return false;
    t->p.kv_len = n;
    t->p.k = att_tensor_dense(t->k, ATT_F64, s->b, s->hkv, n, s->d);
    t->p.v = att_tensor_dense(t->v, ATT_F64, s->b, s->hkv, n, s->dv);
    return true;
}

static bool tail_read(parity_trial *t)
{
    const parity_spec *s = &t->in->spec;
    const att_problem *p = &t->in->plain;
    const bool bare = !p->mask.data && !p->bias.data && !p->block_mask.data && !p->causal &&
                      p->window_left < 0 && p->window_right < 0 && parity_is(s->lens, "none");

    if (!bare || s->sk % 32 == 0 || !parity_is(s->store, "dense"))
        return false;
    t->p.kv_lengths = (att_tensor){0};
    return read_keys(t, (s->sk + 31) / 32 * 32, row_at);
}

/* Entry j / 16 of the table, read flat; the null page where there is none. */
static int64_t by_sixteens(const parity_inputs *in, const att_tensor *t, int64_t b, int64_t head,
                           int64_t j)
{
    const int64_t at = b * in->pages + j / 16;
    const int64_t page = at < in->spec.b * in->pages ? in->table[at] : 0;

    return att_tensor_at(t, page >= 0 && page < t->shape[0] ? page : 0, head, j % 16, 0);
}

static bool other_pages(parity_trial *t)
{
    const int64_t page = t->in->spec.page;

    return page > 16 && page % 16 == 0 && read_keys(t, t->in->spec.sk, by_sixteens);
}

/* Key j of all packed sequences in a row. */
static int64_t of_all(const parity_inputs *in, const att_tensor *t, int64_t b, int64_t head,
                      int64_t j)
{
    (void)in;
    (void)b;
    return att_tensor_at(t, 0, head, 0, 0) + j * t->stride[2];
}

static bool merged(parity_trial *t)
{
    const parity_inputs *in = t->in;
    const parity_spec *s = &in->spec;

    if (!in->cu_q || !parity_is(s->mask, "ones") || in->plain.bias.data || s->b < 2 ||
        parity_is(s->causal, "pos") || in->plain.block_mask.data)
        return false;
    const int64_t late = t->p.causal == ATT_CAUSAL_TOP_LEFT ? 0 : in->cu_k[s->b] - in->cu_q[s->b];
    t->positions = calloc((size_t)(s->b * s->sq + 1), sizeof *t->positions);
    if (!t->positions || !read_keys(t, in->cu_k[s->b], of_all))
        return false;
    for (int64_t r = 0; r < s->b * s->sq; r++)
        t->positions[r] = in->cu_q[r / s->sq] + r % s->sq + late;
    t->p.q_positions = att_tensor_dense(t->positions, ATT_I64, 1, 1, s->b, s->sq);
    t->p.causal = t->p.causal ? ATT_CAUSAL_POSITIONS : ATT_CAUSAL_NONE;
    t->p.mask = t->p.kv_lengths = (att_tensor){0};
    return true;
}

/* -------------------------------------------------------------------- rows that turn NaN */

/* Blocks of 32 rows read tiles of 32 keys up to their causal limit, those past the end with weight
 * 0. */
static bool reads_nan(const parity_trial *t, parity_place at)
{
    const parity_inputs *in = t->in;
    const att_tensor *v = &in->given.v;
    const int64_t late =
        t->in->plain.causal == ATT_CAUSAL_BOTTOM_RIGHT ? in->nk[at.b] - in->nq[at.b] : 0;
    const int64_t limit = at.i / 32 * 32 + 32 + late, end = (limit + 31) / 32 * 32;
    const int64_t head = at.h / (in->spec.hq / in->spec.hkv);

    for (int64_t j = in->nk[at.b]; j < end; j++)
        if (!isfinite(raw(in, v, row_at(in, v, at.b, head, j))))
            return true;
    return false;
}

static bool past_the_limit(parity_trial *t)
{
    const att_problem *p = &t->in->plain;
    bool found = false;

    if ((p->causal != ATT_CAUSAL_TOP_LEFT && p->causal != ATT_CAUSAL_BOTTOM_RIGHT) ||
        t->in->table || !parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        parity_place at = parity_place_of(t, r);
        if (at.i >= t->in->nq[at.b] || !reads_nan(t, at))
            continue;
        parity_spoil_row(t, r);
        found = true;
    }
    return found;
}

/* -------------------------------------------------------------------- bias and mask */

static bool bias_by_rows(parity_trial *t)
{
    const parity_spec *s = &t->in->spec;
    const att_tensor *from = &t->in->given.bias;
    const int64_t n = s->sk;

    if (!from->data || from->shape[1] == 1 || s->sq != 1 || s->hkv != 1 ||
        from->stride[1] == from->stride[2] || !parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        const parity_place at = parity_place_of(t, r);
        const int64_t base = (from->shape[0] == 1 ? 0 : at.b * from->stride[0]);
        for (int64_t j = 0; j < n; j++)
            t->bias[r * n + j] = raw(t->in, from,
                                     base + at.h * from->stride[2] +
                                         (from->shape[3] == 1 ? 0 : j) * from->stride[3]);
    }
    return true;
}

static bool mask_along_keys(parity_trial *t)
{
    const parity_inputs *in = t->in;
    const att_tensor *m = &in->given.mask;
    const int64_t n = in->spec.sk, rows = parity_rows(t);

    if (!m->data || m->shape[3] != 1)
        return false;
    t->mask = malloc((size_t)(rows * n) + 1);
    if (!t->mask)
        return false;
    for (int64_t r = 0; r < rows; r++) {
        const parity_place at = parity_place_of(t, r);
        const int64_t from = (m->shape[0] == 1 ? 0 : at.b * m->stride[0]) +
                             (m->shape[1] == 1 ? 0 : at.h * m->stride[1]) +
                             (m->shape[2] == 1 ? 0 : at.i * m->stride[2]);
        for (int64_t j = 0; j < n; j++)
            t->mask[r * n + j] = !(raw(in, m, from + j) == 0); /* outside: attend */
    }
    t->p.mask = att_tensor_dense(t->mask, ATT_U8, in->spec.b, in->spec.hq, in->spec.sq, n);
    return true;
}

/* ---------------------------------------------------------------------- plans of the work */

static void close_past_copied(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)b;
    (void)i;
    parity_close_from(t, row, (t->in->spec.d + 1) / 2 * 16);
}

static bool splits_lost(parity_trial *t)
{
    const parity_spec *s = &t->in->spec;

    return s->sk > (s->d + 1) / 2 * 16 && parity_redraw(t, false, close_past_copied);
}

static int64_t items_of(const parity_inputs *in, int64_t b)
{
    const int64_t page = in->spec.page, pages = (in->nk[b] + page - 1) / page;

    return (pages + 1) / 2;
}

static void close_overwritten(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    const parity_inputs *in = t->in;
    int64_t before = 0, all = 0;

    (void)i;
    for (int64_t c = 0; c < in->spec.b; c++) {
        before += c < b ? items_of(in, c) : 0;
        all += items_of(in, c);
    }
    for (int64_t j = 0; j < in->nk[b]; j++)
        if (before + j / in->spec.page / 2 < all - in->spec.b)
            row[j] = 0;
}

static bool items_overwritten(parity_trial *t)
{
    return t->in->table && t->in->spec.b > 1 && parity_redraw(t, false, close_overwritten);
}

/* Does the tile of n rows that a sequence without keys begins with reach this row of the output, in
 * whichever head it lies? */
static bool overwritten(const parity_trial *t, const parity_shape *out, parity_place at)
{
    const parity_inputs *in = t->in;
    const int64_t own = at.h * out->stride[1] + (in->cu_q[at.b] + at.i) * out->stride[2];

    for (int64_t c = 0; c < in->spec.b; c++)
        for (int64_t x = 0; in->nk[c] == 0 && x < in->spec.hq * t->n; x++) {
            const int64_t row = in->cu_q[c] + x % t->n;
            if (x % t->n < (in->nq[c] + t->n - 1) / t->n * t->n &&
                x / t->n * out->stride[1] + row * out->stride[2] == own)
                return true;
        }
    return false;
}

static void keep_all(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)t, (void)b, (void)i, (void)row;
}

static bool zero_filled(parity_trial *t)
{
    if (!t->in->cu_q || !parity_redraw(t, false, keep_all))
        return false;
    const parity_shape out = parity_query_shape(t->in, t->in->spec.layout, t->in->spec.dv);
    for (int64_t r = 0; r < parity_rows(t); r++) {
        const parity_place at = parity_place_of(t, r);
        if (at.i < t->in->nq[at.b] && overwritten(t, &out, at))
            parity_close_from(t, t->mask + r * t->in->spec.sk, 0);
    }
    return true;
}

static const int64_t row_tiles[] = {8, 16, 32, 64, 128, 0};

const parity_fault parity_memory_faults[] = {
    {"simd_tail_overread", "keys up to a multiple of 32, past the last", tail_read, NULL},
    {"causal_limit_unclamped", "causal tiles of 32 go on past the last key", past_the_limit, NULL},
    {"block_size_confusion", "pages of 16 in a table of larger ones", other_pages, NULL},
    {"mask_overrides_cu", "packed sequences taken as one", merged, NULL},
    {"mqa_fold_bias_stride", "the bias of head h read at row h", bias_by_rows, NULL},
    {"mask_k_dim_1", "a mask of one column read along the keys", mask_along_keys, NULL},
    {"combine_meta_truncated", "splits of 16 keys past Dk / 2 left out", splits_lost, NULL},
    {"planner_tile_mismatch", "work items past one a sequence overwrite earlier ones",
     items_overwritten, NULL},
    {"empty_seq_overwrites", "a sequence without keys fills a tile of # rows with 0", zero_filled,
     row_tiles},
    {0},
};
