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
        return s->rule == ATT_RULE_LINEAR_ELU1;
    default:
        return true;
    }
}

/* What was got, and what would be right. */
typedef struct look {
    const recur_inputs *in;
    const att_tensor *out, *state, *z;
    const att_units *units;
} look;

static double ratio_of(const recur_error *e)
{
    double r = fmax(fmax(e->sigma_ratio, e->state_sigma_ratio) / 6,
                    fmax(e->bound_ratio, e->state_bound_ratio));
    return e->nonfinite || e->bad.what || !(r <= 1) ? (double)NAN : r;
}

/* NaN: does not hold. */
static double explains(const look *l, const recur_reading *reading)
{
    const recur_spec *s = &l->in->spec;
    recur_answer a;
    recur_error e;
    double ratio = (double)NAN;

    if (recur_answer_make(s, &a) != ATT_OK)
        return ratio;
    if (recur_walk(s, &l->in->numbers, reading, &a) == ATT_OK) {
        recur_judge(s, &a, l->out, l->state, l->z, l->units, &e);
        ratio = ratio_of(&e);
    }
    recur_answer_drop(&a);
    return ratio;
}

/* Elements of t that are not a number where f has one. */
static int64_t lost(const att_tensor *t, const recur_field *f)
{
    int64_t n = 0;

    for (int64_t i = 0; t->data && i < f->n; i++)
        n += isfinite(f->x[i]) && isnan(att_fp_load(t->data, t->dtype, i));
    return n;
}

static void marks(att_ctx *x, const look *l, const recur_error *e)
{
    const recur_spec *s = &l->in->spec;
    const att_tensor none = {0};
    recur_error out;

    recur_judge(s, &l->in->answer, l->out, &none, &none, l->units, &out);
    const bool right = !out.bad.what, nan = lost(l->out, &l->in->answer.out) > 0;
    if (right && l->state->data && lost(l->state, &l->in->answer.s) == l->in->answer.s.n)
        att_ctx_diagnose(x, "state_never_written", 0, "no state was written");
    else if (right && e->bad.what && s->t % 16)
        att_ctx_diagnose(x, "partial_last_chunk", 0,
                         "outputs are right, the state is not, and the last chunk is partial");
    if (nan && !s->starts && recur_call_length(s, 0) == 1 && !parity_is(s->values, "nan"))
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
    const look l = {in, out, state, z, units};
    void *count = NULL;
    char key[160];

    snprintf(key, sizeof key, "run:recur looked at %s", att_ctx_kernel(x)->name);
    if (att_ctx_shared(x, key, make_looked, NULL, free, &count) != ATT_OK ||
        ((looked *)count)->cases++ >= MOST_CASES)
        return;
    marks(x, &l, e);
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        if (!has(&in->spec, faults[f].of))
            continue;
        double ratio = explains(&l, &faults[f].reading);
        if (!isnan(ratio))
            att_ctx_diagnose(x, faults[f].name, ratio, faults[f].text);
    }
    say_first(x, &e->bad); /* last: a cause is named by what comes first */
}
