/* SPDX-License-Identifier: Apache-2.0 */
/* Covering arrays: few cases in which every pair of levels meets (strength 2), and every triple
 * among chosen parameters (strength 3), so that a bug which needs two conditions at once is met. */
#ifndef ATT_COVER_H
#define ATT_COVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

typedef struct att_cover_factor {
    size_t levels; /* at least 1; level 0 is the resting level (a parameter's default) */
    bool strong;   /* every triple among the strong factors is covered too */
} att_cover_factor;

/* Is this row (a level index a factor) a case that makes sense? */
typedef bool (*att_cover_valid)(const void *arg, const size_t *row);

typedef struct att_cover {
    size_t factors, rows;
    size_t *level;      /* [rows][factors] */
    size_t targets;     /* pairs and triples */
    size_t unreachable; /* of them, those for which no valid row was found */
} att_cover;

/* Rows that cover every pair (and strong triple) that a valid row can hold.  A function of its
 * arguments only.  INVALID: a factor without levels; NO_MEMORY. */
att_status att_cover_make(const att_cover_factor *factors, size_t n, att_cover_valid valid,
                          const void *arg, uint64_t seed, att_cover *out, att_why *why);
void att_cover_drop(att_cover *cover);

/* The same over a table of declared parameters.  levels[i]: space-separated values of params[i] to
 * use in place of its declared levels, NULL = the declared ones (or only its default); levels
 * itself may be NULL.  strong: names, space separated, or NULL.  valid: as in att_eval, may be
 * NULL. */
typedef struct att_cover_cases {
    size_t count;  /* cases */
    size_t params; /* values a case, in declared order */
    char **value;  /* [count][params], owned */
    att_cover cover;
} att_cover_cases;

att_status att_cover_params(const att_param *params, const char *const *levels, const char *strong,
                            bool (*valid)(const att_value *params), uint64_t seed,
                            att_cover_cases *out, att_why *why);
void att_cover_cases_drop(att_cover_cases *cases);

#endif
