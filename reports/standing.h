/* SPDX-License-Identifier: Apache-2.0 */
/* How each kernel of a result stands by its own contract. */
#ifndef ATT_STANDING_H
#define ATT_STANDING_H

#include <stdbool.h>

#include "core/result.h"

typedef struct att_standing {
    const char *kernel; /* points into the result */
    int32_t class_;
    size_t by_outcome[ATT_OUTCOMES];
    size_t limited;   /* records that passed under a limit: others were only measured */
    const char *word; /* "FAILS", "open", "holds", "not judged" */
    bool bad;         /* FAILS */
} att_standing;

/* One a kernel, in order of appearance.  *out: free() it.  NO_MEMORY. */
att_status att_standings_make(const att_result *result, att_standing **out, size_t *n);

/* "exact", "approximate", "own" */
const char *att_class_name(int32_t class_);

#endif
