/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of words of which the most frequent are wanted: tokens of a list share one key, so that its
 * question meets all of them alike and gets back how often each word came. */
#ifndef ATT_PROBES_WORDS_H
#define ATT_PROBES_WORDS_H

#include "evals/probes/task.h"

#define WORDS_KNOWN 64 /* words of a list; word w is column w of V */
#define WORDS_LISTS 8  /* in a context, one query head each */

/* Lays out lists in which the r-th word comes count[r] times, not ascending, at random places; the
 * first c->facts are wanted.  UNSUPPORTED: they do not fit, or are no more frequent than others. */
att_status words_make(probe_circuit *c, att_rng *rng, const int64_t *count, att_why *why);
/* Of guessing `top` of WORDS_KNOWN words right. */
double words_chance(int64_t top);
/* Right: every wanted word weighs more than every other.  The score is by how much, in weight. */
probe_outcome words_judge(const probe_circuit *c, int64_t i, const float *out);
/* Whoever sees every wanted word more often than any other is right, who sees one of them less
 * often than another is wrong, if rounding does not reach from one to the other. */
int words_predict(probe_eye eye, const probe_circuit *c, int64_t i);
/* F1 of the heaviest words, as many as are wanted. */
void words_record(att_ctx *x, const probe_circuit *c, const float *out);

#endif
