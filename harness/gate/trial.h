/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison put to the proof on real items: how often does it call a kernel worse than itself,
 * and how often does it find a loss of known size?  Both go through att_compare_fill, which judges
 * every run. */
#ifndef ATT_TRIAL_H
#define ATT_TRIAL_H

#include "base/rng.h"
#include "core/result.h"

/* Real items of one kernel: its whole probe records, a task (measure) a row, in order of
 * appearance.  Points into the result. */
typedef struct att_trial_context {
    size_t items, hits;
} att_trial_context;

typedef struct att_trial_task {
    const char *measure;
    const att_record **records; /* sorted by parameters, then seed */
    att_trial_context *context; /* of all records */
    size_t n, contexts, room, items, hits;
} att_trial_task;

typedef struct att_trial_pool {
    att_trial_task *tasks;
    size_t n;
} att_trial_pool;

/* NO_MEMORY; INVALID where there is no such record. */
att_status att_trial_pool_make(const att_result *result, const char *kernel, att_trial_pool *out,
                               att_why *why);
void att_trial_pool_drop(att_trial_pool *pool);

/* What a trial's comparison says, a row a task of the pool; the result owns only its comparisons.
 * Zero-initialise; att_trial_drop frees, and may be followed by another trial. */
typedef struct att_trial {
    att_result result;
    att_item *items; /* dealt or planted ones */
} att_trial;
void att_trial_drop(att_trial *t);

/* A/A: in every cell (task and parameters) the contexts of one number are dealt out by chance over
 * the seeds, in pairs of seeds; of each pair one context plays dense, the other the kernel.  They
 * are exchangeable, whatever the kernel loses: every "worse" is a false alarm.  An odd seed is left
 * over, as is one whose items are grouped otherwise.  NO_MEMORY. */
att_status att_trial_same(const att_trial_pool *pool, att_rng *rng, att_trial *out);

/* How a loss is planted. */
typedef struct att_trial_plant {
    double loss, churn; /* of the items: share lost beyond what is won; share won */
    bool contexts;      /* whole contexts lose all their hits */
    int64_t items;      /* how many are compared, whole records taken: at least so many */
} att_trial_plant;

/* A/B on the same items: records of task `at` are drawn in random order, again and again until
 * there are items enough; each plays dense, and beside it a copy that lost (and won) at random as
 * `plant` says.  Every other task of the pool is there with one record and no loss, so that Holm
 * counts it.  NO_MEMORY; INVALID where the task has too few hits to lose or misses to win. */
att_status att_trial_planted(const att_trial_pool *pool, size_t at, const att_trial_plant *plant,
                             att_rng *rng, att_trial *out, att_why *why);

/* How many items `plant` needs in task `at` to be found with `power`: so many contexts as the exact
 * test needs pairs, where a context is lost (won) with the probability that its losses outnumber
 * its wins (or the reverse), averaged over the pool's contexts; times their mean size.  -1: no
 * number.
 */
int64_t att_trial_needs(const att_trial_pool *pool, size_t at, const att_trial_plant *plant,
                        double power);

#endif
