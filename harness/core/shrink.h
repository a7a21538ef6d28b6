/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest case that still does what a case did: parameters brought to their defaults and to
 * smaller numbers, one at a time, as long as it does.  Greedy, in a worker of its own. */
#ifndef ATT_SHRINK_H
#define ATT_SHRINK_H

#include "core/run.h"

typedef struct att_shrink {
    att_registry *registry;
    const att_run_options *run; /* its command starts the worker */
    double seconds;             /* the search ends then */
    /* Does the record of a smaller case still show it? */
    bool (*shows)(const att_record *record, void *arg);
    void *arg;
} att_shrink;

/* Writes the line of the smallest case found to *smallest, which the caller frees: `line` itself
 * (canonical) where nothing smaller shows it.  *tried: cases measured.  A kernel's own parameters
 * and the seed stay as they are.  INVALID: no case; IO, NO_MEMORY. */
att_status att_shrink_case(const att_shrink *how, const char *line, char **smallest, size_t *tried,
                           att_why *why);

#endif
