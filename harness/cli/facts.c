/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include <math.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"

enum { HEAD = 64, SHORT = 256, NEAR = 4096, MIDDLE = 32768, FAR = 131072 };

static const char *const ops[ATT_OPS] = {
    [ATT_OP_ATTEND] = "attend",     [ATT_OP_ATTEND_BACKWARD] = "attend_backward",
    [ATT_OP_RECUR] = "recur",       [ATT_OP_SELECT] = "select",
    [ATT_OP_ROPE] = "rope",         [ATT_OP_MERGE] = "merge",
    [ATT_OP_QUANTISE] = "quantise", [ATT_OP_DEQUANTISE] = "dequantise",
    [ATT_OP_SESSION] = "session",   [ATT_OP_MIX] = "mix",
};

/* Queries of a phase; 0 = as many as keys. */
static const struct {
    const char *name;
    int64_t queries;
} phases[ATT_PHASES] = {{"prefill", 0}, {"chunk", 16}, {"decode", 1}};

const char *att_facts_op(size_t i)
{
    return i < ATT_OPS ? ops[i] : "?";
}

const char *att_phase_name(size_t i)
{
    return i < ATT_PHASES ? phases[i].name : "?";
}

const char *att_facts_dtype(size_t i)
{
    return att_dtype_name((int32_t)i);
}

static unsigned operators_of(const att_kernel *k)
{
    const bool has[ATT_OPS] = {
        [ATT_OP_ATTEND] = k->attend,     [ATT_OP_ATTEND_BACKWARD] = k->attend_backward,
        [ATT_OP_RECUR] = k->recur,       [ATT_OP_SELECT] = k->select,
        [ATT_OP_ROPE] = k->rope,         [ATT_OP_MERGE] = k->merge,
        [ATT_OP_QUANTISE] = k->quantise, [ATT_OP_DEQUANTISE] = k->dequantise,
        [ATT_OP_SESSION] = k->session,   [ATT_OP_MIX] = k->mix,
    };
    unsigned set = 0;

    for (unsigned i = 0; i < ATT_OPS; i++)
        set |= has[i] ? 1u << i : 0u;
    return set;
}

/* One head of HEAD elements under a causal mask.  Only shapes: the data is never read. */
static att_problem question(int64_t queries, int64_t keys, int32_t dtype, void *data)
{
    att_problem p = att_problem_init();

    p.batch = p.heads_q = p.heads_kv = 1;
    p.q_len = queries;
    p.kv_len = keys;
    p.head_dim = p.value_dim = HEAD;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.q = att_tensor_dense(data, dtype, 1, 1, queries, HEAD);
    p.k = p.v = att_tensor_dense(data, dtype, 1, 1, keys, HEAD);
    p.out = att_tensor_dense(data, dtype, 1, 1, queries, HEAD);
    return p;
}

/* K and V stored as parity's `quant` says: the shapes of codes and scales. */
static void store(att_problem *p, const char *quant, void *data)
{
    att_tensor *const codes[] = {&p->k, &p->v};
    att_quant *const how[] = {&p->k_quant, &p->v_quant};

    for (int i = 0; i < 2; i++) {
        const parity_scheme *scheme = parity_scheme_of(quant, i == 1);
        int64_t n[4];
        if (!scheme)
            continue;
        codes[i]->dtype = scheme->dtype;
        *how[i] = parity_quant_of(scheme, codes[i]->shape, n);
        if (how[i]->scheme == ATT_QUANT_AFFINE)
            how[i]->scales = att_tensor_dense(data, scheme->scales, n[0], n[1], n[2], n[3]);
    }
}

/* Does it take a mix of some kind?  p: an attend question, which becomes one of a mix. */
static bool mixes(const att_kernel *k, const att_value *values, att_problem *p)
{
    att_mix mix = {.block = 64, .keep = 16, .window = 512};
    att_reason why = {""};
    bool taken = false;

    mix.lambda = mix.gate = att_tensor_dense(p->q.data, ATT_F32, 1, 1, 1, 1);
    mix.forget = att_tensor_dense(p->q.data, ATT_F32, 1, 1, 1, p->kv_len);
    p->mix = &mix;
    for (; !taken && mix.kind <= ATT_MIX_MEMORY; mix.kind++)
        taken = k->supports(k, ATT_OP_MIX, p, values, &why) == ATT_OK;
    p->mix = NULL;
    return taken;
}

