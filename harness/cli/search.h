/* SPDX-License-Identifier: Apache-2.0 */
/* Adversarial search: climbs, case by case, towards the one in which a kernel comes nearest to a
 * limit, over shapes, families of values and seeds.  A right kernel's summit says how much room the
 * limits leave; a wrong one falls.  (A (mu + lambda) evolution: Beyer and Schwefel 2002.) */
#ifndef ATT_CLI_SEARCH_H
#define ATT_CLI_SEARCH_H

#include "core/run.h"

typedef struct att_search {
    att_registry *registry;
    const att_run_options *run;
    const char *measure, *kernel; /* kernel: with its parameters */
    double seconds;               /* of climbing; shrinking has a fifth of it more */
    uint64_t seed;                /* of the search itself */
} att_search;

/* Texts are owned.  `line` is NULL where the kernel supports nothing that was tried. */
typedef struct att_summit {
    char *line;     /* the smallest case that comes as near, or fails alike */
    char *metric;   /* which limit; NULL where the kernel crashed or hung */
    double nearest; /* largest value over limit that was seen; INFINITY = one is broken */
    att_outcome status;
    size_t tried, supported;
} att_summit;

/* How near to its nearest limit a record comes: value over limit, INFINITY for what failed, -1
 * where nothing was measured.  *metric: which; NULL = none. */
double att_search_height(const att_record *record, const char **metric);

/* INVALID: no such measure or kernel; NO_MEMORY, IO.  att_summit_clear frees. */
att_status att_search_climb(const att_search *how, att_summit *out, int *number, att_why *why);
void att_summit_clear(att_summit *summit);

#endif
