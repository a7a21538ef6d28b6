/* SPDX-License-Identifier: Apache-2.0 */
/* lm.needle: "One of the special magic numbers for {word} is: {7 digits}." hidden in prose, asked
 * for after a context of `len` tokens (RULER, Hsieh et al. 2024, single needle with several keys).
 *
 * KEYS needles share a context, which is prefilled once and forked for each question.  The question
 * and the gold digits are fed together: exact match is argmax = gold at each digit, which is what
 * greedy decoding would have to do.  Needle k lies at a distance of len * u^2 from the end, u
 * stratified, so that every length has needles within a window and beyond it.  An item's score is
 * the mean log-probability of its digits, its coordinate the needle's depth. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "lm_session.h"

#define KEYS   4
#define DIGITS 7

typedef struct needle {
    char word[64], digits[DIGITS + 1];
    size_t at, end; /* tokens of the fact in the context */
    lm_ids question;
    int32_t *targets;
    double *logprob;
    float *logits;
} needle;

static att_status add(att_ctx *x, const att_lm *lm, lm_ids *ids, const char *format,
                      const char *word, const char *digits)
{
    char text[1024];

    snprintf(text, sizeof text, format, word, digits);
    return lm_ids_add(x, lm, ids, text);
}

static void choose(att_rng *rng, const lm_lines *words, needle *needles)
{
    size_t *order = malloc(words->n * sizeof *order);

    for (size_t i = 0; order && i < words->n; i++)
        order[i] = i;
    if (order)
        att_rng_shuffle(rng, order, words->n, sizeof *order);
    for (size_t k = 0; k < KEYS; k++) {
        snprintf(needles[k].word, sizeof needles[k].word, "%s",
                 words->line[(order ? order[k % words->n] : k) % words->n]);
        for (int d = 0; d < DIGITS; d++)
            needles[k].digits[d] =
                (char)('0' + (d ? att_rng_below(rng, 10) : 1 + att_rng_below(rng, 9)));
    }
    free(order);
}

/* Oldest needle first; the context ends at `len` tokens. */
static att_status compose(att_ctx *x, const att_lm *lm, size_t len, needle *needles, lm_ids *ids)
{
    att_rng rng = att_ctx_group_rng(x, "needle");
    lm_lines prose = {0}, words = {0};
    att_status status = lm_lines_read(x, "prose", &prose);

    if (status == ATT_OK)
        att_rng_shuffle(&rng, prose.line, prose.n, sizeof *prose.line);
    if (status == ATT_OK)
        status = lm_lines_read(x, "words", &words);
    if (status == ATT_OK)
        choose(&rng, &words, needles);
    for (size_t k = 0; k < KEYS && status == ATT_OK; k++) {
        double u = ((double)(KEYS - k) - 0.25 - 0.5 * att_rng_unit(&rng)) / KEYS;
        double back = (double)(len - 64) * u * u + 40;
        size_t at = (double)len > back ? len - (size_t)back : 0;
        status = lm_fill(x, lm, &prose, at, ids);
        needles[k].at = ids->n;
        if (status == ATT_OK)
            status = add(x, lm, ids, " One of the special magic numbers for %s is: %s.",
                         needles[k].word, needles[k].digits);
        needles[k].end = ids->n;
    }
    if (status == ATT_OK)
        status = lm_fill(x, lm, &prose, len, ids);
    lm_lines_drop(&prose);
    lm_lines_drop(&words);
    return status;
}

/* The question, its gold digits as targets. */
static att_status ask(att_ctx *x, const att_lm *lm, needle *n)
{
    att_status status =
        add(x, lm, &n->question,
            "\n\nThe special magic number for %s mentioned in the provided text is: %s", n->word,
            n->digits);
    if (status != ATT_OK)
        return status;
    n->targets = malloc(n->question.n * sizeof *n->targets);
    n->logprob = malloc(n->question.n * sizeof *n->logprob);
    n->logits = malloc((DIGITS + 1) * (size_t)att_lm_shape_of(lm).vocabulary * sizeof *n->logits);
    if (!n->targets || !n->logprob || !n->logits)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < n->question.n; i++)
        n->targets[i] =
            i + 1 < n->question.n && i + 1 >= n->question.n - DIGITS ? n->question.id[i + 1] : -1;
    return ATT_OK;
}

/* The reach of a variant in tokens, where its parameters declare one (closed form: a key at a
 * distance up to `left` is seen); infinite for the others. */
static double reach_of(const att_variant *v)
{
    const att_kernel *k = v->part[0].kernel;

    for (size_t i = 0; v->parts == 1 && k->params && k->params[i].name; i++)
        if (strcmp(k->params[i].name, "left") == 0)
            return (double)v->part[0].values[i].i;
    return (double)INFINITY;
}

