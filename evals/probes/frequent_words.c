/* SPDX-License-Identifier: Apache-2.0 */
/* frequent_words: the r-th word of a list comes in proportion to r^-2; which are the first three?
 *
 * Source: Hsieh et al. 2024, "RULER" (frequent words extraction: Zipf's law with exponent 2). */
#include "evals/probes/words.h"

enum { TOP = 3, MOST = 512 }; /* MOST: tokens of a list */

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t room = c->len / WORDS_LISTS, tokens = room < MOST ? room : MOST;
    int64_t count[WORDS_KNOWN];
    double all = 0;

    for (int64_t r = 1; r <= WORDS_KNOWN; r++)
        all += 1 / (double)(r * r);
    for (int64_t r = 0; r < WORDS_KNOWN; r++)
        count[r] = (int64_t)((double)tokens / ((double)((r + 1) * (r + 1)) * all));
    return words_make(c, rng, count, why);
}

static double chance(const probe_circuit *c)
{
    return words_chance(c->facts);
}

const probe_task probe_task_frequent_words = {.name = "frequent_words",
                                              .exposes = "diffuse aggregation, long-tailed",
                                              .facts = TOP,
                                              .theory = true,
                                              .make = make,
                                              .chance = chance,
                                              .judge = words_judge,
                                              .predict = words_predict,
                                              .record = words_record};
