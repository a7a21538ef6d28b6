/* SPDX-License-Identifier: Apache-2.0 */
/* From a kernel's outputs to a case's items and numbers. */
#ifndef ATT_PROBES_JUDGE_H
#define ATT_PROBES_JUDGE_H

#include "evals/probes/call.h"
#include "evals/probes/task.h"

/* Attentions a question of the task. */
int64_t probe_hops(const probe_task *task);

/* Question i as answered by out [hops][contexts * heads,rows,width]. */
probe_outcome probe_answer(const probe_task *task, const probe_circuit *c, int64_t i,
                           const float *out);

/* All questions, each an item, added up in t (reach -1, nearest infinite at first).  chosen: what
 * the kernel says that the first attention sees, [contexts * heads,rows,len]; NULL = not known. */
void probe_judge(att_ctx *x, const probe_task *task, const probe_circuit *c,
                 const probe_manner *how, const float *out, const uint8_t *chosen, probe_tally *t);
void probe_record(att_ctx *x, const probe_circuit *c, const probe_tally *t);

#endif