typedef struct tally {
    double hits[2], nll[2], n[2]; /* within the reach, beyond it */
} tally;

static void score(att_ctx *x, const att_lm *lm, const needle *n, size_t context, tally *t)
{
    int64_t vocabulary = att_lm_shape_of(lm).vocabulary;
    size_t first = n->question.n - DIGITS - 1;
    double sum = 0;
    int hit = 1;

    for (size_t d = 0; d < DIGITS; d++) {
        const float *row = n->logits + (int64_t)d * vocabulary;
        int32_t gold = n->targets[first + d];
        for (int64_t i = 0; i < vocabulary; i++)
            hit = hit && (i == gold || row[i] < row[gold]);
        sum += n->logprob[first + d] / DIGITS;
    }
    double distance = (double)(context + n->question.n - n->at);
    int beyond = distance > reach_of(att_ctx_variant(x));
    t->hits[beyond] += hit;
    t->nll[beyond] -= sum;
    t->n[beyond]++;
    att_ctx_item(x, hit, 0, sum, (double)n->at / (double)context,
                 beyond ? "beyond the window" : "within reach");
}

static void record(att_ctx *x, const tally *t)
{
    static const char *const hits[] = {"hit_within", "hit_beyond"};
    static const char *const nll[] = {"nll_within", "nll_beyond"};

    for (int i = 0; i < 2; i++)
        if (t->n[i] > 0) {
            att_interval ci = att_wilson(t->hits[i], t->n[i], 0.95);
            att_ctx_record_n(x, hits[i], t->hits[i] / t->n[i], (int64_t)t->n[i], ci.lo, ci.hi);
            att_ctx_record_n(x, nll[i], t->nll[i] / t->n[i], (int64_t)t->n[i], (double)NAN,
                             (double)NAN);
        }
    att_interval ci = att_wilson(t->hits[0] + t->hits[1], KEYS, 0.95);
    att_ctx_record_n(x, "accuracy", (t->hits[0] + t->hits[1]) / KEYS, KEYS, ci.lo, ci.hi);
}

static att_status measure(att_ctx *x, att_lm *lm, needle *needles, const lm_ids *context)
{
    lm_glue glue = {.x = x, .variant = att_ctx_variant(x)};
    att_lm_attention attention = lm_attention(&glue);
    att_lm_segment segments[KEYS] = {{0}};
    att_kv *kv = NULL, *fork[KEYS] = {NULL};
    att_why *why = att_ctx_why_buffer(x);
    tally t = {{0}, {0}, {0}};
    att_status status = att_kv_make(lm, (int64_t)context->n + 128, &kv, why);

    if (status == ATT_OK) {
        att_lm_segment all = {.kv = kv, .tokens = context->id, .n = (int64_t)context->n};
        status = att_lm_forward(lm, &attention, &all, 1, why);
    }
    for (size_t k = 0; k < KEYS && status == ATT_OK; k++) {
        needle *n = &needles[k];
        status = ask(x, lm, n);
        if (status == ATT_OK)
            status = att_kv_fork(kv, &fork[k], why);
        segments[k] = (att_lm_segment){.kv = fork[k],
                                       .tokens = n->question.id,
                                       .n = (int64_t)n->question.n,
                                       .targets = n->targets,
                                       .logprob = n->logprob,
                                       .logits = n->logits,
                                       .logits_from = (int64_t)n->question.n - DIGITS - 1};
    }
    if (status == ATT_OK)
        status = att_lm_forward(lm, &attention, segments, KEYS, why);
    for (size_t k = 0; k < KEYS && status == ATT_OK; k++)
        score(x, lm, &needles[k], context->n, &t);
    if (status == ATT_OK) {
        record(x, &t);
        lm_record_cost(&glue);
    }
    for (size_t k = 0; k < KEYS; k++)
        att_kv_close(fork[k]);
    att_kv_close(kv);
    return status;
}

att_status lm_needle(att_ctx *x)
{
    needle needles[KEYS] = {0};
    lm_ids context = {0};
    att_lm *lm = NULL;
    size_t len = (size_t)att_ctx_int(x, "len");
    att_status status = lm_model(x, &lm);

    if (status == ATT_OK)
        status = compose(x, lm, len, needles, &context);
    if (status == ATT_OK)
        status = measure(x, lm, needles, &context);
    for (size_t k = 0; k < KEYS; k++) {
        free(needles[k].question.id);
        free(needles[k].targets);
        free(needles[k].logprob);
        free(needles[k].logits);
    }
    free(context.id);
    return status;
}
