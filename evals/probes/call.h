/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's answer to a circuit, by whichever operator it offers. */
#ifndef ATT_PROBES_CALL_H
#define ATT_PROBES_CALL_H

#include "evals/probes/circuit.h"

/* The ops by which a kernel can be asked; for att_eval.ops. */
#define PROBE_OPS                                                                                  \
    (1u << ATT_OP_ATTEND | 1u << ATT_OP_MIX | 1u << ATT_OP_SESSION | 1u << ATT_OP_RECUR)

/* How K and V may be stored for kernels that attend (call_forms.c); auto: the first of the others
 * that the kernel takes.  Those that mix, hold sessions or recur get f32. */
#define PROBE_STORES "auto|f32|f16|bf16|latent|shared|paged|i8tok|i8chan|kivi|q8_0|q4_0|e4m3|e5m2"

/* What a recurrence holds before the first row that is asked: no query has a part in it, so that
 * the calls on one circuit can share it.  Zero before the first; owned. */
typedef struct probe_held {
    float *state, *z;
} probe_held;

void probe_held_drop(probe_held *held);

/* How a circuit is asked. */
typedef struct probe_manner {
    double match;      /* the logit of a query that meets its own key; 0 = what suits the kernel */
    double norm;       /* of every key; 0 = what suits the kernel */
    const char *store; /* a word of PROBE_STORES; NULL = auto */
    probe_held *held; /* by the calls before, of the same kernel on the same circuit; NULL = none */
} probe_manner;

/* out [contexts * heads,rows,width] f32, NaN before the call, of queries q laid out as c->q.
 * UNSUPPORTED with the kernel's reason in the context. */
att_status probe_call(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, const probe_manner *how, float *out);

/* Which keys the kernel says that each row sees in that call, [contexts * heads,rows,len] of 0 and
 * 1.  UNSUPPORTED: it offers no `select` (of sessions: no `seen`). */
att_status probe_seen(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, const probe_manner *how, uint8_t *allowed);

/* Does probe_seen have an answer for it? */
bool probe_selects(const att_kernel *k);

/* The logit of a match that suits softmax, and so dense attention; or `match` where that is given.
 */
double probe_match(double match);

/* Unit roundoff of K and V as stored in that call; NAN: quantised. */
double probe_store_unit(const att_variant_part *part, const probe_circuit *c,
                        const probe_manner *how);

/* Keys before a query that the call leaves to it, beside what the kernel's own parameters do: a
 * session that needs a window is opened with one of PROBE_WINDOW.  -1: all. */
#define PROBE_WINDOW 256
int64_t probe_window(const att_variant_part *part, const probe_circuit *c);

/* The problem that probe_call states to a kernel that attends, without Q and out; for its cost. */
att_problem probe_problem(const probe_circuit *c);

#endif
