/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a variant can see, from its name and parameters alone: the theory that probes hold
 * their measurements against.  Written apart from the kernels, so that no mistake is shared. */
#ifndef ATT_CLOSED_FORM_H
#define ATT_CLOSED_FORM_H

#include <stdbool.h>

#include "core/variant.h"

/* One pair: query head, query position, key position (causal: key <= query). */
typedef struct closed_pair {
    int64_t head, query, key;
} closed_pair;

/* 1: seen; 0: masked; -1: no closed form is known for this variant. */
int closed_form_sees(const att_variant_part *part, closed_pair pair);

/* Does the form speak of a row's best key alone, the others being chosen by their logits? */
bool closed_form_of_best(const att_variant_part *part);

#endif
