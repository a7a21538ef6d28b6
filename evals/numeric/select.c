/* SPDX-License-Identifier: Apache-2.0 */
/* Select: the keys that an indexer picks, apart from attention.
 *
 *   I_ts = sum_j w_tj relu(q^I_tj . k^I_s)        kept: the k allowed keys of largest I_ts a row
 *
 * A problem with an index section of its own goes to kernels that read one.  What `select` reports
 * is held to the scores in float64 (parity_select_index.c): no better key dropped than rounding
 * explains, as many kept as asked for, the same for all query heads; ties are legal either way.
 * Then the kernel attends on the same section, judged on the keys it reported.
 * Values: "ties" are small integers, of which many scores are exactly equal; under "against" most
 * dot products are negative, so that relu decides; "mixed" weighs heads by either sign. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "core/param.h"
#include "evals/numeric/parity.h"

enum {
    P_B,
    P_HQ,
    P_HKV,
    P_HI,
    P_DI,
    P_SQ,
    P_SK,
    P_D,
    P_CAUSAL,
    P_MASK,
    P_LENS,
    P_STORE,
    P_DTYPE,
    P_VALUES
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"b", INT, 0, "", "1", "0:64", "1 2", "batch"},
    {"hq", INT, 0, "heads", "4", "1:64", "4 1 6", "query heads"},
    {"hkv", INT, 0, "heads", "2", "1:64", "2 1", "key/value heads"},
    {"hi", INT, 0, "heads", "3", "1:64", "3 1 8", "index heads"},
    {"di", INT, 0, "", "16", "1:256", "16 1 7 32", "channels of an index head"},
    {"sq", INT, 0, "tokens", "17", "0:1024", "17 1 33", "queries"},
    {"sk", INT, 0, "keys", "65", "0:4096", "65 17 130", "keys"},
    {"d", INT, 0, "", "8", "1:256", "8 40", "head_dim"},
    {"causal", WORD, 0, "", "br", "none|tl|br", "br none tl", "alignment of the causal mask"},
    {"mask", WORD, 0, "", "none", "none|rows|keys", "none rows keys", "a mask that heads share"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none both", "used lengths, some of them 0"},
    {"store", WORD, 0, "", "dense", "dense|packed|page16", "dense packed page16",
     "batches dense, packed, or paged K/V"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "storage type, the index's too"},
    {"values", WORD, 0, "", "normal", "normal|ties|against|mixed|equal",
     "normal ties against mixed equal", "family of the index section"},
    {0},
};

static const att_metric_spec metrics[] = {
#include "evals/numeric/parity_metrics.def"
    {0},
};

static parity_spec spec_of(const att_value *v)
{
    const char *store = v[P_STORE].s;

    return (parity_spec){
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_D].i,
        .left = -1,
        .right = -1,
        .causal = v[P_CAUSAL].s,
        .mask = v[P_MASK].s,
        .bias = "none",
        .block = "none",
        .sinks = "none",
        .alibi = "none",
        .lens = v[P_LENS].s,
        .store = store,
        .layout = "bhsd",
        .values = "normal",
        .page = strncmp(store, "page", 4) == 0 ? strtoll(store + 4, NULL, 10) : 0,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = ATT_PLACE_FLUSH,
        .lse = true,
    };
}

static bool valid(const att_value *values)
{
    const parity_spec s = spec_of(values);

    return !parity_nonsense(&s);
}

static double work(const att_value *v)
{
    const parity_spec s = spec_of(v);

    return parity_work(&s) + (double)(s.b * s.sq * s.sk) * (double)(v[P_HI].i * v[P_DI].i);
}

static bool covers(const att_value *values)
{
    return valid(values) && work(values) <= 8e6;
}

static double seconds(const char *task, const att_value *values)
{
    (void)task;
    return 0.002 + work(values) * 4e-9;
}

/* ------------------------------------------------------------------------------ inputs */

/* A case's inputs, and its index section beside them. */
typedef struct indexed {
    parity_inputs *in;
    att_index index;
} indexed;

/* One element of a family; what: 'q', 'k' or 'w'. */
static double draw(att_rng *rng, const char *values, char what)
{
    const double x = att_rng_normal(rng);

    if (parity_is(values, "equal"))
        return what == 'k' ? 0 : x;
    if (parity_is(values, "ties"))
        return what == 'w' ? (x < 0 ? 0.5 : 1) : x < -0.6 ? -1 : x > 0.6 ? 1 : 0;
    if (parity_is(values, "against"))
        return what == 'w' ? 0.1 + fabs(x) : what == 'q' ? fabs(x) : 0.7 * x - 0.5;
    return what == 'w' && !parity_is(values, "mixed") ? fabs(x) : x;
}

