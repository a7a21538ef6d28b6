/* SPDX-License-Identifier: Apache-2.0 */
/* lm.citation: the right fact, and the document that states it.
 *
 * D numbered documents, one fact each ("The mill in Arden was painted red.") and prose; neighbours
 * share the building and differ in town and colour, so that a fact is easily taken from next door.
 * Two questions a document, both by forced choice among what the documents hold: the colour, and
 * ("... This is stated in Document") its number.  A model favours some numbers whatever it read, so
 * each number's mean log-odds over the context's questions is taken off first.  An item is the
 * number; the signed offset named - right shows drift to a neighbour.  Chance: 1/D. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "lm_session.h"

#define MOST 6

typedef struct fact {
    char thing[32], town[32], colour[32];
    int32_t colour_id, number_id;
    size_t at;
} fact;

static size_t documents(size_t len)
{
    return len < 1024 ? 4 : 6;
}

/* The last token of " i": a number is its own token. */
static att_status number_token(att_ctx *x, const att_lm *lm, size_t i, int32_t *out)
{
    lm_ids ids = {0};
    att_status status = lm_ids_printf(x, lm, &ids, "Document %zu", i);

    if (status == ATT_OK)
        *out = ids.id[ids.n - 1];
    free(ids.id);
    return status;
}

static att_status choose(att_ctx *x, const att_lm *lm, att_rng *rng, fact *facts, size_t n)
{
    const char *things[MOST] = {NULL}, *towns[MOST] = {NULL}, *colours[MOST] = {NULL};
    lm_lines a = {0}, b = {0}, c = {0};
    char text[64];
    att_status status = lm_lines_read(x, "buildings", &a);

    if (status == ATT_OK)
        status = lm_lines_read(x, "towns", &b);
    if (status == ATT_OK)
        status = lm_lines_read(x, "colours", &c);
    if (status == ATT_OK)
        status = lm_draw(x, &a, rng, n, things);
    if (status == ATT_OK)
        status = lm_draw(x, &b, rng, n, towns);
    if (status == ATT_OK)
        status = lm_draw(x, &c, rng, n, colours);
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        snprintf(facts[i].thing, sizeof facts[i].thing, "%s", things[i / 2]);
        snprintf(facts[i].town, sizeof facts[i].town, "%s", towns[i]);
        snprintf(facts[i].colour, sizeof facts[i].colour, "%s", colours[i]);
        snprintf(text, sizeof text, " %s", colours[i]);
        status = lm_first_token(x, lm, text, &facts[i].colour_id);
        if (status == ATT_OK)
            status = number_token(x, lm, i + 1, &facts[i].number_id);
    }
    lm_lines_drop(&a);
    lm_lines_drop(&b);
    lm_lines_drop(&c);
    return status;
}

static att_status compose(att_ctx *x, const att_lm *lm, size_t len, fact *facts, lm_ids *ids)
{
    att_rng rng = att_ctx_group_rng(x, "citation");
    size_t n = documents(len);
    lm_lines prose = {0};
    att_status status = lm_lines_read(x, "prose", &prose);

    if (status == ATT_OK)
        att_rng_shuffle(&rng, prose.line, prose.n, sizeof *prose.line);
    if (status == ATT_OK)
        status = choose(x, lm, &rng, facts, n);
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        facts[i].at = ids->n;
        status = lm_ids_printf(x, lm, ids, "\n\nDocument %zu: The %s in %s was painted %s.", i + 1,
                               facts[i].thing, facts[i].town, facts[i].colour);
        if (status == ATT_OK)
            status = lm_fill(x, lm, &prose, len * (i + 1) / n, ids);
    }
    lm_lines_drop(&prose);
    return status;
}

/* Question 2i asks for fact i's colour, 2i + 1 for its document (up to the number). */
static att_status ask(att_ctx *x, const att_lm *lm, const fact *facts, size_t n, lm_ids *questions)
{
    att_status status = ATT_OK;

    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        status =
            lm_ids_printf(x, lm, &questions[2 * i],
                          "\n\nQuestion: What colour was the %s in %s painted?\nAnswer: The %s in "
                          "%s was painted",
                          facts[i].thing, facts[i].town, facts[i].thing, facts[i].town);
        if (status == ATT_OK)
            status = lm_ids_printf(x, lm, &questions[2 * i + 1],
                                   "\n\nThe %s in %s was painted %s. This is stated in Document 1",
                                   facts[i].thing, facts[i].town, facts[i].colour);
        if (status == ATT_OK)
            questions[2 * i + 1].n--;
    }
    return status;
}