static bool takes(const att_kernel *k, const att_value *values, int64_t queries, int32_t dtype)
{
    _Alignas(64) unsigned char data[64] = {0};
    att_problem p = question(queries ? queries : SHORT, SHORT, dtype, data);
    att_tensor gate = att_tensor_dense(data, ATT_F32, 1, 1, p.q_len, 1);
    att_recur recur = {.g = gate, .beta = gate};
    att_op op = k->attend ? ATT_OP_ATTEND : ATT_OP_RECUR;
    att_reason why = {""};

    if (!k->attend && !k->recur)
        return k->mix && k->supports && mixes(k, values, &p);
    if (op == ATT_OP_RECUR) {
        p.recur = &recur;
        p.causal = ATT_CAUSAL_NONE;
        p.kv_len = p.q_len; /* what came before is in the state */
        p.k.shape[2] = p.v.shape[2] = p.q_len;
    }
    for (; recur.rule <= ATT_RULE_BASED; recur.rule++) {
        p.out.dtype = dtype;
        if (!k->supports || k->supports(k, op, &p, values, &why) == ATT_OK)
            return true;
        p.out.dtype = ATT_F32; /* many store wider than they read */
        if (k->supports(k, op, &p, values, &why) == ATT_OK)
            return true;
    }
    return false;
}

/* A kernel as it is asked for its costs. */
typedef struct asked {
    const att_kernel *kernel;
    const att_value *values;
    int32_t dtype;
    const char *stored;
} asked;

static double scale_bytes(const att_quant *q)
{
    const int64_t *n = q->scales.shape;

    return q->scales.data
               ? (double)(n[0] * n[1] * n[2] * n[3]) * (double)att_dtype_size(q->scales.dtype)
               : 0;
}

/* With the scales in the state, which a kernel leaves out. */
static att_cost cost_of(const asked *a, int64_t queries, int64_t keys)
{
    _Alignas(64) unsigned char data[64] = {0};
    att_problem p = question(queries, keys, a->dtype, data);

    store(&p, a->stored, data);
    att_cost cost = att_cost_of(a->kernel, &p, a->values);
    cost.state_bytes += scale_bytes(&p.k_quant) + scale_bytes(&p.v_quant);
    return cost;
}

att_facts att_facts_of(const att_kernel *k, const att_value *values, const char *stored)
{
    static const char *const classes[] = {"E", "A", "D"};
    att_facts f = {.class_ = k->class_ >= 0 && k->class_ < 3 ? classes[k->class_] : "?",
                   .operators = operators_of(k)};
    asked a = {k, values, ATT_F32, stored ? stored : "none"}; /* the first dtype it takes */

    for (int32_t t = ATT_F32; t < ATT_I32; t++) /* after these come indices and masks */
        f.dtypes |= takes(k, values, 0, t) ? 1u << t : 0u;
    while (f.dtypes && !(f.dtypes >> a.dtype & 1u))
        a.dtype++;
    for (unsigned i = 0; i < ATT_PHASES; i++)
        for (int32_t t = ATT_F32; t < ATT_I32; t++)
            if (f.dtypes >> t & 1u && takes(k, values, phases[i].queries, t))
                f.phases |= 1u << i;
    att_cost near = cost_of(&a, 1, NEAR), far = cost_of(&a, 1, FAR);
    f.kv_bytes_per_token = (far.state_bytes - near.state_bytes) / (FAR - NEAR);
    f.state_bytes_128k = far.state_bytes;
    f.keys_read_4k = near.keys_read;
    f.keys_read_32k = cost_of(&a, 1, MIDDLE).keys_read;
    f.keys_read_128k = far.keys_read;
    f.flops_4k = cost_of(&a, NEAR, NEAR).flops_useful;
    return f;
}

att_cost att_facts_query(const att_kernel *k, const att_value *values, int64_t keys)
{
    asked a = {k, values, ATT_F32, "none"};

    while (a.dtype < ATT_I32 && !takes(k, values, 0, a.dtype))
        a.dtype++;
    a.dtype = a.dtype < ATT_I32 ? a.dtype : ATT_F32;
    return cost_of(&a, 1, keys);
}

void att_facts_put(FILE *f, unsigned set, size_t n, const char *(*name)(size_t), bool json)
{
    const char *gap = "";

    for (size_t i = 0; i < n; i++)
        if (set >> i & 1u) {
            fprintf(f, json ? "%s\"%s\"" : "%s%s", gap, name(i));
            gap = json ? ", " : " ";
        }
}
