/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix task x control of `attest audit`, and what is wrong in it. */
#ifndef ATT_AUDIT_PRINT_H
#define ATT_AUDIT_PRINT_H

#include "core/eval.h"
#include "gate/audit.h"

typedef struct att_audit_report {
    const att_eval *eval; /* whose tasks were audited */
    const att_audit *audit;
    double gap;
} att_audit_report;

/* No task is blind, none is solved by a control that it does not spare, and every chance level that
 * was checked holds. */
bool att_audit_sound(const att_audit_report *report);

/* To stdout. */
void att_audit_print_text(const att_audit_report *report);
void att_audit_print_json(const att_audit_report *report);

#endif
