/* SPDX-License-Identifier: Apache-2.0 */
/* How a case looks to whoever has a known bug or another convention: the same inputs, stated as a
 * problem that the oracle can answer.  Names are those of the zoo where it re-enacts the bug. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

static bool is(const parity_inputs *in, att_causal causal)
{
    return in->plain.causal == (int32_t)causal;
}

/* ------------------------------------------------------------------ readings by fields */

static bool top_left(parity_trial *t)
{
    t->p.causal = ATT_CAUSAL_TOP_LEFT;
    return is(t->in, ATT_CAUSAL_BOTTOM_RIGHT);
}

static bool bottom_right(parity_trial *t)
{
    t->p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    return is(t->in, ATT_CAUSAL_TOP_LEFT);
}

static bool not_causal(parity_trial *t)
{
    t->p.causal = ATT_CAUSAL_NONE;
    return !is(t->in, ATT_CAUSAL_NONE);
}

static bool key_fewer(parity_trial *t)
{
    return t->p.window_left-- > 0;
}

static bool key_more(parity_trial *t)
{
    return t->p.window_left++ >= 0;
}

static bool right_fewer(parity_trial *t)
{
    return t->p.window_right-- > 0;
}

static bool zero_is_off(parity_trial *t)
{
    bool zero = t->p.window_left == 0;

    t->p.window_left = -1;
    return zero;
}

static bool no_future(parity_trial *t) /* a right window of 0 */
{
    bool open = t->p.window_left < 0 && t->p.window_right < 0 && is(t->in, ATT_CAUSAL_NONE);

    t->p.window_right = 0;
    return open;
}

static bool no_window(parity_trial *t)
{
    bool windowed = t->p.window_left >= 0 || t->p.window_right >= 0;

    t->p.window_left = t->p.window_right = -1;
    return windowed;
}

static bool no_scale(parity_trial *t)
{
    t->p.scale = 1;
    return true;
}

static bool twice_scaled(parity_trial *t)
{
    t->p.scale = att_scale(&t->p) * att_scale(&t->p);
    return true;
}

static bool latent_scale(parity_trial *t)
{
    bool given = !isnan(t->p.scale), absorbed = parity_is(t->in->spec.layout, "shared");

    t->p.scale = (double)NAN;
    return given && absorbed;
}

static bool no_cap(parity_trial *t)
{
    bool capped = t->p.softcap > 0;

    t->p.softcap = 0;
    return capped;
}

static bool without(att_tensor *tensor)
{
    bool given = tensor->data != NULL;

    *tensor = (att_tensor){0};
    return given;
}

static bool no_sinks(parity_trial *t)
{
    return without(&t->p.sinks);
}

static bool no_mask(parity_trial *t)
{
    return without(&t->p.mask);
}

static bool no_bias(parity_trial *t)
{
    return without(&t->p.bias);
}

static bool no_alibi(parity_trial *t)
{
    return without(&t->p.alibi_slopes);
}

/* -------------------------------------------------------------------- readings by heads */

bool parity_heads_as(parity_trial *t, float (*of)(const parity_trial *t, int64_t h), att_tensor *to)
{
    for (int64_t h = 0; h < t->p.heads_q; h++)
        t->heads[h] = of(t, h);
    *to = att_tensor_dense(t->heads, ATT_F32, 1, 1, 1, t->p.heads_q);
    return true;
}

static float geometric(const parity_trial *t, int64_t h)
{
    return exp2f(-8.0f * (float)(h + 1) / (float)t->p.heads_q);
}

static bool slopes_geometric(parity_trial *t)
{
    return t->p.alibi_slopes.data && parity_heads_as(t, geometric, &t->p.alibi_slopes);
}

