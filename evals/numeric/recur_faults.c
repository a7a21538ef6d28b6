/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary of recur: which known bug or foreign convention explains a wrong result?
 *
 * Each row reads the recurrence otherwise; the result is judged against that reading by the same
 * error analysis.  Where it holds, the fault explains the result; its ratio is the largest of
 * |e| / (6 sigma) and |e| / bound.  What no reading states is found by its marks.  O(faults)
 * recurrences, so only the first failing cases of a kernel are looked into. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/recur.h"

#define MOST_CASES 12 /* a kernel and worker */

typedef enum need { ANY = 0, DECAY, GATES, DELTA, GATED_DELTA, NORM } need;

static const struct {
    const char *name, *text;
    need of;
    recur_reading reading;
} faults[] = {
    {"decay_missing", "the state does not decay", DECAY, {.decay_missing = true}},
    {"decay_late", "the decay comes one token late", DECAY, {.decay_late = true}},
    {"decay_base_2", "decays are taken to the base 2", GATES, {.decay_base_2 = true}},
    {"decay_by_query_head",
     "the decay is that of the query head's number",
     DECAY,
     {.decay_by_query_head = true}},
    {"block_end_decay",
     "a block's state is aged to tokens 57 .. 63 of 64, not to its end",
     DECAY,
     {.block = 64}},
    {"partial_last_chunk",
     "a partial chunk takes in what lies past the end of its call",
     ANY,
     {.chunk = 16}},
    {"partial_last_chunk",
     "a partial chunk takes in what lies past the end of its call",
     ANY,
     {.chunk = 32}},
    {"partial_last_chunk",
     "a partial chunk takes in what lies past the end of its call",
     ANY,
     {.chunk = 64}},
    {"delta_reads_undecayed",
     "the delta reads the state before its decay",
     GATED_DELTA,
     {.delta_reads_undecayed = true}},
    {"beta_missing", "every token is written with strength 1", DELTA, {.beta_missing = true}},
    {"read_before_write",
     "the output is read before the token is written",
     ANY,
     {.read_before_write = true}},
    {"norm_missing", "the output is not divided by the normaliser", NORM, {.norm_missing = true}},
    {"recurrent_missing_norm",
     "short calls leave out the normaliser",
     NORM,
     {.norm_missing_upto = 16}},
    {"normaliser_axis",
     "the normaliser sums over heads, not over tokens",
     NORM,
     {.norm_over_heads = true}},
    {"norm_of_keys_only",
     "the feature map is left out on queries",
     NORM,
     {.norm_of_keys_only = true}},
    {"state_forgotten", "the state given is not read", ANY, {.state_forgotten = true}},
    {"scale_missing",
     "the default scale is left out, or put in where there is none",
     ANY,
     {.scale_missing = true}},
    {"heads_tiled", "query heads read state head h % Hkv", ANY, {.heads_tiled = true}},
};

static bool has(const recur_spec *s, need of)
{
    switch (of) {
    case DECAY:
        return recur_gated(s->rule) || s->rule == ATT_RULE_RETENTION;
    case GATES:
        return recur_gated(s->rule);
    case DELTA:
        return recur_delta(s->rule);
    case GATED_DELTA:
        return s->rule == ATT_RULE_GATED_DELTA;
    case NORM:
        return recur_normed(s->rule);
    default:
        return true;
    }
}

/* What was got, and what would be right. */
typedef struct look {
    const recur_inputs *in;
    const att_tensor *out, *state, *z;
    const att_units *units;
    recur_numbers past; /* what lies in memory after the last token; only its k, v, g and beta */
} look;

