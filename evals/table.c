/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#define ATT_EVAL(x) extern const att_eval att_eval_##x;
#include "evals.def"
#undef ATT_EVAL

#define ATT_EVAL(x) &att_eval_##x,
const att_eval *const att_evals[] = {
#include "evals.def"
    NULL};
