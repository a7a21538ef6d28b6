/* SPDX-License-Identifier: Apache-2.0 */
/* lm.coreference: twins that flip one pronoun and with it the antecedent.
 *
 * "Mrs. A met Mr. B at the P." stands in prose; the question " At the P, he was asked for his
 * surname. His surname is" has a twin with she and her.  An item is the pair: the contrast
 *   [ln P(A | she) - ln P(B | she)] - [ln P(A | he) - ln P(B | he)] > 0
 * is free of the model's liking for one name, which cancels (Winogender, Rudinger et al. 2018, has
 * twins of this kind).  Surnames alone are compared, by their first tokens: a first name would give
 * the answer away.  Chance: 1/2. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "lm_session.h"

#define PAIRS 6

typedef struct pair {
    const char *woman, *man, *place;
    int32_t woman_id, man_id;
    int man_first;
    size_t at;
} pair;

static att_status choose(att_ctx *x, const att_lm *lm, att_rng *rng, pair *pairs)
{
    const char *names[2 * PAIRS], *places[PAIRS];
    lm_lines surnames = {0}, spots = {0};
    char text[128];
    att_status status = lm_lines_read(x, "surnames", &surnames);

    if (status == ATT_OK)
        status = lm_lines_read(x, "places", &spots);
    if (status == ATT_OK)
        status = lm_draw(x, &surnames, rng, 2 * PAIRS, names);
    if (status == ATT_OK)
        status = lm_draw(x, &spots, rng, PAIRS, places);
    for (size_t i = 0; i < PAIRS && status == ATT_OK; i++) {
        pairs[i] = (pair){strdup(names[2 * i]),
                          strdup(names[2 * i + 1]),
                          strdup(places[i]),
                          0,
                          0,
                          (int)att_rng_below(rng, 2),
                          0};
        snprintf(text, sizeof text, " %s", names[2 * i]);
        status = lm_first_token(x, lm, text, &pairs[i].woman_id);
        snprintf(text, sizeof text, " %s", names[2 * i + 1]);
        if (status == ATT_OK)
            status = lm_first_token(x, lm, text, &pairs[i].man_id);
        if (status == ATT_OK && pairs[i].woman_id == pairs[i].man_id) {
            att_ctx_why(x, "%s and %s begin with the same token", names[2 * i], names[2 * i + 1]);
            status = ATT_CORRUPT;
        }
    }
    lm_lines_drop(&surnames);
    lm_lines_drop(&spots);
    return status;
}

/* Prose with the pairs at stratified depths; `len` tokens. */
static att_status compose(att_ctx *x, const att_lm *lm, size_t len, pair *pairs, lm_ids *ids)
{
    att_rng rng = att_ctx_group_rng(x, "coreference");
    lm_lines prose = {0};
    att_status status = lm_lines_read(x, "prose", &prose);

    if (status == ATT_OK)
        att_rng_shuffle(&rng, prose.line, prose.n, sizeof *prose.line);
    if (status == ATT_OK)
        status = choose(x, lm, &rng, pairs);
    for (size_t i = 0; i < PAIRS && status == ATT_OK; i++) {
        double depth = ((double)i + att_rng_unit(&rng)) / PAIRS;
        status = lm_fill(x, lm, &prose, (size_t)((double)(len - 32) * depth), ids);
        pairs[i].at = ids->n;
        if (status == ATT_OK && pairs[i].man_first)
            status = lm_ids_printf(x, lm, ids, " Mr. %s met Mrs. %s at the %s.", pairs[i].man,
                                   pairs[i].woman, pairs[i].place);
        else if (status == ATT_OK)
            status = lm_ids_printf(x, lm, ids, " Mrs. %s met Mr. %s at the %s.", pairs[i].woman,
                                   pairs[i].man, pairs[i].place);
    }
    if (status == ATT_OK)
        status = lm_fill(x, lm, &prose, len, ids);
    lm_lines_drop(&prose);
    return status;
}

static void record(att_ctx *x, const pair *pairs, const float *logits, int64_t vocabulary,
                   size_t len)
{
    int hits = 0, plain = 0;
    double sum = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        const float *she = logits + (int64_t)(2 * i) * vocabulary, *he = she + vocabulary;
        double a = (double)she[pairs[i].woman_id] - (double)she[pairs[i].man_id];
        double b = (double)he[pairs[i].woman_id] - (double)he[pairs[i].man_id];
        hits += a - b > 0;
        plain += (a > 0) + (b < 0);
        sum += a - b;
        att_ctx_item(x, a - b > 0, 0, a - b, (double)pairs[i].at / (double)len,
                     pairs[i].man_first ? "the man is named first" : "the woman is named first");
    }
    att_interval ci = att_wilson(hits, PAIRS, 0.95);
    att_ctx_record_n(x, "accuracy", (double)hits / PAIRS, PAIRS, ci.lo, ci.hi);
    ci = att_wilson(plain, 2 * PAIRS, 0.95);
    att_ctx_record_n(x, "plain_accuracy", (double)plain / (2 * PAIRS), 2 * PAIRS, ci.lo, ci.hi);
    att_ctx_record_n(x, "contrast", sum / PAIRS, PAIRS, (double)NAN, (double)NAN);
}

att_status lm_coreference(att_ctx *x)
{
    pair pairs[PAIRS] = {0};
    lm_ids context = {0}, questions[2 * PAIRS] = {{0}};
    size_t len = (size_t)att_ctx_int(x, "len");
    att_lm *lm = NULL;
    float *logits = NULL;
    att_status status = lm_model(x, &lm);
    int64_t vocabulary = status == ATT_OK ? att_lm_shape_of(lm).vocabulary : 0;

    att_ctx_record(x, "chance", 0.5);
    if (status == ATT_OK && !(logits = malloc(2 * PAIRS * (size_t)vocabulary * sizeof *logits)))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = compose(x, lm, len, pairs, &context);
    for (size_t i = 0; i < 2 * PAIRS && status == ATT_OK; i++)
        status = lm_ids_printf(x, lm, &questions[i],
                               i % 2
                                   ? "\n\nAt the %s, he was asked for his surname. His surname is"
                                   : "\n\nAt the %s, she was asked for her surname. Her surname is",
                               pairs[i / 2].place);
    if (status == ATT_OK)
        status = lm_ask(x, lm, &context, questions, 2 * PAIRS, logits);
    if (status == ATT_OK)
        record(x, pairs, logits, vocabulary, context.n);
    for (size_t i = 0; i < 2 * PAIRS; i++)
        free(questions[i].id);
    for (size_t i = 0; i < PAIRS; i++) {
        free((char *)(uintptr_t)pairs[i].woman);
        free((char *)(uintptr_t)pairs[i].man);
        free((char *)(uintptr_t)pairs[i].place);
    }
    free(logits);
    free(context.id);
    return status;
}
