/* SPDX-License-Identifier: Apache-2.0 */
/* A probe task's circuit without a run, and outputs made for it. */
#ifndef ATT_EVALS_TESTS_MADE_PROBE_H
#define ATT_EVALS_TESTS_MADE_PROBE_H

#include <stdlib.h>
#include <string.h>

#include "base/tests/suite.h"
#include "evals/probes/task.h"

/* The circuit of a task over codes of its own.  Owned by the caller: made_circuit_drop. */
static inline probe_circuit *made_circuit(const probe_task *task, int64_t len, uint64_t seed)
{
    probe_circuit *c = calloc(1, sizeof *c);
    float *code = malloc((size_t)PROBE_CODES * PROBE_CODE * sizeof *code);
    att_rng rng = att_rng_make(seed, "circuit"), words = att_rng_make(1, "code");
    att_why why = {""};

    CU_ASSERT_TRUE_FATAL(c && code);
    for (int64_t i = 0; i < PROBE_CODES * PROBE_CODE; i++)
        code[i] = (float)att_rng_normal(&words) / 8;
    c->code = code;
    c->len = len;
    c->facts = task->facts;
    CU_ASSERT_EQUAL_FATAL(task->make(c, &rng, &why), ATT_OK);
    return c;
}

static inline void made_circuit_drop(probe_circuit *c)
{
    free((void *)(uintptr_t)c->code);
    probe_circuit_drop(c);
}

/* An output of `hops` attentions, all 0.  Owned by the caller. */
static inline float *made_out(const probe_circuit *c, int64_t hops)
{
    float *out = calloc((size_t)(hops * c->contexts * c->heads * c->rows * c->width), sizeof *out);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    return out;
}

/* Question i's row of one hop of it. */
static inline float *made_row(const probe_circuit *c, float *out, int64_t hop, int64_t i)
{
    return out + (probe_row(c, &c->asked[i], probe_hop(c, out, hop)) - out);
}

/* Question i is given a code by one hop of out. */
static inline void made_say(const probe_circuit *c, float *out, int64_t hop, int64_t i,
                            int64_t code)
{
    memcpy(made_row(c, out, hop, i), c->code + code * PROBE_CODE, PROBE_CODE * sizeof *out);
}

#endif
