/* SPDX-License-Identifier: Apache-2.0 */
/* The evals, expanded from evals.def; ends with NULL. */
#ifndef ATT_EVALS_TABLE_H
#define ATT_EVALS_TABLE_H

#include "core/eval.h"

extern const att_eval *const att_evals[];

#endif
