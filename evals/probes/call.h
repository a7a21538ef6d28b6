/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's answer to a circuit, by whichever operator it offers. */
#ifndef ATT_PROBES_CALL_H
#define ATT_PROBES_CALL_H

#include "evals/probes/circuit.h"

/* The ops by which a kernel can be asked; for att_eval.ops. */
#define PROBE_OPS (1u << ATT_OP_ATTEND | 1u << ATT_OP_RECUR)

/* out [contexts * heads,rows,width] f32, NaN before the call, of queries q laid out as c->q.
 * `match`: the logit of a query that meets its own key; 0 = what suits the kernel (CIRCUITS.md).
 * UNSUPPORTED with the kernel's reason in the context. */
att_status probe_call(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, double match, float *out);

/* The problem that probe_call states to a kernel that attends, without Q and out; for its cost. */
att_problem probe_problem(const probe_circuit *c);

#endif
