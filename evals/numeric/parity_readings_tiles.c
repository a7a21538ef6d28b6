/* SPDX-License-Identifier: Apache-2.0 */
/* Readings that lose, add or double whole runs of keys: tiles that are dropped, left unmasked or
 * merged wrongly.  Tile sizes are not known: all usual ones are tried. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

static const int64_t tiles[] = {4, 8, 16, 32, 64, 128, 256, 512, 0};
static const int64_t row_tiles[] = {2, 4, 8, 16, 32, 64, 128, 0};
static const int64_t ends[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 0};
static const int64_t steps[] = {1, 16, 32, 64, 128, 256, 512, 0};

/* The largest number of keys of a sequence. */
static int64_t most_keys(const parity_inputs *in)
{
    int64_t most = 0;

    for (int64_t b = 0; b < in->spec.b; b++)
        most = in->nk[b] > most ? in->nk[b] : most;
    return most;
}

static bool aligned(const parity_trial *t)
{
    const int32_t causal = t->in->plain.causal;

    return causal == ATT_CAUSAL_TOP_LEFT || causal == ATT_CAUSAL_BOTTOM_RIGHT;
}

/* ------------------------------------------------------------------------------ keys lost */

static void close_tail(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)i;
    parity_close_from(t, row, t->in->nk[b] / t->n * t->n);
}

static bool tail_dropped(parity_trial *t)
{
    return t->n <= most_keys(t->in) && parity_redraw(t, false, close_tail);
}

static void close_beyond(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    (void)b;
    (void)i;
    parity_close_from(t, row, t->n);
}

static bool beyond(parity_trial *t)
{
    return t->n < most_keys(t->in) && parity_redraw(t, false, close_beyond);
}

/* All but the last tile of what the row sees. */
static void close_earlier(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    int64_t last = t->in->nk[b] - 1;

    (void)i;
    while (last >= 0 && !row[last])
        last--;
    for (int64_t j = 0; j < last / t->n * t->n; j++)
        row[j] = 0;
}

static bool earlier_lost(parity_trial *t)
{
    return t->n < most_keys(t->in) && parity_redraw(t, false, close_earlier);
}

/* -------------------------------------------------------------------------- causal limits */

static int64_t limit_of(const parity_trial *t, int64_t b, int64_t i)
{
    const int64_t end = parity_position(t->in, b, i) + 1;

    return end > 0 ? end : 0;
}

static void open_key_tile(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, (limit_of(t, b, i) + t->n - 1) / t->n * t->n);
}

static bool straddling(parity_trial *t)
{
    return aligned(t) && t->n > 4 && parity_redraw(t, true, open_key_tile);
}

static void close_key_tile(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, limit_of(t, b, i) / t->n * t->n);
}

static bool straddling_lost(parity_trial *t)
{
    return aligned(t) && parity_redraw(t, false, close_key_tile);
}

static void open_row_tile(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, parity_position(t->in, b, i) - i + (i / t->n + 1) * t->n);
}

static bool by_row_tiles(parity_trial *t)
{
    return aligned(t) && t->in->spec.sq > 1 && parity_redraw(t, true, open_row_tile);
}

/* The same where causality and a window's right side are one limit. */
static bool with_window(parity_trial *t, bool (*read)(parity_trial *t))
{
    const bool windowed = t->p.window_right >= 0;

    t->p.window_right = -1;
    return windowed && read(t);
}

static bool straddling_window(parity_trial *t)
{
    return with_window(t, straddling);
}

static bool row_tiles_window(parity_trial *t)
{
    return with_window(t, by_row_tiles);
}

static void close_row_tile(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, parity_position(t->in, b, i) - i + i / t->n * t->n + 1);
}

static bool by_first_rows(parity_trial *t)
{
    return aligned(t) && t->in->spec.sq > 1 && parity_redraw(t, false, close_row_tile);
}

static void one_less(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, parity_position(t->in, b, i));
}

static bool strict(parity_trial *t)
{
    return aligned(t) && parity_redraw(t, false, one_less);
}

static void one_more(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    parity_close_from(t, row, parity_position(t->in, b, i) + 2);
}

static bool loose(parity_trial *t)
{
    return aligned(t) && parity_redraw(t, true, one_more);
}

/* --------------------------------------------------------------------- weights of the keys */

/* Adds to the logit of each key that the row sees what `more` says. */
static bool add(parity_trial *t, void (*more)(const parity_trial *t, int64_t row, double *bias))
{
    if (!parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++)
        more(t, r, t->bias + r * t->in->plain.kv_len);
    return true;
}

static void double_first_of_tiles(const parity_trial *t, int64_t row, double *bias)
{
    (void)row;
    for (int64_t j = t->n; j < t->in->plain.kv_len; j += t->n)
        bias[j] += log(2);
}

static bool doubled(parity_trial *t)
{
    return t->n < most_keys(t->in) && add(t, double_first_of_tiles);
}

static void double_ends(const parity_trial *t, int64_t row, double *bias)
{
    const int64_t last = t->in->nk[parity_place_of(t, row).b] - 1;

    if (last >= 0)
        bias[t->n == 1 ? 0 : last] += log(2);
}