/* An element of an input as a kernel finds it, past its end too; NaN where nothing is known. */
static double found(const recur_inputs *in, const att_tensor *t, int64_t b, int64_t h, int64_t i,
                    int64_t c)
{
    const size_t size = t->data ? att_dtype_size(t->dtype) : 0;
    const int64_t at = t->data ? att_tensor_at(t, b, h, i, c < t->shape[3] ? c : 0) : 0;
    const uintptr_t place = (uintptr_t)t->data + (uintptr_t)(at * (int64_t)size);

    for (size_t g = 0; size && g < in->guards; g++) {
        const uintptr_t start = (uintptr_t)in->guard[g].data;
        if ((uintptr_t)t->data >= start && (uintptr_t)t->data <= start + in->guard[g].bytes &&
            place >= start && place + size <= start + in->guard[g].bytes)
            return att_fp_load(t->data, t->dtype, at);
    }
    return (double)NAN;
}

static void find_rows(const recur_inputs *in, const att_tensor *t, int64_t wide, double *to)
{
    const recur_spec *s = &in->spec;

    for (int64_t n = 0; n < s->b * s->hkv * RECUR_AHEAD * wide; n++) {
        const int64_t row = n / wide, head = row / RECUR_AHEAD;
        to[n] = found(in, t, head / s->hkv, head % s->hkv, s->t + row % RECUR_AHEAD, n % wide);
    }
}

static bool look_past(look *l)
{
    const recur_inputs *in = l->in;
    const recur_spec *s = &in->spec;
    const int64_t rows = s->b * s->hkv * RECUR_AHEAD;
    double *room = calloc((size_t)(rows * (2 * s->d + s->dv + 1)) + 1, sizeof *room);

    l->past = (recur_numbers){.k = room};
    if (!room)
        return false;
    l->past.g = l->past.k + rows * s->d;
    l->past.v = l->past.g + rows * s->d;
    l->past.beta = l->past.v + rows * s->dv;
    find_rows(in, &in->given.k, s->d, l->past.k);
    find_rows(in, &in->given.v, s->dv, l->past.v);
    find_rows(in, &in->section.g, s->d, l->past.g);
    find_rows(in, &in->section.beta, 1, l->past.beta);
    return true;
}

static double ratio_of(const recur_error *e)
{
    double r = fmax(fmax(e->sigma_ratio, e->state_sigma_ratio) / 6,
                    fmax(e->bound_ratio, e->state_bound_ratio));
    return e->nonfinite || e->bad.what || !(r <= 1) ? (double)NAN : r;
}

/* NaN: does not hold. */
static double explains(const look *l, recur_reading reading)
{
    const recur_spec *s = &l->in->spec;
    recur_answer a;
    recur_error e;
    double ratio = (double)NAN;

    if (recur_answer_make(s, &a) != ATT_OK)
        return ratio;
    reading.past = &l->past;
    if (recur_walk(s, &l->in->numbers, &reading, &a) == ATT_OK) {
        recur_judge(s, &a, l->out, l->state, l->z, l->units, &e);
        ratio = ratio_of(&e);
    }
    recur_answer_drop(&a);
    return ratio;
}

/* Log decays of token t since its block of the call began, of the channel that fades most. */
static double log_since_block(const recur_inputs *in, int64_t head, int64_t t, int64_t block)
{
    const recur_spec *s = &in->spec;
    int64_t first = 0, n;
    double least = 0;

    while (first + (n = recur_call_length(s, first)) <= t)
        first += n;
    for (int64_t c = 0; c < s->d; c++) {
        double sum = 0;
        for (int64_t i = t; i >= t - (t - first) % block; i--)
            sum += in->numbers.g[(head * s->t + i) * s->d + c];
        least = fmin(least, sum);
    }
    return least;
}

/* Is some element of token t of a row not a number where it should be one? */
static bool lost_at(const look *l, int64_t row, int64_t t)
{
    const recur_spec *s = &l->in->spec;
    const int64_t at = (row * s->t + t) * s->dv;

    for (int64_t d = 0; d < s->dv; d++)
        if (isfinite(l->in->answer.out.x[at + d]) &&
            isnan(att_fp_load(l->out->data, l->out->dtype, at + d)))
            return true;
    return false;
}

static bool lost_at_once(const look *l)
{
    const recur_spec *s = &l->in->spec;

    for (int64_t row = 0; row < s->b * s->hq && s->t > 0; row++)
        if (lost_at(l, row, 0))
            return true;
    return false;
}

