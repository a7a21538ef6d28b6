/* SPDX-License-Identifier: Apache-2.0 */
/* Judges what evals measured: a case against the limits of its metric table, a run's probes against
 * dense, a whole run to an exit code. */
#ifndef ATT_VERDICT_H
#define ATT_VERDICT_H

#include "core/result.h"

/* The kernel that probes are compared with, as records write it. */
#define ATT_VERDICT_DENSE "flash_f32"
/* Two-sided level of the intervals. */
#define ATT_VERDICT_CONFIDENCE 0.95

/* Fills limit and verdict of each metric that binds the record's class.  A record that came in as
 * PASS ends as FAIL where one is violated, as ERROR where it measured nothing or something that the
 * table does not know; one with another status keeps it. */
void att_verdict_case(const att_eval *eval, att_record *r);

/* Whether every metric recorded so far keeps its limit, where that binds the record's class. */
bool att_verdict_holds(const att_eval *eval, const att_record *r);

/* The probes of a run (records with items and a chance level).  A cell is a measure with its
 * parameters, its seeds pooled.  What passed becomes NO_POWER where dense does not clear chance
 * there; a kernel that declares a margin passes, fails or is INCONCLUSIVE by the interval of its
 * paired difference to dense, which is added as metric "accuracy_minus_dense".  Failures and
 * crashes stay what they are.  Judging twice changes nothing. */
void att_verdict_run(att_result *result);

/* The exit code; `signal` is what interrupted the run, 0 = nothing. */
int att_verdict_exit(const att_result *result, int signal);

#endif
