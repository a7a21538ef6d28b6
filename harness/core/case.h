/* SPDX-License-Identifier: Apache-2.0 */
/* A case is one line of text: measure, kernel, parameters, seed.  Printing is canonical, so equal
 * cases are equal strings and parse(print(c)) = c. */
#ifndef ATT_CASE_H
#define ATT_CASE_H

#include "core/registry.h"

#define ATT_SEED_MAX ((uint64_t)1 << 53) /* exclusive: a seed survives a trip through JSON */

/* Everything lies in the case's own arena. */
typedef struct att_case {
    const att_eval *eval;
    const char *task; /* "" where the eval has none */
    const att_variant *variant;
    const att_value *values; /* of eval->params, in declared order */
    uint64_t seed;           /* 1 unless said */
    const char *line;        /* the whole, canonical */
    const char *id;          /* without the seed */
    const char *measure;     /* "lm.needle" */
    const char *params;      /* "b=2 hq=6", without seed */
    const char *all_params;  /* the same with the defaults written out */
    const char *items;       /* measure and params: what every kernel shares */
    const char *group;       /* the group's key, seed and (if asked) kernel included */
    const char *group_items; /* eval and the group's parameters: the group's random streams */
    double seconds;          /* estimated */
    att_arena arena;
} att_case;

/* INVALID (a usage error, in words that name the nearest valid thing) or NO_MEMORY. */
att_status att_case_parse(att_registry *r, const char *line, att_case **out, att_why *why);
/* From parts: params as `key=value` separated by spaces.  seed_given wins over a seed in params. */
att_status att_case_make(att_registry *r, const char *measure, const char *kernel,
                         const char *params, const uint64_t *seed, att_case **out, att_why *why);
void att_case_drop(att_case *c);

#endif
