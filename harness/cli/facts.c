/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include <math.h>

#include "base/fp.h"

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

static att_cost cost_of(const att_kernel *k, const att_value *values, int32_t dtype,
                        int64_t queries, int64_t keys)
{
    _Alignas(64) unsigned char data[64] = {0};
    const att_problem p = question(queries, keys, dtype, data);

    return att_cost_of(k, &p, values);
}

att_facts att_facts_of(const att_kernel *k, const att_value *values)
{
    static const char *const classes[] = {"E", "A", "D"};
    att_facts f = {.class_ = k->class_ >= 0 && k->class_ < 3 ? classes[k->class_] : "?",
                   .operators = operators_of(k)};
    int32_t first = ATT_F32; /* the first dtype it takes */

    for (int32_t t = ATT_F32; t < ATT_I32; t++) /* after these come indices and masks */
        f.dtypes |= takes(k, values, 0, t) ? 1u << t : 0u;
    while (f.dtypes && !(f.dtypes >> first & 1u))
        first++;
    for (unsigned i = 0; i < ATT_PHASES; i++)
        for (int32_t t = ATT_F32; t < ATT_I32; t++)
            if (f.dtypes >> t & 1u && takes(k, values, phases[i].queries, t))
                f.phases |= 1u << i;
    att_cost near = cost_of(k, values, first, 1, NEAR), far = cost_of(k, values, first, 1, FAR);
    f.kv_bytes_per_token = (far.state_bytes - near.state_bytes) / (FAR - NEAR);
    f.state_bytes_128k = far.state_bytes;
    f.keys_read_4k = near.keys_read;
    f.keys_read_32k = cost_of(k, values, first, 1, MIDDLE).keys_read;
    f.keys_read_128k = far.keys_read;
    f.flops_4k = cost_of(k, values, first, NEAR, NEAR).flops_useful;
    return f;
}

att_cost att_facts_query(const att_kernel *k, const att_value *values, int64_t keys)
{
    int32_t first = ATT_F32;

    while (first < ATT_I32 && !takes(k, values, 0, first))
        first++;
    return cost_of(k, values, first < ATT_I32 ? first : ATT_F32, 1, keys);
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
