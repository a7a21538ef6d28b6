/* SPDX-License-Identifier: Apache-2.0 */
/* The kill matrix: which bug falls to whose rule, on this suite's inputs and on popular ones.
 *
 * A rule that fails most right kernels on a case has no say there: as a test it would be red before
 * the bug came, so failing the bug too is no catch. */
#ifndef ATT_CLI_ZOO_JUDGES_H
#define ATT_CLI_ZOO_JUDGES_H

#include "cli.h"
#include "core/result.h"

#define ATT_JUDGES_MOST 16

/* The inputs that outputs were made from. */
enum { ATT_INPUTS_OWN, ATT_INPUTS_POPULAR, ATT_INPUTS };

/* What the judges said of some cases: caught = failed by a rule that has a say (of right kernels:
 * failed); a crash or a timeout counts as caught by all. */
typedef struct att_judged {
    size_t cases, lost; /* lost: crashes and timeouts among them */
    size_t caught[ATT_JUDGES_MOST];
} att_judged;

typedef struct att_judges_row {
    const char *kernel;    /* the record's text */
    const att_kernel *bug; /* NULL = a kernel that is right */
    att_judged on[ATT_INPUTS];
} att_judges_row;

typedef struct att_judges_matrix {
    const att_metric_spec *judge[ATT_JUDGES_MOST];
    size_t n_judges;
    att_judges_row *rows; /* those with a case, bugs first */
    size_t n, bugs;
    att_judged right[ATT_INPUTS]; /* the sum of the right kernels: caught = false alarms */
    size_t killed[ATT_INPUTS][ATT_JUDGES_MOST];
} att_judges_matrix;

/* The judges that `names` asks for, "all" or names of the eval's metrics, in the eval's order.
 * INVALID and why: an unknown name. */
att_status att_judges_choose(const att_eval *eval, const att_list *names, att_judges_matrix *out,
                             att_why *why);
/* Counts the records of the eval in `results`, one a kind of inputs.  zoo: table that ends with
 * NULL; every other kernel counts as right.  Texts point into the results.  NO_MEMORY. */
att_status att_judges_count(const att_result results[ATT_INPUTS], const att_kernel *const *zoo,
                            att_judges_matrix *out);
void att_judges_drop(att_judges_matrix *matrix);

void att_judges_print_text(const att_judges_matrix *matrix);
void att_judges_print_json(const att_judges_matrix *matrix);

#endif
