/* SPDX-License-Identifier: Apache-2.0 */
/* Mixes of softmax attentions with fixed gates: what each does with a circuit that was made for one
 * softmax.
 *
 *   differential   q = [query | 0], k = [key | key], lambda 1/2: the second map is an even spread
 *   gated          gates of 40, whose sigmoid is 1: plain softmax
 *   forgetting     every forget gate is 1: plain softmax
 *   nsa            blocks of 64, 16 of them chosen, a window of 512; the three gates 1/3 each
 *   memory         32 far keys, a window of 512, gate 1/2 */
#include <stdlib.h>
#include <string.h>

#include "evals/probes/call_parts.h"

typedef struct mix_how {
    int32_t kind;
    int64_t wide; /* columns of the gate; -1 = value_dim; 0 = none */
    float gate, lambda;
    int64_t block, keep, window;
} mix_how;

static const mix_how hows[] = {
    {ATT_MIX_GATED, -1, 40, 0, 0, 0, 0},         {ATT_MIX_FORGETTING, 0, 0, 0, 0, 0, 0},
    {ATT_MIX_NSA, 3, 1.0f / 3, 0, 64, 16, 512},  {ATT_MIX_MEMORY, 1, 0.5f, 0, 0, 32, 512},
    {ATT_MIX_DIFFERENTIAL, 0, 0, 0.5f, 0, 0, 0}, /* last: its keys are copied */
};

/* Everything of a call; `k`: keys twice, NULL = the circuit's own. */
typedef struct mixed {
    att_problem p;
    att_mix section;
    float *q, *k, *forget;
    float gate[3], lambda;
    float *gates;
} mixed;

static void widen(const float *from, float by, float second, int64_t rows, float *to)
{
    for (int64_t r = 0; r < rows; r++) {
        probe_times(to + 2 * r * PROBE_CODE, from + r * PROBE_CODE, by, PROBE_CODE);
        probe_times(to + (2 * r + 1) * PROBE_CODE, from + r * PROBE_CODE, second, PROBE_CODE);
    }
}

static att_tensor everywhere(float *data, int64_t n)
{
    return att_tensor_dense(data, ATT_F32, 1, 1, 1, n);
}

static bool make(const probe_asking *a, const mix_how *how, float *out, mixed *m)
{
    const probe_circuit *c = a->c;
    const int64_t heads = c->contexts * c->heads, tokens = c->contexts * c->len;
    const bool twice = how->kind == ATT_MIX_DIFFERENTIAL;
    const int64_t wide = how->wide < 0 ? c->width : how->wide;

    *m = (mixed){.p = probe_problem(c), .lambda = how->lambda};
    m->p.head_dim = twice ? 2 * PROBE_CODE : PROBE_CODE;
    m->q = malloc((size_t)(probe_rows(c) * m->p.head_dim) * sizeof *m->q);
    m->k = twice ? malloc((size_t)(tokens * m->p.head_dim) * sizeof *m->k) : c->k;
    m->forget = calloc((size_t)(heads * c->len), sizeof *m->forget);
    m->gates = malloc((size_t)(wide + 1) * sizeof *m->gates);
    if (!m->q || !m->k || !m->forget || !m->gates)
        return false;
    if (twice) {
        widen(a->q, a->fit.q, 0, probe_rows(c), m->q);
        widen(c->k, 1, 1, tokens, m->k);
        m->p.k = att_tensor_dense(m->k, ATT_F32, 1, c->contexts, c->len, m->p.head_dim);
    } else {
        probe_times(m->q, a->q, a->fit.q, probe_rows(c) * PROBE_CODE);
    }
    for (int64_t d = 0; d < wide; d++)
        m->gates[d] = how->gate;
    m->p.q = att_tensor_dense(m->q, ATT_F32, 1, heads, c->rows, m->p.head_dim);
    m->p.out = att_tensor_dense(out, ATT_F32, 1, heads, c->rows, c->width);
    m->section =
        (att_mix){.kind = how->kind, .block = how->block, .keep = how->keep, .window = how->window};
    if (twice)
        m->section.lambda = everywhere(&m->lambda, 1);
    if (wide)
        m->section.gate = everywhere(m->gates, wide);
    if (how->kind == ATT_MIX_FORGETTING)
        m->section.forget = att_tensor_dense(m->forget, ATT_F32, 1, 1, heads, c->len);
    m->p.mix = &m->section;
    return true;
}

static void drop(const probe_asking *a, mixed *m)
{
    free(m->q);
    if (m->k != a->c->k)
        free(m->k);
    free(m->forget);
    free(m->gates);
}

/* The kernel's own kind is the first that it accepts. */
att_status probe_mix(const probe_asking *a, float *out)
{
    att_status status = ATT_UNSUPPORTED;

    for (size_t i = 0; i < sizeof hows / sizeof *hows && status == ATT_UNSUPPORTED; i++) {
        mixed m;
        status = make(a, &hows[i], out, &m) ? att_ctx_call(a->x, a->part, ATT_OP_MIX, &m.p, NULL)
                                            : ATT_NO_MEMORY;
        drop(a, &m);
    }
    return status;
}