/* Do outputs turn to NaN with exp(-G), G the log decays since a block began: not where that is
 * finite, and surely where exp(G) is 0? */
static bool overflows(const look *l, int64_t block)
{
    const recur_spec *s = &l->in->spec;
    const double most = 88, none = -105; /* ln of f32's largest, and of its least */
    bool any = false;

    for (int64_t row = 0; row < s->b * s->hq; row++)
        for (int64_t t = 0, lost = 0; t < s->t && !lost; t++) {
            const double log = log_since_block(l->in, row / (s->hq / s->hkv), t, block);
            lost = lost_at(l, row, t);
            if (lost ? log > -most : log < none)
                return false;
            any |= lost != 0;
        }
    return any;
}

static bool decay_is_split(const look *l)
{
    static const int64_t blocks[] = {64, 32, 16, 128, 256};
    const recur_spec *s = &l->in->spec;
    bool lost = false;

    for (int64_t i = 0; i < s->b * s->hq * s->t && recur_gated(s->rule) && !lost; i++)
        lost = lost_at(l, i / s->t, i % s->t);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && lost; i++)
        if (overflows(l, blocks[i]))
            return true;
    return false;
}

static void marks(att_ctx *x, const look *l)
{
    const recur_spec *s = &l->in->spec;

    if (l->state->data && recur_unwritten(l->state) == l->in->answer.s.n && l->in->answer.s.n)
        att_ctx_diagnose(x, "state_never_written", 0, "no state was written");
    else if (recur_unwritten(l->out) > 0)
        att_ctx_diagnose(x, "rows_not_written", 0, "some of the output was never written");
    else if (recur_unwritten(l->state) > 0 || recur_unwritten(l->z) > 0)
        att_ctx_diagnose(x, "state_part_written", 0, "some of the state was never written");
    if (recur_unwritten(l->out) == 0 && decay_is_split(l))
        att_ctx_diagnose(x, "chunk_decay_split", 0,
                         "NaN where exp of the log decays overflows in a chunk");
    else if (!s->starts && recur_call_length(s, 0) == 1 && lost_at_once(l))
        att_ctx_diagnose(x, "no_threads_no_cache", 0,
                         "NaN where the first call has one token and no state");
}

typedef struct looked {
    int cases;
} looked;

static att_status make_looked(att_ctx *x, void *arg, void **out)
{
    (void)x;
    (void)arg;
    *out = calloc(1, sizeof(looked));
    return *out ? ATT_OK : ATT_NO_MEMORY;
}

static void say_first(att_ctx *x, const recur_bad *b)
{
    char text[240];
    const bool state = *b->what == 's'; /* z has one row, its channels along d */

    snprintf(text, sizeof text,
             "%s b=%lld h=%lld %s=%lld d=%lld: got %.9g, want %.9g +- %.3g, ratio %.3g", b->what,
             (long long)b->at[0], (long long)b->at[1], state ? "channel" : "t", (long long)b->at[2],
             (long long)b->at[3], b->got, b->want, b->allowed, b->ratio);
    att_ctx_diagnose(x, "first_bad", b->ratio, text);
}

void recur_diagnose(att_ctx *x, const recur_inputs *in, const att_tensor *out,
                    const att_tensor *state, const att_tensor *z, const att_units *units,
                    const recur_error *e)
{
    look l = {in, out, state, z, units, {0}};
    void *count = NULL;
    char key[160];

    snprintf(key, sizeof key, "run:recur looked at %s", att_ctx_kernel(x)->name);
    if (att_ctx_shared(x, key, make_looked, NULL, free, &count) != ATT_OK ||
        ((looked *)count)->cases++ >= MOST_CASES || !look_past(&l))
        return;
    marks(x, &l);
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        if (!has(&in->spec, faults[f].of))
            continue;
        double ratio = explains(&l, faults[f].reading);
        if (!isnan(ratio))
            att_ctx_diagnose(x, faults[f].name, ratio, faults[f].text);
    }
    free(l.past.k);
    say_first(x, &e->bad); /* last: a cause is named by what comes first */
}
