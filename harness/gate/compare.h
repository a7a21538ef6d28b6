/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel against dense on the same items: what was lost, and whether chance explains it. */
#ifndef ATT_COMPARE_H
#define ATT_COMPARE_H

#include "core/result.h"

#define ATT_COMPARE_LEVEL      0.001 /* family level, Holm over the measures of a kernel */
#define ATT_COMPARE_CONFIDENCE 0.95  /* of the interval of the difference */

/* Fills result->comparisons from the records, in place of what was there: one row a (measure,
 * kernel) that has items, in the order of the records; `dense` is the canonical text of the kernel
 * that others are compared with.  Items are paired by (measure, parameters, seed, index) and pooled
 * over parameters and seeds; cells without power, and cells that either side did not finish, are
 * left out.  A row without any paired item has n = 0. */
att_status att_compare_fill(att_result *result, const char *dense, att_why *why);

#endif
