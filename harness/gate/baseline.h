/* SPDX-License-Identifier: Apache-2.0 */
/* What a suite's cases ended as when somebody last looked and agreed: a file under version control,
 * one case a line. */
#ifndef ATT_BASELINE_H
#define ATT_BASELINE_H

#include "core/result.h"

#define ATT_BASELINE_MAJOR 1
#define ATT_BASELINE_MINOR 0

/* One seed of a case.  `record` holds line, id, measure, kernel, seed, status; of the metrics those
 * that were judged (name, value in 4 digits, n; no count that must be 0); of the items who was hit,
 * and where they are kept their scores. */
typedef struct att_baseline_run {
    att_record record;
    uint64_t questions; /* hash of the items' contexts and depths; 0 = no items */
} att_baseline_run;

typedef struct att_baseline_case {
    char *id;         /* the case's line without its seed */
    char *reason;     /* why it was accepted, where that is not the file's reason; NULL = it is */
    double tolerance; /* how much worse a judged metric may get, in its limits (a share of |limit|,
                       * or a count where the limit is 0); NAN = what the policy says */
    att_baseline_run *runs; /* by seed */
    size_t n_runs;
} att_baseline_case;

typedef struct att_baseline {
    char *suite, *reason;
    att_baseline_case *cases; /* by id */
    size_t n_cases;
    att_declaration *declarations; /* by kernel */
    size_t n_declarations;
} att_baseline;

/* Of a result.  With `as`, every case is that of kernel `as` in place of `from`.  NO_MEMORY. */
att_status att_baseline_make(const att_result *result, const char *from, const char *as,
                             att_baseline *out, att_why *why);
void att_baseline_drop(att_baseline *b);

/* Keeps the scores of items only in cases whose id matches, in the digits of the file. */
void att_baseline_keep_scores(att_baseline *b, const char *glob);

/* Of an id; NULL = none. */
const att_baseline_case *att_baseline_find(const att_baseline *b, const char *id);
const att_baseline_run *att_baseline_seed(const att_baseline_case *c, uint64_t seed);

/* Hash of the contexts and depths of a record's items; 0 without items. */
uint64_t att_baseline_questions(const att_record *r);

/* Says what is different between two cases of one id, "" = nothing; into out[size]. */
void att_baseline_change(const att_baseline_case *was, const att_baseline_case *is, char *out,
                         size_t size);

/* Takes the cases whose id matches the glob (NULL: every one) from `from` into `to`, for `reason`;
 * those that are equal stay as they are.  The declarations of kernels with such a case, too.
 * *taken: how many cases are new or changed.  NO_MEMORY leaves `to` fit to be dropped alone. */
att_status att_baseline_accept(att_baseline *to, const att_baseline *from, const char *glob,
                               const char *reason, size_t *taken);
/* Removes the cases that match the glob and that `kept` does not hold, and declarations without a
 * case; returns how many cases. */
size_t att_baseline_prune(att_baseline *b, const att_baseline *kept, const char *glob);

/* Canonical: sorted, one case a line, equal baselines in equal bytes.  IO, NO_MEMORY. */
att_status att_baseline_write(const att_baseline *b, const char *path, att_why *why);
/* CORRUPT, with file and line: another major version, a repeated key or case, an unknown member, a
 * number that is none, a file cut short. */
att_status att_baseline_read(const char *path, att_baseline *out, att_why *why);
att_status att_baseline_parse(const char *text, size_t length, const char *name, att_baseline *out,
                              att_why *why);

#endif
