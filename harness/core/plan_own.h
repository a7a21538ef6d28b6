/* SPDX-License-Identifier: Apache-2.0 */
/* What the plan's own files share: how a row and a case come into it. */
#ifndef ATT_PLAN_OWN_H
#define ATT_PLAN_OWN_H

#include "core/plan.h"

/* Sets why; returns ATT_NO_MEMORY. */
att_status att_plan_no_memory(att_why *why);
/* A row of `budget` seconds (0 = no limit); cases taken next belong to plan->n_rows - 1. */
att_status att_plan_add_row(att_run_plan *plan, double budget, att_why *why);
/* Takes the case over, in every event: what cannot be kept is dropped. */
att_status att_plan_take(att_run_plan *plan, att_case *c, size_t row, bool required, att_why *why);

#endif