/* K and V with a head for each query head, chosen by `of`. */
static bool regroup(parity_trial *t, int64_t (*of)(const att_problem *p, int64_t h))
{
    const att_problem *from = &t->in->plain;
    int64_t hq = from->heads_q, n = from->kv_len, dk = from->head_dim, dv = from->value_dim;

    if (from->heads_kv == hq || from->heads_kv < 1)
        return false;
    t->k = malloc((size_t)(from->batch * hq * n * dk + 1) * sizeof *t->k);
    t->v = malloc((size_t)(from->batch * hq * n * dv + 1) * sizeof *t->v);
    if (!t->k || !t->v)
        return false;
    for (int64_t r = 0; r < from->batch * hq; r++) {
        int64_t row = r / hq * from->heads_kv + of(from, r % hq);
        memcpy(t->k + r * n * dk, t->in->k + row * n * dk, (size_t)(n * dk) * sizeof *t->k);
        memcpy(t->v + r * n * dv, t->in->v + row * n * dv, (size_t)(n * dv) * sizeof *t->v);
    }
    t->p.heads_kv = hq;
    t->p.k = att_tensor_dense(t->k, ATT_F64, from->batch, hq, n, dk);
    t->p.v = att_tensor_dense(t->v, ATT_F64, from->batch, hq, n, dv);
    return true;
}

static int64_t tiled(const att_problem *p, int64_t h)
{
    return h % p->heads_kv;
}

static int64_t by_fours(const att_problem *p, int64_t h)
{
    int64_t group = p->heads_q / p->heads_kv;

    return (group > 2 ? h - h % 4 : h) / group;
}

static bool heads_tiled(parity_trial *t)
{
    return t->in->plain.heads_kv > 1 && regroup(t, tiled);
}

static bool heads_by_fours(parity_trial *t)
{
    return regroup(t, by_fours);
}

/* ---------------------------------------------------------------- readings of the mask */

static bool mask_by_batch(parity_trial *t)
{
    att_tensor *m = &t->p.mask;

    if (!m->data || m->shape[1] == 1)
        return false;
    /* head b % Hm of batch b, as one stride over batches */
    int64_t size[4] = {t->p.batch, 1, m->shape[2], m->shape[3]};
    if (m->shape[0] > 1 && t->p.batch > m->shape[1])
        return false;
    m->stride[0] = (m->shape[0] > 1 ? m->stride[0] : 0) + m->stride[1];
    memcpy(m->shape, size, sizeof size);
    return t->p.batch <= t->p.heads_q;
}

bool parity_redraw(parity_trial *t, bool free_of_causality,
                   void (*edit)(const parity_trial *t, int64_t b, int64_t i, uint8_t *row))
{
    const att_problem *from = &t->in->plain;
    int64_t rows = from->batch * from->heads_q * from->q_len, n = from->kv_len;
    const att_variant *oracle = att_ctx_find(t->x, "reference_f64");

    t->mask = malloc((size_t)(rows * n) + 1);
    t->positions = malloc((size_t)(from->batch * from->q_len + 1) * sizeof *t->positions);
    if (!t->mask || !t->positions || !oracle)
        return false;
    for (int64_t r = 0; r < from->batch * from->q_len; r++)
        t->positions[r] = parity_position(t->in, r / from->q_len, r % from->q_len);
    t->p.q_positions = att_tensor_dense(t->positions, ATT_I64, 1, 1, from->batch, from->q_len);
    t->p.causal = ATT_CAUSAL_NONE;
    memcpy(t->mask, t->in->allowed, (size_t)(rows * n));
    if (free_of_causality &&
        att_ctx_call(t->x, &oracle->part[0], ATT_OP_SELECT, &t->p, t->mask) != ATT_OK)
        return false;
    for (int64_t r = 0; r < rows; r++) {
        int64_t b = r / (from->heads_q * from->q_len), i = r % from->q_len;
        if (i < t->in->nq[b])
            edit(t, b, i, t->mask + r * n);
    }
    t->p.mask = att_tensor_dense(t->mask, ATT_U8, from->batch, from->heads_q, from->q_len, n);
    t->p.window_left = t->p.window_right = -1;
    return true;
}

void parity_close_from(const parity_trial *t, uint8_t *row, int64_t end)
{
    for (int64_t j = end > 0 ? end : 0; j < t->p.kv_len; j++)
        row[j] = 0;
}

static void drop_last(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)i;
    parity_close_from(t, row, t->in->nk[b] - 1);
}

static void drop_first(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)b;
    (void)i;
    if (t->p.kv_len > 0)
        row[0] = 0;
}

static void drop_last_sequence(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)i;
    if (b == t->p.batch - 1)
        parity_close_from(t, row, 0);
}

static void open_fours(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, (parity_position(t->in, b, i) | 3) + 1);
}

