/* SPDX-License-Identifier: Apache-2.0 */
/* Parity of kernels with a function of their own. */
#ifndef ATT_PARITY_OWN_H
#define ATT_PARITY_OWN_H

#include "evals/numeric/parity.h"

/* Judges a kernel of class OWN by its rule's recurrence; UNSUPPORTED where it offers nothing that
 * the case can state. */
att_status parity_own(att_ctx *x, parity_inputs *in, const att_units *units);

#endif
