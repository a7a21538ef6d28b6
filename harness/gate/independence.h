/* SPDX-License-Identifier: Apache-2.0 */
/* Are the contexts of one case independent?  The paired tests count contexts; were the contexts of
 * a case to stand or fall together, cases would have to be counted. */
#ifndef ATT_INDEPENDENCE_H
#define ATT_INDEPENDENCE_H

#include "base/rng.h"
#include "gate/trial.h"

typedef struct att_independence {
    double ratio; /* variance of the hits of a case over that of as many contexts on their own: 1
                   * where they are independent, their number where they are alike; NAN: nothing
                   * varies, or a case has one context */
    double p;     /* of a ratio so large, contexts dealt out over the seeds by chance; 1 at NAN */
} att_independence;

/* A permutation test on the hits of contexts, about the mean of their number within their cell.
 * NO_MEMORY. */
att_status att_independence_of(const att_trial_task *t, size_t shuffles, att_rng *rng,
                               att_independence *out);

#endif
