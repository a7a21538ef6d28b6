/* SPDX-License-Identifier: Apache-2.0 */
/* The operators by which probe_call asks, one a file. */
#ifndef ATT_PROBES_CALL_PARTS_H
#define ATT_PROBES_CALL_PARTS_H

#include "evals/probes/call.h"

/* Norms of queries and keys, at the scale 1 / 8. */
typedef struct probe_fit {
    float q, k;
} probe_fit;

/* Who is asked what. */
typedef struct probe_asking {
    att_ctx *x;
    const att_variant_part *part;
    const probe_circuit *c;
    const float *q; /* as c->q */
    probe_fit fit;
    const char *store; /* never NULL */
    probe_held *held;  /* NULL = none */
} probe_asking;

/* What is wanted: `out`, or (out == NULL) which keys are seen, `allowed`. */
typedef struct probe_wanted {
    float *out;
    uint8_t *allowed;
} probe_wanted;

static inline void probe_times(float *to, const float *from, float by, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = by * from[i];
}

static inline int64_t probe_rows(const probe_circuit *c)
{
    return c->contexts * c->heads * c->rows;
}

/* --- call_forms.c: kernels that attend.  K of the circuit is of norm fit.k meanwhile. */
att_status probe_attend(const probe_asking *a, probe_wanted w);

/* --- call_mix.c */
att_status probe_mix(const probe_asking *a, float *out);

/* --- call_session.c */
att_status probe_session(const probe_asking *a, probe_wanted w);

/* --- call_recur.c */
/* The rule that a kernel's recurrence follows: the first that it accepts; -1 = none. */
int32_t probe_rule(const att_variant_part *part, const probe_circuit *c);
att_status probe_recur(const probe_asking *a, int32_t rule, float *out);

#endif
