/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's coverage passport: what a run asked of it, what it refused, and which traps its cases
 * were set in, so that a pass says what it covers. */
#ifndef ATT_CLI_PASSPORT_H
#define ATT_CLI_PASSPORT_H

#include "base/arena.h"
#include "core/registry.h"
#include "core/result.h"

/* How far something came: nobody asked; asked and refused by the kernel; run. */
typedef enum att_reach { ATT_REACH_NONE = 0, ATT_REACH_REFUSED, ATT_REACH_RAN } att_reach;

/* Cases that share a value, a trap or a measure. */
typedef struct att_passport_count {
    size_t ran, refused;
} att_passport_count;

typedef struct att_passport_level {
    const char *value; /* canonical */
    att_passport_count cases;
} att_passport_level;

typedef struct att_passport_param {
    const char *name;
    att_passport_level *levels; /* declared ones first */
    size_t n, room;
} att_passport_param;

/* Why cases were refused, the most frequent first. */
typedef struct att_passport_reason {
    const char *text;
    size_t cases;
} att_passport_reason;

/* A trap that parameters of a case set. */
typedef struct att_passport_trap {
    const char *name, *text;
    att_passport_count cases;
    const char *why; /* the first reason of the refused ones; NULL = none */
} att_passport_trap;

typedef struct att_passport_measure {
    const char *name;
    const att_eval *eval;
    size_t outcome[ATT_OUTCOMES];
    att_passport_param *params;
    size_t n_params;
    size_t pairs, pairs_ran, pairs_refused; /* of levels, which a valid case can hold */
    att_passport_reason *reasons;
    size_t n_reasons;
    att_passport_trap *traps;
    size_t n_traps;
} att_passport_measure;

typedef struct att_passport {
    att_arena arena;
    const char *kernel;
    att_passport_measure *measures; /* numeric ones, in the order of the result */
    size_t n;
} att_passport;

/* What result says of `kernel` (its canonical text).  Pairs are counted against a covering array of
 * the eval's declared levels.  Texts lie in the arena or the result.  INVALID: no such kernel in
 * the result; NO_MEMORY. */
att_status att_passport_make(att_registry *registry, const att_result *result, const char *kernel,
                             att_passport *out, att_why *why);
void att_passport_drop(att_passport *passport);

void att_passport_print_text(const att_passport *passport);
void att_passport_print_json(const att_passport *passport);

#endif
