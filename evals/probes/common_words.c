/* SPDX-License-Identifier: Apache-2.0 */
/* common_words: ten words that come 30 times among others that come 3 times, in shuffled lists;
 * which ten?  No one token answers: all of a list weigh the same.
 *
 * Source: Hsieh et al. 2024, "RULER" (common words extraction). */
#include "evals/probes/words.h"

enum { COMMON = 10, OFTEN = 30, SELDOM = 3 };

/* A short context has 1 / 8 of its tokens for a list: others once, common words what is left. */
static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t tokens = c->len / WORDS_LISTS, common = c->facts;
    const int64_t others = WORDS_KNOWN - common, left = common ? (tokens - others) / common : 0;
    const bool whole = tokens >= common * OFTEN + others * SELDOM;
    const int64_t often = whole ? OFTEN : left > 2 ? left : 2;
    int64_t count[WORDS_KNOWN], room = tokens - common * often;

    for (int64_t r = 0; r < WORDS_KNOWN; r++)
        count[r] = r < common ? often : whole ? SELDOM : r - common < room;
    return words_make(c, rng, count, why);
}

static double chance(const probe_circuit *c)
{
    return words_chance(c->facts);
}

const probe_task probe_task_common_words = {.name = "common_words",
                                            .exposes = "diffuse aggregation",
                                            .facts = COMMON,
                                            .theory = true,
                                            .make = make,
                                            .chance = chance,
                                            .judge = words_judge,
                                            .predict = words_predict,
                                            .record = words_record};
