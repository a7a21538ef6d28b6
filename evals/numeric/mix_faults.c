/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary of mix: which known bug or foreign convention explains a wrong result?
 *
 * Each row reads the contract otherwise; the result is judged against that reading by the same
 * error analysis.  Where it holds, the fault explains the result; its ratio is the larger of |e| /
 * (6 sigma) and |e| / bound.  O(faults) walks, so only the first failing cases of a kernel are
 * looked into. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/mix.h"

#define MOST_CASES 12 /* a kernel and worker */

#define OF(kind) (1u << ATT_MIX_##kind)
#define ALL      31u
#define GATES    (OF(GATED) | OF(NSA) | OF(MEMORY))
#define CHOOSERS (OF(NSA) | OF(MEMORY))

static const struct {
    const char *name, *text;
    unsigned of;
    mix_reading reading;
} faults[] = {
    {"scale_missing", "the default scale is left out", ALL, {.scale_missing = true}},
    {"heads_tiled", "query heads read kv head h % Hkv", ALL, {.heads_tiled = true}},
    {"causal_top_left", "positions counted from the first query", ALL, {.top_left = true}},
    {"last_key_dropped", "the last key is not read", ALL, {.last_key_dropped = true}},
    {"lambda_missing",
     "the second map is subtracted whole",
     OF(DIFFERENTIAL),
     {.lambda_missing = true}},
    {"second_map_missing", "nothing is subtracted", OF(DIFFERENTIAL), {.second_missing = true}},
    {"lambda_added", "the second map is added", OF(DIFFERENTIAL), {.added = true}},
    {"halves_swapped",
     "the first map is subtracted from the second",
     OF(DIFFERENTIAL),
     {.halves_swapped = true}},
    {"halves_interleaved",
     "even and odd dimensions, not the first half and the second",
     OF(DIFFERENTIAL),
     {.interleaved = true}},
    {"whole_width_scale",
     "the scale is that of the whole width",
     OF(DIFFERENTIAL),
     {.whole_scale = true}},
    {"first_keys_twice",
     "both maps read the first half of the keys",
     OF(DIFFERENTIAL),
     {.first_keys_twice = true}},
    {"first_queries_twice",
     "both maps read the first half of the queries",
     OF(DIFFERENTIAL),
     {.first_queries_twice = true}},
    {"of_kv_head", "lambda, gate or decay of head h / group", ALL, {.per_kv_head = true}},
    {"of_first_head", "lambda, gate or decay of the first head", ALL, {.per_first_head = true}},
    {"of_first_sequence",
     "gates or decays of the first sequence",
     GATES | OF(FORGETTING),
     {.per_first_sequence = true}},
    {"gate_missing", "no gate", GATES, {.gate_missing = true}},
    {"gate_of_first_row", "every row has the first row's gate", GATES, {.gate_of_first_row = true}},
    {"gate_of_first_column",
     "the first gate stands for all",
     OF(GATED) | OF(NSA),
     {.gate_first_column = true}},
    {"gate_not_sigmoid", "the gate is multiplied as it is given", OF(GATED), {.gate_raw = true}},
    {"gate_sigmoid_twice", "a sigmoid more than there is", GATES, {.gate_sigmoid = true}},
    {"gate_silu", "gate times sigmoid", GATES, {.gate_silu = true}},
    {"gates_permuted", "the gates of the branches turned by one", OF(NSA), {.gates_turned = 1}},
    {"gates_permuted", "the gates of the branches turned by two", OF(NSA), {.gates_turned = 2}},
    {"gates_permuted", "the gates of the branches reversed", OF(NSA), {.gates_reversed = true}},
    {"gate_complemented", "the gate weighs the near keys", OF(MEMORY), {.complement = true}},
    {"decay_missing", "nothing is forgotten", OF(FORGETTING), {.decay_missing = true}},
    {"decay_negated",
     "what should be forgotten is raised",
     OF(FORGETTING),
     {.decay_negated = true}},
    {"decay_of_key_too",
     "the sum of decays includes the key's own",
     OF(FORGETTING),
     {.decays_from = -1}},
    {"decay_without_query",
     "the sum of decays lacks the query's own",
     OF(FORGETTING),
     {.decays_to = -1}},
    {"decay_shifted",
     "the sum of decays is one token early",
     OF(FORGETTING),
     {.decays_from = -1, .decays_to = -1}},
    {"decay_shifted",
     "the sum of decays is one token late",
     OF(FORGETTING),
     {.decays_from = 1, .decays_to = 1}},
    {"decay_base_2", "decays are taken to the base 2", OF(FORGETTING), {.decay_base_2 = true}},
    {"decay_scaled", "decays are scaled with the scores", OF(FORGETTING), {.decay_scaled = true}},
    {"decay_by_row",
     "decays up to the row's number, not its position",
     OF(FORGETTING),
     {.decay_by_row = true}},
    {"window_off_by_one", "the window has one key too many", CHOOSERS, {.window_more = 1}},
    {"window_off_by_one", "the window lacks a key", CHOOSERS, {.window_more = -1}},
    {"keep_off_by_one", "one too many is chosen", CHOOSERS, {.keep_more = 1}},
    {"keep_off_by_one", "one too few is chosen", CHOOSERS, {.keep_more = -1}},
    {"worst_chosen", "the smallest scores are chosen", CHOOSERS, {.worst_chosen = true}},
    {"own_block_missing", "the query's own block is not forced", OF(NSA), {.own_missing = true}},
    {"first_block_missing", "the first block is not forced", OF(NSA), {.first_missing = true}},
    {"local_block_missing",
     "the block before the query's is not forced",
     OF(NSA),
     {.local_missing = true}},
    {"first_block_missing",
     "neither the first block nor the one before the query's is forced",
     OF(NSA),
     {.first_missing = true, .local_missing = true}},
    {"own_block_missing",
     "no block is forced",
     OF(NSA),
     {.own_missing = true, .first_missing = true, .local_missing = true}},
    {"chosen_by_head", "each query head chooses its own blocks", OF(NSA), {.chosen_by_head = true}},
    {"chosen_by_first_head",
     "the first query head of a group chooses",
     OF(NSA),
     {.chosen_by_first_head = true}},
    {"sums_not_means", "compressed keys and values are sums", OF(NSA), {.sums_not_means = true}},
    {"open_block_compressed",
     "a block is compressed before it has ended",
     OF(NSA),
     {.open_block = true}},
    {"selected_future",
     "keys after the query in a selected block",
     OF(NSA),
     {.selected_future = true}},
    {"joint_softmax", "far and near keys share one softmax", OF(MEMORY), {.joint = true}},
    {"far_overlaps_near", "keys of the window are chosen again", OF(MEMORY), {.overlaps = true}},
    {"far_all", "every far key is attended to", OF(MEMORY), {.far_all = true}},
};