/* A tensor of NaN in guarded memory, shaped as q or k are but for these two dimensions. */
static bool tensor(parity_inputs *in, const att_tensor *like, int64_t heads, int64_t width,
                   att_tensor *out)
{
    const int64_t n = like->shape[0] * heads * like->shape[2] * width;
    void *data = parity_buffer(in, (size_t)n * att_dtype_size(like->dtype));

    if (!data)
        return false;
    *out = att_tensor_dense(data, like->dtype, like->shape[0], heads, like->shape[2], width);
    for (int64_t i = 0; i < n; i++)
        att_fp_store(data, like->dtype, i, (double)NAN);
    return true;
}

static void fill_row(att_rng *rng, const char *values, char what, const att_tensor *t, int64_t i0,
                     int64_t h, int64_t i2)
{
    for (int64_t d = 0; d < t->shape[3]; d++)
        att_fp_store(t->data, t->dtype, att_tensor_at(t, i0, h, i2, d), draw(rng, values, what));
}

static void fill(indexed *x, att_rng *rng, const char *values)
{
    const parity_inputs *in = x->in;
    int64_t i0, i2;

    for (int64_t b = 0; b < in->spec.b; b++) {
        for (int64_t i = 0; i < in->nq[b]; i++) {
            parity_query_row(in, b, i, &i0, &i2);
            for (int64_t h = 0; h < x->index.index_q.shape[1]; h++) {
                fill_row(rng, values, 'q', &x->index.index_q, i0, h, i2);
                fill_row(rng, values, 'w', &x->index.index_w, i0, h, i2);
            }
        }
        for (int64_t j = 0; j < in->nk[b]; j++) {
            parity_key_row(in, b, j, &i0, &i2);
            fill_row(rng, values, 'k', &x->index.index_k, i0, 0, i2);
        }
    }
}

static void drop(void *shared)
{
    indexed *x = shared;

    if (x)
        parity_inputs_drop(x->in);
    free(x);
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    const att_value *v = att_ctx_values(x);
    att_rng rng = att_ctx_group_rng(x, "index");
    indexed *made = calloc(1, sizeof *made);
    att_status status = made ? parity_inputs_make(x, arg, &made->in) : ATT_NO_MEMORY;

    if (status == ATT_OK) {
        const att_problem *p = &made->in->given;
        const size_t before = made->in->guards;
        status = tensor(made->in, &p->q, v[P_HI].i, v[P_DI].i, &made->index.index_q) &&
                         tensor(made->in, &p->k, 1, v[P_DI].i, &made->index.index_k) &&
                         tensor(made->in, &p->q, v[P_HI].i, 1, &made->index.index_w)
                     ? ATT_OK
                     : ATT_NO_MEMORY;
        if (status == ATT_OK)
            fill(made, &rng, v[P_VALUES].s);
        for (size_t g = before; g < made->in->guards; g++)
            att_guard_freeze(&made->in->guard[g], true);
    }
    if (status != ATT_OK)
        drop(made);
    *out = status == ATT_OK ? made : NULL;
    return status;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = spec_of(att_ctx_values(x));
    const char *wrong = parity_nonsense(&spec);
    parity_outputs o = {0};
    att_units units;
    void *shared = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (!(att_ctx_kernel(x)->traits & ATT_TRAIT_INDEXED)) {
        att_ctx_why(x, "reads no index section");
        return ATT_UNSUPPORTED;
    }
    att_status status = parity_ready(x, &spec, &units);
    if (status == ATT_OK)
        status = att_ctx_shared(x, "indexed", make_shared, &spec, drop, &shared);
    if (status != ATT_OK)
        return status;
    indexed *made = shared;
    made->in->spec = spec; /* the same words, in this case's memory: the first's is gone */
    att_problem p = made->in->given;
    p.index = &made->index;
    status = parity_outputs_make(made->in, &p, &o) ? att_ctx_attend(x, &p) : ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = parity_judge(x, made->in, &p, &o, &units, true);
    parity_outputs_drop(&o);
    return status;
}

const att_eval att_eval_select = {
    .name = "select",
    .summary = "an indexer's keys are those of the largest index scores, whatever attention is",
    .params = params,
    .metrics = metrics,
    .group_by = "b hq hkv hi di sq sk d causal mask lens store dtype values",
    .ops = 1u << ATT_OP_SELECT,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
