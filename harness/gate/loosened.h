/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels declare or use a coarser precision than they did? */
#ifndef ATT_LOOSENED_H
#define ATT_LOOSENED_H

#include "core/result.h"

/* A metric in bits, higher being better, that fell.  Texts point into `after`. */
typedef struct att_loosened {
    const char *id, *metric;
    double before, after;
} att_loosened;

/* Compares cases of one id (seeds aside) in two results, in the order of `after`; cases that only
 * one of them measured say nothing.  *out: free() it.  NO_MEMORY. */
att_status att_loosened_find(const att_result *before, const att_result *after, att_loosened **out,
                             size_t *n);

#endif