static bool end_doubled(parity_trial *t)
{
    return add(t, double_ends);
}

/* Sums over tiles keep the maximum that they were made with. */
static void keep_old_maxima(const parity_trial *t, int64_t row, double *bias)
{
    const int64_t n = t->in->plain.kv_len;
    const uint8_t *seen = t->in->allowed + row * n;
    double *own = malloc((size_t)(n + 1) * sizeof *own), top = -(double)INFINITY;

    for (int64_t j = 0; own && j < n; j++)
        own[j] = seen[j] ? parity_logit(t, row, j) : -(double)INFINITY;
    for (int64_t from = 0; own && from < n; from += t->n) {
        const int64_t end = from + t->n < n ? from + t->n : n;
        for (int64_t j = from; j < end; j++)
            top = fmax(top, own[j]);
        for (int64_t j = from; j < end && isfinite(top); j++)
            bias[j] -= top;
    }
    free(own);
}

static bool not_rescaled(parity_trial *t)
{
    return !t->in->plain.sinks.data && t->n < most_keys(t->in) && add(t, keep_old_maxima);
}

/* Each split's result counts the same. */
static void level_splits(const parity_trial *t, int64_t row, double *bias)
{
    const int64_t n = t->in->plain.kv_len;
    const uint8_t *seen = t->in->allowed + row * n;

    for (int64_t from = 0; from < n; from += t->n) {
        const int64_t end = from + t->n < n ? from + t->n : n;
        double top = -(double)INFINITY, sum = 0;
        for (int64_t j = from; j < end; j++)
            top = seen[j] ? fmax(top, parity_logit(t, row, j)) : top;
        for (int64_t j = from; j < end; j++)
            sum += seen[j] ? exp(parity_logit(t, row, j) - top) : 0;
        for (int64_t j = from; j < end && sum > 0; j++)
            bias[j] -= top + log(sum);
    }
}

static bool averaged(parity_trial *t)
{
    return !t->in->plain.sinks.data && t->n > 1 && t->n < most_keys(t->in) && add(t, level_splits);
}

/* --------------------------------------------------------------------------- denominators */

static float lanes(const parity_trial *t, int64_t h)
{
    const att_tensor *z = &t->in->plain.sinks;
    const int64_t n = (t->n - t->p.kv_len % t->n) % t->n;

    return (float)(z->data ? log(exp(att_fp_load(z->data, z->dtype, h)) + (double)n)
                           : log((double)n));
}

/* n pad lanes of score 0 are a sink of logit ln n, or add to the one there is. */
static bool pad_lanes(parity_trial *t)
{
    return t->p.kv_len % t->n && parity_heads_as(t, lanes, &t->p.sinks);
}

static float again_sunk(const parity_trial *t, int64_t h)
{
    const att_tensor *z = &t->in->plain.sinks;

    return (float)(att_fp_load(z->data, z->dtype, h) + log((double)t->n));
}

/* Every one of n splits brings the sink along. */
static bool sinks_again(parity_trial *t)
{
    return t->in->plain.sinks.data && parity_heads_as(t, again_sunk, &t->p.sinks);
}

static const int64_t times[] = {2, 3, 4, 5, 8, 16, 0};
static const int64_t first_and_last[] = {1, 2, 0};

const parity_fault parity_tile_faults[] = {
    {"straddling_tile_unmasked", "causal limit rounded up to a tile of # keys", straddling, tiles},
    {"straddling_tile_lost", "causal limit rounded down to a tile of # keys", straddling_lost,
     tiles},
    {"straddling_tile_unmasked", "limit to the right rounded up to a tile of # keys",
     straddling_window, tiles},
    {"causal_by_row_tiles", "limit to the right of the last of # rows", row_tiles_window,
     row_tiles},
    {"causal_by_row_tiles", "causal limit of the last of # rows", by_row_tiles, row_tiles},
    {"causal_by_first_rows", "causal limit of the first of # rows", by_first_rows, row_tiles},
    {"causal_strict", "the query's own key left out", strict, NULL},
    {"causal_one_more", "one key after the query's own", loose, NULL},
    {"tail_tile_dropped", "keys behind the last whole tile of # left out", tail_dropped, tiles},
    {"keys_beyond_dropped", "keys from # on left out", beyond, ends},
    {"earlier_tiles_lost", "only the last tile of # keys counts", earlier_lost, tiles},
    {"rescale_missing", "tiles of # keys keep the maximum they were summed with", not_rescaled,
     steps},
    {"splits_not_weighted", "splits of # keys all count the same", averaged, steps},
    {"tile_overlap", "the first key of each tile of # but the first counted twice", doubled, tiles},
    {"key_counted_twice", "the first (1) or last (2) key counted twice: #", end_doubled,
     first_and_last},
    {"pad_lanes_in_denominator", "pad lanes of a tile of # in the denominator", pad_lanes, tiles},
    {"sinks_counted_again", "the sink counted # times", sinks_again, times},
    {0},
};
