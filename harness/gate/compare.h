/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel against another on the same items: what was lost, and whether chance explains it. */
#ifndef ATT_COMPARE_H
#define ATT_COMPARE_H

#include "core/paired.h"
#include "core/result.h"

#define ATT_COMPARE_LEVEL      0.001 /* family level, Holm over the measures of a kernel */
#define ATT_COMPARE_CONFIDENCE 0.95  /* of the interval of the difference */
#define ATT_COMPARE_POWER      0.8   /* with which a loss as large as `detectable` is found */

/* Who is compared with whom. */
typedef struct att_compare_how {
    const char *base; /* canonical text of the kernel that the others are compared with; NULL: each
                       * with itself in `before` */
    const att_result *before; /* where the base's records lie; NULL: in the result itself.  There
                               * items are paired only where contexts and depths are equal too */
    double margin; /* of non-inferiority, in place of what kernels declare; 0 = as declared */
} att_compare_how;

/* Fills result->comparisons from the records, in place of what was there: one row a (measure,
 * kernel) that has items, in the order of the records.  Items are paired by (measure, parameters,
 * seed, index) and pooled over parameters and seeds; cells without power, and cells that either
 * side did not finish, are left out.  A row without any paired item has n = 0.
 *
 * The verdict is "worse" (or "better") where the exact test over contexts, adjusted by Holm over
 * the measures of the kernel, is within ATT_COMPARE_LEVEL and the interval agrees; "same" where no
 * item differs though a loss could have been found, or the interval lies within the margin on both
 * sides. */
att_status att_compare_with(att_result *result, const att_compare_how *how, att_why *why);
/* The same with every kernel against `dense`, margins as declared. */
att_status att_compare_fill(att_result *result, const char *dense, att_why *why);

/* The adjusted p of the side that the difference is on; NAN where nothing is paired. */
double att_compare_p(const att_comparison *c);

/* Pairs what a row is made of, of one length alone unless it is NAN; *out zero-initialised,
 * att_paired_drop frees.  *base_hits, *own_hits: of those items.  NO_MEMORY. */
typedef struct att_compare_cell {
    att_paired paired;
    int64_t base_hits, own_hits;
} att_compare_cell;
att_status att_compare_at(const att_result *result, const att_compare_how *how, const char *measure,
                          const char *kernel, double length, att_compare_cell *out);

#endif