static void invert(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    for (int64_t j = 0; j < t->p.kv_len; j++)
        row[j] = j < t->in->nk[b] && !row[j];
    (void)i;
}

static bool aligned(const parity_trial *t)
{
    return is(t->in, ATT_CAUSAL_TOP_LEFT) || is(t->in, ATT_CAUSAL_BOTTOM_RIGHT);
}

static bool last_key(parity_trial *t)
{
    return parity_redraw(t, false, drop_last);
}

static bool first_key(parity_trial *t)
{
    return parity_redraw(t, false, drop_first);
}

static bool last_sequence(parity_trial *t)
{
    return t->in->cu_k && parity_redraw(t, false, drop_last_sequence);
}

static bool fours(parity_trial *t)
{
    return aligned(t) && parity_redraw(t, true, open_fours);
}

static bool fours_window(parity_trial *t)
{
    const bool windowed = t->p.window_right >= 0;

    t->p.window_right = -1;
    return windowed && fours(t);
}

static bool mask_inverted(parity_trial *t)
{
    return t->p.mask.data && is(t->in, ATT_CAUSAL_NONE) && t->p.window_left < 0 &&
           t->p.window_right < 0 && !t->p.bias.data && parity_redraw(t, false, invert);
}

/* ---------------------------------------------------------------------- the dictionary */

const parity_fault parity_faults[] = {
    {"causal_top_left", "mask anchored top-left although bottom-right is asked for", top_left,
     NULL},
    {"causal_bottom_right", "mask anchored bottom-right although top-left is asked for",
     bottom_right, NULL},
    {"causal_needs_mask", "no causality", not_causal, NULL},
    {"causal_per_4_rows", "causal limit of the last of four rows", fours, NULL},
    {"causal_per_4_rows", "limit to the right of the last of four rows", fours_window, NULL},
    {"window_off_by_one", "one key fewer to the left", key_fewer, NULL},
    {"window_one_more", "one key more to the left", key_more, NULL},
    {"window_right_off_by_one", "one key fewer to the right", right_fewer, NULL},
    {"zero_window", "a left window of 0 taken as none", zero_is_off, NULL},
    {"window_becomes_causal", "no keys after the query although nothing forbids them", no_future,
     NULL},
    {"window_ignored", "no window", no_window, NULL},
    {"scale_missing", "logits not scaled", no_scale, NULL},
    {"scale_twice", "logits scaled twice", twice_scaled, NULL},
    {"mla_latent_scale", "scaled by the width of absorbed keys, not as asked", latent_scale, NULL},
    {"softcap_ignored", "no softcap", no_cap, NULL},
    {"sinks_ignored", "no sinks", no_sinks, NULL},
    {"mask_ignored", "no mask", no_mask, NULL},
    {"mask_inverted", "nonzero of the mask taken as forbidden", mask_inverted, NULL},
    {"mask_head_dim_ignored", "mask of another head", mask_by_batch, NULL},
    {"bias_ignored", "no bias", no_bias, NULL},
    {"alibi_ignored", "no ALiBi", no_alibi, NULL},
    {"alibi_nonpow2", "ALiBi slopes as for a power of two of heads", slopes_geometric, NULL},
    {"gqa_tile_order", "key/value heads tiled instead of grouped", heads_tiled, NULL},
    {"gqa_pad_crosses_kv", "tiles of four query heads read one key/value head", heads_by_fours,
     NULL},
    {"last_seq_lane", "the last packed sequence has no keys", last_sequence, NULL},
    {"last_key_dropped", "the last key left out", last_key, NULL},
    {"first_key_dropped", "the first key left out", first_key, NULL},
    {"block_level_causal", "causality by blocks: a query's own block in full",
     parity_read_block_causal, NULL},
    {"block_level_causal", "limit to the right by blocks: a query's own block in full",
     parity_read_block_window, NULL},
    {"block_mask_head_broadcast", "a block mask shared by heads left out",
     parity_read_shared_blocks_off, NULL},
    {"block_mask_ignored", "no block mask", parity_read_blocks_off, NULL},
    {"alibi_half_offset", "no slope for the heads after the largest power of two",
     parity_read_slopes_cut, NULL},
    {0},
};
