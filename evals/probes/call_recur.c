/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrences are asked CHUNK tokens a call and carry their state, so that memory does not grow
 * with the context: one query head until the first row that is asked, then all of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/probes/call_parts.h"

#define CHUNK 1024
#define RULES (ATT_RULE_BASED + 1)

/* One call's tensors, and the state. */
typedef struct chunk {
    float *q, *k, *v, *out, *g, *beta, *state, *z;
    int64_t features;
} chunk;

static bool chunk_make(const probe_circuit *c, int32_t rule, chunk *s)
{
    const size_t kv = (size_t)(c->contexts * CHUNK), heads = (size_t)(c->heads);

    s->features = rule == ATT_RULE_BASED ? 1 + PROBE_CODE + PROBE_CODE * PROBE_CODE : PROBE_CODE;
    s->q = malloc(kv * heads * PROBE_CODE * sizeof(float));
    s->k = malloc(kv * PROBE_CODE * sizeof(float));
    s->v = malloc(kv * (size_t)c->width * sizeof(float));
    s->out = malloc(kv * heads * (size_t)c->width * sizeof(float));
    s->g = calloc(kv * PROBE_CODE, sizeof(float));
    s->beta = malloc(kv * sizeof(float));
    s->state = calloc((size_t)(c->contexts * s->features * c->width), sizeof(float));
    s->z = calloc((size_t)(c->contexts * s->features), sizeof(float));
    for (size_t i = 0; s->beta && i < kv; i++)
        s->beta[i] = 1;
    return s->q && s->k && s->v && s->out && s->g && s->beta && s->state && s->z;
}

static void chunk_drop(chunk *s)
{
    float *all[] = {s->q, s->k, s->v, s->out, s->g, s->beta, s->state, s->z};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* The problem of n tokens and `heads` query heads a context: gates 1, beta 1, the state in place.
 */
static att_problem chunk_problem(const probe_circuit *c, const chunk *s, int64_t n, int64_t heads,
                                 int32_t rule, att_recur *r)
{
    att_problem p = probe_problem(c);
    const bool channels = rule == ATT_RULE_GLA;
    const bool normed = rule == ATT_RULE_LINEAR_ELU1 || rule == ATT_RULE_BASED;

    *r = (att_recur){.rule = rule};
    p.q_len = p.kv_len = n;
    p.heads_q = c->contexts * heads;
    p.scale = rule == ATT_RULE_SSD ? 1 : (double)NAN;
    p.q = att_tensor_dense(s->q, ATT_F32, 1, p.heads_q, n, PROBE_CODE);
    p.k = att_tensor_dense(s->k, ATT_F32, 1, p.heads_kv, n, PROBE_CODE);
    p.v = att_tensor_dense(s->v, ATT_F32, 1, p.heads_kv, n, c->width);
    p.out = att_tensor_dense(s->out, ATT_F32, 1, p.heads_q, n, c->width);
    if (channels || rule == ATT_RULE_GATED_DELTA || rule == ATT_RULE_SSD)
        r->g = att_tensor_dense(s->g, ATT_F32, 1, p.heads_kv, n, channels ? PROBE_CODE : 1);
    if (rule == ATT_RULE_DELTA || rule == ATT_RULE_GATED_DELTA)
        r->beta = att_tensor_dense(s->beta, ATT_F32, 1, p.heads_kv, n, 1);
    r->state_in = r->state_out =
        att_tensor_dense(s->state, ATT_F32, 1, p.heads_kv, s->features, c->width);
    if (normed)
        r->z_in = r->z_out = att_tensor_dense(s->z, ATT_F32, 1, p.heads_kv, 1, s->features);
    p.recur = r;
    return p;
}

/* Copies tokens [from, from + n) of every head into the call's tensors; `asked`: the queries of
 * these rows too, else 0. */
static void chunk_fill(const probe_asking *a, int64_t from, int64_t n, bool asked, chunk *s)
{
    const probe_circuit *c = a->c;
    const int64_t first = c->len - c->rows;

    for (int64_t g = 0; g < c->contexts; g++) {
        probe_times(s->k + g * n * PROBE_CODE, c->k + (g * c->len + from) * PROBE_CODE, a->fit.k,
                    n * PROBE_CODE);
        memcpy(s->v + g * n * c->width, c->v + (g * c->len + from) * c->width,
               (size_t)(n * c->width) * sizeof(float));
    }
    if (!asked)
        memset(s->q, 0, (size_t)(c->contexts * n * PROBE_CODE) * sizeof(float));
    for (int64_t h = 0; h < c->contexts * c->heads && asked; h++)
        probe_times(s->q + h * n * PROBE_CODE, a->q + (h * c->rows + from - first) * PROBE_CODE,
                    a->fit.q, n * PROBE_CODE);
}

static void chunk_take(const probe_circuit *c, int64_t from, int64_t n, const chunk *s, float *out)
{
    const int64_t first = c->len - c->rows;

    for (int64_t h = 0; h < c->contexts * c->heads; h++)
        memcpy(out + (h * c->rows + from - first) * c->width, s->out + h * n * c->width,
               (size_t)(n * c->width) * sizeof(float));
}

void probe_held_drop(probe_held *held)
{
    free(held->state);
    free(held->z);
    *held = (probe_held){0};
}

/* Keeps the state for the calls that follow, or takes the one that was kept. */
static att_status keep(const probe_circuit *c, probe_held *held, chunk *s)
{
    const size_t z = (size_t)(c->contexts * s->features), n = z * (size_t)c->width;
    const bool found = held->state != NULL;

    if (!found) {
        held->state = malloc(n * sizeof(float));
        held->z = malloc(z * sizeof(float));
        if (!held->state || !held->z) {
            probe_held_drop(held);
            return ATT_NO_MEMORY;
        }
    }
    memcpy(found ? s->state : held->state, found ? held->state : s->state, n * sizeof(float));
    memcpy(found ? s->z : held->z, found ? held->z : s->z, z * sizeof(float));
    return ATT_OK;
}

att_status probe_recur(const probe_asking *a, int32_t rule, float *out)
{
    const probe_circuit *c = a->c;
    const int64_t first = c->len - c->rows;
    chunk s = {0};
    att_recur section;
    att_status status = chunk_make(c, rule, &s) ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t from = a->held && a->held->state ? first : 0, n; from < c->len && status == ATT_OK;
         from += n) {
        const bool asked = from >= first;
        n = (asked ? c->len : first) - from;
        n = n < CHUNK ? n : CHUNK;
        if (from == first && a->held)
            status = keep(c, a->held, &s);
        if (status != ATT_OK)
            break;
        chunk_fill(a, from, n, asked, &s);
        att_problem p = chunk_problem(c, &s, n, asked ? c->heads : 1, rule, &section);
        status = att_ctx_call(a->x, a->part, ATT_OP_RECUR, &p, NULL);
        if (status == ATT_OK && asked)
            chunk_take(c, from, n, &s, out);
    }
    chunk_drop(&s);
    return status;
}

int32_t probe_rule(const att_variant_part *part, const probe_circuit *c)
{
    const int64_t n = c->len < CHUNK ? c->len : CHUNK;
    int32_t found = -1;

    for (int32_t rule = 0; rule < RULES && found < 0; rule++) {
        chunk s = {0};
        att_recur section;
        att_reason why;
        if (chunk_make(c, rule, &s)) {
            att_problem p = chunk_problem(c, &s, n, 1, rule, &section);
            if (part->kernel->supports(part->kernel, ATT_OP_RECUR, &p, part->values, &why) ==
                ATT_OK)
                found = rule;
        }
        chunk_drop(&s);
    }
    return found;
}
