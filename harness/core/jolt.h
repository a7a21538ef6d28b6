/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that keep the contract of parallel_for and nothing beyond it: items in any order, on any of
 * the threads, all on one or each on its own, begun late, or stopped in the middle.
 *
 * A race that a quiet machine hides shows when the schedule changes.  Everything random is drawn
 * from a seed, except what the machine itself adds. */
#ifndef ATT_JOLT_H
#define ATT_JOLT_H

#include "attn.h"

#define ATT_JOLT_REVERSED 1u  /* the last item first */
#define ATT_JOLT_SHUFFLED 2u  /* in random order */
#define ATT_JOLT_ALONE    4u  /* all items on the last thread, the others idle */
#define ATT_JOLT_DEALT    8u  /* item i to thread i % threads, whoever is free; else: to the next */
#define ATT_JOLT_YIELDS   16u /* threads give way between items at random */
#define ATT_JOLT_LATE     32u /* threads begin up to 200 us late */
/* Threads of the process, the kernel's own too, are stopped for some 100 us at random moments, at
 * most 300 times: a signal handler sleeps. */
#define ATT_JOLT_STOPS 64u

typedef struct att_jolt {
    int threads; /* may be more than there are processors */
    unsigned ways;
    uint64_t seed;
} att_jolt;

/* A host of that kind.  One thread at a time may call parallel_for.  NO_MEMORY when threads cannot
 * be started. */
att_status att_jolt_make(const att_jolt *how, att_host *out);
/* Ends the threads; the host is then zeroed. */
void att_jolt_drop(att_host *host);

#endif
