/* SPDX-License-Identifier: Apache-2.0 */
/* Effective length: how far a variant stays what it is on short contexts. */
#ifndef ATT_EFFECTIVE_H
#define ATT_EFFECTIVE_H

#include "core/result.h"

#define ATT_EFFECTIVE_SHARE 0.85 /* of the accuracy at the shortest length */

/* Why it ends where it ends. */
typedef enum att_effective_end {
    ATT_ENDS_LONGEST = 0, /* the longest length measured still holds */
    ATT_ENDS_LOSS,        /* at the next one the share is lost: the upper bound lies below it too */
    ATT_ENDS_FEW,         /* at the next one the items are too few to tell */
    ATT_ENDS_NO_POWER,    /* at the next one dense itself does not clear it */
    ATT_ENDS_HOLE,  /* the next one was not answered, by it or by dense: unsupported, not run */
    ATT_ENDS_CHANCE /* at the shortest length it does not clear chance */
} att_effective_end;

/* One kernel and measure.  Texts point into the result. */
typedef struct att_effective {
    const char *measure, *kernel;
    double base, base_length; /* accuracy at the shortest length measured */
    double length;            /* the effective one; NAN: none */
    double next;              /* the length that no longer holds; NAN: the longest measured holds */
    att_effective_end end;
} att_effective;

/* The longest length at which, and at every shorter one measured, the lower bound (95 %, contexts
 * counted) of the accuracy is at least 85 % of the accuracy at the shortest: a recovery further out
 * does not count.  Seeds and other parameters are pooled.  A length at which `dense` does not clear
 * the same share of its own base, or chance, says nothing of anybody and ends every row.
 *
 * One row a (measure, kernel) of probes with at least two lengths, in the order of the records.
 * *out: free() it.  NO_MEMORY.
 *
 * Hsieh et al. 2024 (RULER) for the longest length above a threshold, there one score for all;
 * Modarressi et al. 2025 (NoLiMa) for 85 % of a model's own short-context base. */
att_status att_effective_find(const att_result *result, const char *dense, att_effective **out,
                              size_t *n);

/* "loss", "too few items", "no power" ...: the end in words for reports. */
const char *att_effective_why(att_effective_end end);
/* "4096 (loss at 16384)", "16384 or more", "none (no power at 256)". */
void att_effective_text(const att_effective *e, char *out, size_t size);

#endif
