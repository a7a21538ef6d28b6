/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's answer to a circuit.
 *
 * Softmax attends with logits match * cos, match = 24 unless said: a haystack's key weighs e^(24^2
 * / 128) = 90 on average against a needle's e^24.  The linear family has no such sharpness: cosines
 * themselves (queries and keys of norm 1), elu + 1 on norms of 8 (a linear map would see nothing
 * but the ones), Taylor's second order at 4 cosines.  Recurrences are asked CHUNK tokens a call and
 * carry their state, so that memory does not grow with the context. */
#include "evals/probes/call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1024

/* Norms of queries and keys, at the scale 1 / 8. */
typedef struct fit {
    float q, k;
} fit;

static const fit SOFTMAX = {24 * 8, 1};
static const fit fits[] = {
    [ATT_RULE_LINEAR] = {8, 1}, [ATT_RULE_LINEAR_ELU1] = {8, 8}, [ATT_RULE_RETENTION] = {8, 1},
    [ATT_RULE_GLA] = {8, 1},    [ATT_RULE_DELTA] = {8, 1},       [ATT_RULE_GATED_DELTA] = {8, 1},
    [ATT_RULE_SSD] = {1, 1},    [ATT_RULE_BASED] = {4 * 8, 1}};
#define RULES ((int32_t)(sizeof fits / sizeof *fits))

att_problem probe_problem(const probe_circuit *c)
{
    att_problem p = att_problem_init();

    p.batch = 1;
    p.heads_q = c->contexts * c->heads;
    p.heads_kv = c->contexts;
    p.q_len = c->rows;
    p.kv_len = c->len;
    p.head_dim = PROBE_CODE;
    p.value_dim = c->width;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.k = att_tensor_dense(c->k, ATT_F32, 1, p.heads_kv, c->len, PROBE_CODE);
    p.v = att_tensor_dense(c->v, ATT_F32, 1, p.heads_kv, c->len, c->width);
    return p;
}

static void times(float *to, const float *from, float by, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = by * from[i];
}

/* K is multiplied in place and back by a power of two, which is exact. */
static att_status attend(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                         const float *q, const fit *f, float *out)
{
    att_problem p = probe_problem(c);
    const int64_t rows = p.heads_q * c->rows, tokens = c->contexts * c->len;
    float *scaled = malloc((size_t)(rows * PROBE_CODE) * sizeof *scaled);

    if (!scaled)
        return ATT_NO_MEMORY;
    times(scaled, q, f->q, rows * PROBE_CODE);
    p.q = att_tensor_dense(scaled, ATT_F32, 1, p.heads_q, c->rows, PROBE_CODE);
    p.out = att_tensor_dense(out, ATT_F32, 1, p.heads_q, c->rows, c->width);
    if (f->k != 1)
        times(c->k, c->k, f->k, tokens * PROBE_CODE);
    att_status status = att_ctx_call(x, part, ATT_OP_ATTEND, &p, NULL);
    if (f->k != 1)
        times(c->k, c->k, 1 / f->k, tokens * PROBE_CODE);
    free(scaled);
    return status;
}

/* One call's tensors of a recurrence, and its state. */
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

/* Tokens of [from, from + n) before the first row that is asked. */
static int64_t lead_of(const probe_circuit *c, int64_t from)
{
    const int64_t first = c->len - c->rows;

    return first > from ? first - from : 0;
}

/* Copies tokens [from, from + n) of every head into the call's tensors; queries before the asked
 * rows are 0. */
static void chunk_fill(const probe_circuit *c, const float *q, const fit *f, int64_t from,
                       int64_t n, chunk *s)
{
    const int64_t first = c->len - c->rows, lead = lead_of(c, from);

    for (int64_t g = 0; g < c->contexts; g++) {
        times(s->k + g * n * PROBE_CODE, c->k + (g * c->len + from) * PROBE_CODE, f->k,
              n * PROBE_CODE);
        memcpy(s->v + g * n * c->width, c->v + (g * c->len + from) * c->width,
               (size_t)(n * c->width) * sizeof(float));
    }
    memset(s->q, 0, (size_t)(c->contexts * c->heads * n * PROBE_CODE) * sizeof(float));
    for (int64_t h = 0; h < c->contexts * c->heads && lead < n; h++)
        times(s->q + (h * n + lead) * PROBE_CODE,
              q + (h * c->rows + from + lead - first) * PROBE_CODE, f->q, (n - lead) * PROBE_CODE);
}

/* Copies the asked rows of a call's output. */
static void chunk_take(const probe_circuit *c, int64_t from, int64_t n, const chunk *s, float *out)
{
    const int64_t first = c->len - c->rows, lead = lead_of(c, from);

    for (int64_t h = 0; h < c->contexts * c->heads && lead < n; h++)
        memcpy(out + (h * c->rows + from + lead - first) * c->width,
               s->out + (h * n + lead) * c->width, (size_t)((n - lead) * c->width) * sizeof(float));
}

static att_status recur(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                        const float *q, int32_t rule, const fit *f, float *out)
{
    chunk s = {0};
    att_recur section;
    att_status status = chunk_make(c, rule, &s) ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t from = 0, n; from < c->len && status == ATT_OK; from += n) {
        n = c->len - from < CHUNK ? c->len - from : CHUNK;
        if (lead_of(c, from) && lead_of(c, from) < n)
            n = lead_of(c, from); /* rows that are asked are a call of their own */
        chunk_fill(c, q, f, from, n, &s);
        int64_t heads = lead_of(c, from) < n ? c->heads : 1; /* nothing asked: one will do */
        att_problem p = chunk_problem(c, &s, n, heads, rule, &section);
        status = att_ctx_call(x, part, ATT_OP_RECUR, &p, NULL);
        if (status == ATT_OK)
            chunk_take(c, from, n, &s, out);
    }
    chunk_drop(&s);
    return status;
}

/* The rule that a kernel's recurrence follows: the first that it accepts; -1 = none. */
static int32_t rule_of(const att_variant_part *part, const probe_circuit *c)
{
    chunk s = {0};
    int32_t found = -1;

    for (int32_t rule = 0; rule < RULES && found < 0; rule++) {
        att_recur section;
        att_reason why;
        if (chunk_make(c, rule, &s)) {
            att_problem p =
                chunk_problem(c, &s, c->len < CHUNK ? c->len : CHUNK, 1, rule, &section);
            if (part->kernel->supports(part->kernel, ATT_OP_RECUR, &p, part->values, &why) ==
                ATT_OK)
                found = rule;
        }
        chunk_drop(&s);
        s = (chunk){0};
    }
    return found;
}

att_status probe_call(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, double match, float *out)
{
    const att_kernel *k = part->kernel;
    const int32_t rule = k->recur && k->class_ == ATT_OWN ? rule_of(part, c) : -1;
    fit f = rule < 0 ? SOFTMAX : fits[rule];

    if (match > 0)
        f.q = (float)(8 * match / (double)f.k);
    for (int64_t i = 0; i < c->contexts * c->heads * c->rows * c->width; i++)
        out[i] = NAN;
    if (k->attend || rule < 0)
        return attend(x, part, c, q, &f, out);
    return recur(x, part, c, q, rule, &f, out);
}