/* NaN: does not hold. */
static double explains(const mix_inputs *in, const att_tensor *got, const att_units *units,
                       const mix_reading *reading)
{
    mix_answer a;
    mix_error e;
    double ratio = (double)NAN;

    if (mix_walk(&in->spec, &in->numbers, reading, units, &a) != ATT_OK)
        return ratio;
    mix_judge(&a, &in->spec, got, units, &e);
    ratio = fmax(e.sigma_ratio / 6, e.bound_ratio);
    mix_answer_drop(&a);
    return e.nonfinite || !e.elements || !(ratio <= 1) ? (double)NAN : ratio;
}

static bool unwritten(const mix_inputs *in, const att_tensor *got)
{
    const mix_spec *s = &in->spec;
    const size_t size = att_dtype_size(got->dtype);

    for (int64_t at = 0; at < s->b * s->hq * s->sq * s->dv; at++) {
        const int64_t row = at / s->dv;
        bool same = row % s->sq < in->numbers.nq[row / s->sq / s->hq];
        for (size_t n = 0; n < size; n++)
            same &= ((const unsigned char *)got->data)[(size_t)at * size + n] == 0xff;
        if (same)
            return true;
    }
    return false;
}

static att_status make_count(att_ctx *x, void *arg, void **out)
{
    (void)x;
    (void)arg;
    *out = calloc(1, sizeof(int));
    return *out ? ATT_OK : ATT_NO_MEMORY;
}

void mix_diagnose(att_ctx *x, const mix_inputs *in, const att_tensor *got, const att_units *units,
                  const mix_error *e)
{
    void *count = NULL;
    char text[240];

    snprintf(text, sizeof text, "run:mix looked at %s", att_ctx_kernel(x)->name);
    if (att_ctx_shared(x, text, make_count, NULL, free, &count) != ATT_OK ||
        (*(int *)count)++ >= MOST_CASES)
        return;
    if (unwritten(in, got))
        att_ctx_diagnose(x, "rows_not_written", 0, "some of the output was never written");
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        if (!(faults[f].of >> in->spec.kind & 1u))
            continue;
        const double ratio = explains(in, got, units, &faults[f].reading);
        if (!isnan(ratio))
            att_ctx_diagnose(x, faults[f].name, ratio, faults[f].text);
    }
    snprintf(text, sizeof text,
             "out b=%lld h=%lld i=%lld d=%lld: got %.9g, want %.9g +- %.3g, ratio %.3g",
             (long long)e->at[0], (long long)e->at[1], (long long)e->at[2], (long long)e->at[3],
             e->got, e->want, e->allowed, e->ratio);
    att_ctx_diagnose(x, "first_bad", e->ratio, text); /* last: causes come first */
}