/* The number named for question i: the largest log-odds over its own mean; *margin to the runner-up
 * of the right one. */
static size_t named(const fact *facts, const float *logits, int64_t vocabulary, size_t n, size_t i,
                    double *margin)
{
    double odds[MOST] = {0}, best = -(double)INFINITY, other = best;
    size_t at = 0;

    for (size_t k = 0; k < n; k++) {
        double mean = 0;
        for (size_t j = 0; j < n; j++)
            mean += (double)logits[(int64_t)(2 * j + 1) * vocabulary + facts[k].number_id] /
                    (double)n;
        odds[k] = (double)logits[(int64_t)(2 * i + 1) * vocabulary + facts[k].number_id] - mean;
        if (odds[k] > best) {
            best = odds[k];
            at = k;
        }
        if (k != i && odds[k] > other)
            other = odds[k];
    }
    *margin = odds[i] - other;
    return at;
}

static size_t answered(const fact *facts, const float *row, size_t n)
{
    size_t at = 0;

    for (size_t k = 1; k < n; k++)
        if (row[facts[k].colour_id] > row[facts[at].colour_id])
            at = k;
    return at;
}

static void put_share(att_ctx *x, const char *name, int hits, int64_t n)
{
    att_interval ci = att_wilson(hits, (double)n, 0.95);

    if (n)
        att_ctx_record_n(x, name, (double)hits / (double)n, n, ci.lo, ci.hi);
}

static void record(att_ctx *x, const fact *facts, const float *logits, int64_t vocabulary, size_t n,
                   size_t len)
{
    int answers = 0, right = 0, both = 0, next = 0;
    double offsets = 0, margin;
    char note[64];

    for (size_t i = 0; i < n; i++) {
        int knows = answered(facts, logits + (int64_t)(2 * i) * vocabulary, n) == i;
        int offset = (int)named(facts, logits, vocabulary, n, i, &margin) - (int)i;
        answers += knows;
        right += offset == 0;
        both += knows && offset == 0;
        next += abs(offset) == 1;
        offsets += offset;
        snprintf(note, sizeof note, "offset %+d, answer %s", offset, knows ? "right" : "wrong");
        att_ctx_item(x, offset == 0, 0, margin, (double)facts[i].at / (double)len, note);
    }
    put_share(x, "accuracy", right, (int64_t)n);
    put_share(x, "answer_accuracy", answers, (int64_t)n);
    put_share(x, "cited_given_answer", both, answers);
    put_share(x, "off_by_one", next, (int64_t)n);
    att_ctx_record_n(x, "mean_offset", offsets / (double)n, (int64_t)n, (double)NAN, (double)NAN);
}

att_status lm_citation(att_ctx *x)
{
    fact facts[MOST] = {0};
    lm_ids context = {0}, questions[2 * MOST] = {{0}};
    size_t len = (size_t)att_ctx_int(x, "len"), n = documents(len);
    att_lm *lm = NULL;
    float *logits = NULL;
    att_status status = lm_model(x, &lm);
    int64_t vocabulary = status == ATT_OK ? att_lm_shape_of(lm).vocabulary : 0;

    att_ctx_record(x, "chance", 1.0 / (double)n);
    if (status == ATT_OK && !(logits = malloc(2 * n * (size_t)vocabulary * sizeof *logits)))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = compose(x, lm, len, facts, &context);
    if (status == ATT_OK)
        status = ask(x, lm, facts, n, questions);
    if (status == ATT_OK)
        status = lm_ask(x, lm, &context, questions, 2 * n, logits);
    if (status == ATT_OK)
        record(x, facts, logits, vocabulary, n, context.n);
    for (size_t i = 0; i < 2 * MOST; i++)
        free(questions[i].id);
    free(logits);
    free(context.id);
    return status;
}
