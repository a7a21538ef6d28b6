/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"
#include "evals/tests/made_mix.h"

#include <stdlib.h>

#include "core/cover.h"
#include "core/error.h"

static void open_house(void)
{
    house_open(2, made_mixes);
}

/* ------------------------------------------------------------------- right ones, wrong ones */

/* All covering cases of a seed; those that fail are counted and printed. */
static size_t failures(const char *kernel, uint64_t seed, size_t *measured)
{
    const att_eval *eval = att_registry_eval(registry, "mix", NULL);
    att_cover_cases cases;
    att_why why = {""};
    size_t failed = 0;

    CU_ASSERT_EQUAL_FATAL(
        att_cover_params(eval->params, NULL, NULL, eval->covers, seed, &cases, &why), ATT_OK);
    for (size_t n = 0; n < cases.count; n++) {
        char line[1024] = "";
        for (size_t a = 0; a < cases.params; a++) {
            strncat(line, a ? " " : "", sizeof line - strlen(line) - 1);
            strncat(line, eval->params[a].name, sizeof line - strlen(line) - 1);
            strncat(line, "=", sizeof line - strlen(line) - 1);
            strncat(line, cases.value[n * cases.params + a], sizeof line - strlen(line) - 1);
        }
        att_record r = house_case("mix", kernel, line, seed);
        *measured += r.status == ATT_PASS || r.status == ATT_FAIL;
        if (r.status != ATT_PASS && r.status != ATT_HOLE) {
            printf("%s: %s (%s)\n", r.reason ? r.reason : "", r.line,
                   r.n_diagnoses ? r.diagnoses[0].text : "");
            failed++;
        }
        att_record_clear(&r);
    }
    att_cover_cases_drop(&cases);
    return failed;
}

static void right_mixes_raise_no_alarm(void)
{
    static const char *const right[] = {"differential", "gated",     "forgetting",
                                        "nsa",          "knn_gated", "reference_f64",
                                        "maps_rounded", "tanh_gate", "sums_running"};

    for (size_t k = 0; k < sizeof right / sizeof *right; k++) {
        size_t measured = 0;
        for (uint64_t seed = 1; seed < 3; seed++)
            CU_ASSERT_EQUAL(failures(right[k], seed, &measured), 0);
        CU_ASSERT(measured >= 20);
    }
}

/* The case fails, and the fault is named. */
static bool named(const char *kernel, const char *params, const char *fault)
{
    bool found = false;
    att_record r = house_case("mix", kernel, params, 7);

    for (size_t d = 0; d < r.n_diagnoses; d++)
        found |= strcmp(r.diagnoses[d].fault, fault) == 0;
    if (r.status != ATT_FAIL || !found)
        printf("%s: %s, first named %s\n", r.line, att_outcome_name(r.status),
               r.n_diagnoses ? r.diagnoses[0].fault : "-");
    found = found && r.status == ATT_FAIL;
    att_record_clear(&r);
    return found;
}

static void wrong_mixes_are_caught_and_named(void)
{
    CU_ASSERT(named("zoo:differential_scale_whole", "kind=differential", "whole_width_scale"));
    CU_ASSERT(
        named("zoo:differential_lambda_kv_head", "kind=differential hq=6 hkv=2", "of_kv_head"));
    CU_ASSERT(named("zoo:gate_head_broadcast", "kind=gated hq=3", "of_first_head"));
    CU_ASSERT(named("zoo:gate_before_normalising", "kind=gated", "gate_missing"));
    CU_ASSERT(named("zoo:forget_includes_key", "kind=forgetting", "decay_of_key_too"));
    CU_ASSERT(named("zoo:forget_row_not_position", "kind=forgetting", "decay_by_row"));
    CU_ASSERT(named("zoo:nsa_window_long", "kind=nsa", "window_off_by_one"));
    CU_ASSERT(named("zoo:nsa_chosen_by_head", "kind=nsa hq=6 hkv=2 block=4", "chosen_by_head"));
    CU_ASSERT(named("zoo:memory_softmax_joint", "kind=memory", "joint_softmax"));
}

/* ------------------------------------------------------------------ degenerations, by hand */

enum { B = 2, HQ = 4, HKV = 2, SQ = 9, SK = 21, D = 8, N = B * HQ * SQ * D };

typedef struct
try {
    float q[N], k[B * HKV * SK * D], v[B * HKV * SK * D], out[N], other[N];
    float lambda[HQ], gate[B * HQ * SQ * D], forget[B * HQ * SK], bias[B * HQ * SQ * SK];
    att_mix mix;
    att_problem p;
}
try;

static float number(att_rng *rng)
{
    return (float)att_rng_normal(rng);
}

static void fill(att_rng *rng, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = number(rng);
}

static try *make(int32_t kind)
{
    static try t;
    att_rng rng = att_rng_make(5, "mix");

    fill(&rng, t.q, N);
    fill(&rng, t.k, B * HKV * SK * D);
    fill(&rng, t.v, B * HKV * SK * D);
    fill(&rng, t.gate, B * HQ * SQ * D);
    for (int h = 0; h < HQ; h++)
        t.lambda[h] = 0.3f + 0.1f * (float)h;
    for (int i = 0; i < B * HQ * SK; i++)
        t.forget[i] = -0.3f * fabsf(number(&rng));
    t.mix = (att_mix){.kind = kind, .block = 4, .keep = 3, .window = 5};
    t.mix.lambda = att_tensor_dense(t.lambda, ATT_F32, 1, 1, 1, HQ);
    t.mix.gate = att_tensor_dense(t.gate, ATT_F32, B, HQ, SQ, kind == ATT_MIX_GATED ? D : 1);
    t.mix.forget = att_tensor_dense(t.forget, ATT_F32, 1, B, HQ, SK);
    if (kind == ATT_MIX_NSA)
        t.mix.gate = att_tensor_dense(t.gate, ATT_F32, 1, 1, 1, 3);
    t.p = att_problem_init();
    t.p.batch = B;
    t.p.heads_q = HQ;
    t.p.heads_kv = HKV;
    t.p.q_len = SQ;
    t.p.kv_len = SK;
    t.p.head_dim = t.p.value_dim = D;
    t.p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    t.p.q = att_tensor_dense(t.q, ATT_F32, B, HQ, SQ, D);
    t.p.k = att_tensor_dense(t.k, ATT_F32, B, HKV, SK, D);
    t.p.v = att_tensor_dense(t.v, ATT_F32, B, HKV, SK, D);
    t.p.out = att_tensor_dense(t.out, ATT_F32, B, HQ, SQ, D);
    t.p.mix = &t.mix;
    return &t;
}

static att_status call(const char *name, att_op op, const att_problem *p, const att_value *params)
{
    const att_kernel *k = att_registry_kernel(registry, name, NULL);
    att_plan plan = {0};
    att_reason why = {""};

    CU_ASSERT_PTR_NOT_NULL_FATAL(k);
    att_status status = k->supports(k, op, p, params, &why);
    if (status == ATT_OK)
        status = k->plan(k, op, p, params, &plan);
    if (status != ATT_OK)
        return status;
    void *room = aligned_alloc(64, (plan.scratch_bytes + 127) / 64 * 64);
    const att_scratch s = {
        .data = room, .bytes = plan.scratch_bytes, .params = params, .host = &host};
    status = op == ATT_OP_MIX ? k->mix(k, p, &s) : k->attend(k, p, &s);
    free(room);
    return status;
}

/* attend by another kernel, into `other`; edit: the problem that it gets. */
static bool equals(try *t, const char *mixed, const char *partner, att_problem other,
                   const att_value *params)
{
    double worst = 0;

    other.mix = NULL;
    other.out = att_tensor_dense(t->other, ATT_F32, B, HQ, SQ, D);
    CU_ASSERT_EQUAL(call(mixed, ATT_OP_MIX, &t->p, NULL), ATT_OK);
    CU_ASSERT_EQUAL(call(partner, ATT_OP_ATTEND, &other, params), ATT_OK);
    for (int i = 0; i < N; i++)
        worst = att_error_fold(worst, fabs((double)t->out[i] - (double)t->other[i]));
    return worst <= 64 * 0x1p-24 * 4; /* values within 4, sums of some 64 roundings */
}

static att_problem first_half(const try *t)
{
    att_problem p = t->p;

    p.head_dim = D / 2;
    p.q.shape[3] = p.k.shape[3] = D / 2;
    return p;
}

static void without_lambda_differential_is_attention_of_the_first_half(void)
{
    try *t = make(ATT_MIX_DIFFERENTIAL);

    CU_ASSERT_FALSE(equals(t, "differential", "flash_f32", first_half(t), NULL));
    memset(t->lambda, 0, sizeof t->lambda);
    CU_ASSERT(equals(t, "differential", "flash_f32", first_half(t), NULL));
}

static void open_gates_and_nothing_forgotten_are_plain_attention(void)
{
    try *t = make(ATT_MIX_GATED);

    CU_ASSERT_FALSE(equals(t, "gated", "flash_f32", t->p, NULL));
    for (int i = 0; i < N; i++)
        t->gate[i] = INFINITY;
    CU_ASSERT(equals(t, "gated", "flash_f32", t->p, NULL));
    t = make(ATT_MIX_FORGETTING);
    CU_ASSERT_FALSE(equals(t, "forgetting", "flash_f32", t->p, NULL));
    memset(t->forget, 0, sizeof t->forget);
    CU_ASSERT(equals(t, "forgetting", "flash_f32", t->p, NULL));
}

static void forgetting_is_attention_under_a_dense_bias(void)
{
    try *t = make(ATT_MIX_FORGETTING);
    att_problem biased = t->p;

    for (int row = 0; row < B * HQ * SQ; row++)
        for (int j = 0; j < SK; j++) {
            double sum = 0;
            for (int l = j + 1; l <= row % SQ + SK - SQ; l++)
                sum += (double)t->forget[row / SQ * SK + l];
            t->bias[row * SK + j] = (float)sum;
        }
    biased.bias = att_tensor_dense(t->bias, ATT_F32, B, HQ, SQ, SK);
    CU_ASSERT(equals(t, "forgetting", "flash_f32", biased, NULL));
}

static void branches_of_nsa_alone_are_a_window_and_dense_attention(void)
{
    const att_value left = {.i = 4, .f = 4};
    try *t = make(ATT_MIX_NSA);

    t->gate[0] = t->gate[1] = 0;
    t->gate[2] = 1;
    CU_ASSERT(equals(t, "nsa", "sliding_window", t->p, &left));
    t->gate[1] = 1;
    t->gate[2] = 0;
    CU_ASSERT_FALSE(equals(t, "nsa", "flash_f32", t->p, NULL));
    t->mix.keep = SK;
    CU_ASSERT(equals(t, "nsa", "flash_f32", t->p, NULL));
    t->mix.block = 1; /* each key its own mean */
    t->gate[0] = 1;
    t->gate[1] = 0;
    CU_ASSERT(equals(t, "nsa", "flash_f32", t->p, NULL));
}

static void a_closed_memory_is_a_window(void)
{
    const att_value left = {.i = 4, .f = 4};
    try *t = make(ATT_MIX_MEMORY);

    CU_ASSERT_FALSE(equals(t, "knn_gated", "sliding_window", t->p, &left));
    memset(t->gate, 0, sizeof t->gate);
    CU_ASSERT(equals(t, "knn_gated", "sliding_window", t->p, &left));
    t->mix.window = SK;
    CU_ASSERT(equals(t, "knn_gated", "flash_f32", t->p, NULL));
}

/* The last row alone, as decoding has it, gives what the whole gives. */
static void decoding_is_prefill(void)
{
    static const struct {
        const char *name;
        int32_t kind;
    } all[] = {{"differential", ATT_MIX_DIFFERENTIAL},
               {"gated", ATT_MIX_GATED},
               {"forgetting", ATT_MIX_FORGETTING},
               {"nsa", ATT_MIX_NSA},
               {"knn_gated", ATT_MIX_MEMORY}};

    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        try *t = make(all[k].kind);
        att_problem one = t->p;
        att_mix mix = t->mix;
        bool same = true;
        one.q_len = one.q.shape[2] = one.out.shape[2] = 1;
        one.q.data = t->q + (SQ - 1) * D;
        one.out.data = t->other + (SQ - 1) * D;
        one.mix = &mix;
        if (all[k].kind == ATT_MIX_GATED || all[k].kind == ATT_MIX_MEMORY) {
            mix.gate.data = t->gate + (SQ - 1) * mix.gate.stride[2];
            mix.gate.shape[2] = 1;
        }
        CU_ASSERT_EQUAL(call(all[k].name, ATT_OP_MIX, &t->p, NULL), ATT_OK);
        CU_ASSERT_EQUAL(call(all[k].name, ATT_OP_MIX, &one, NULL), ATT_OK);
        for (int i = 0; i < N; i++)
            same &= i / D % SQ < SQ - 1 || memcmp(&t->out[i], &t->other[i], sizeof(float)) == 0;
        CU_ASSERT(same);
    }
}

/* ------------------------------------------------------------------------------ refusals */

static void a_section_that_contradicts_the_problem_is_refused(void)
{
    static const char *const names[] = {"differential", "gated", "forgetting", "nsa", "knn_gated"};

    for (int32_t kind = 0; kind <= ATT_MIX_MEMORY; kind++)
        for (int oracle = 0; oracle < 2; oracle++) {
            const char *name = oracle ? "reference_f64" : names[kind];
            try *t = make(kind);
            att_problem p = t->p;
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &p, NULL), ATT_OK);
            p.mix = NULL;
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &p, NULL), ATT_INVALID);
            p = t->p;
            p.lse = att_tensor_dense(t->bias, ATT_F32, 1, B, HQ, SQ);
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &p, NULL), ATT_INVALID);
            p = t->p;
            t->mix.lambda.shape[3] = t->mix.gate.shape[1] = t->mix.forget.shape[3] = HQ + 1;
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &p, NULL), ATT_INVALID);
            t = make(kind);
            t->mix.keep = t->mix.window = 0;
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &t->p, NULL),
                            kind >= ATT_MIX_NSA ? ATT_INVALID : ATT_OK);
            t = make(kind);
            t->p.causal = ATT_CAUSAL_NONE;
            CU_ASSERT_EQUAL(call(name, ATT_OP_MIX, &t->p, NULL),
                            kind >= ATT_MIX_FORGETTING ? ATT_INVALID : ATT_OK);
            t->mix.kind = ATT_MIX_MEMORY + 1;
            CU_ASSERT_NOT_EQUAL(call(name, ATT_OP_MIX, &t->p, NULL), ATT_OK);
        }
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"right mixes raise no alarm", right_mixes_raise_no_alarm},
        {"wrong mixes are caught and named", wrong_mixes_are_caught_and_named},
        {"without lambda differential is attention of the first half",
         without_lambda_differential_is_attention_of_the_first_half},
        {"open gates and nothing forgotten are plain attention",
         open_gates_and_nothing_forgotten_are_plain_attention},
        {"forgetting is attention under a dense bias", forgetting_is_attention_under_a_dense_bias},
        {"branches of NSA alone are a window and dense attention",
         branches_of_nsa_alone_are_a_window_and_dense_attention},
        {"a closed memory is a window", a_closed_memory_is_a_window},
        {"decoding is prefill", decoding_is_prefill},
        {"a section that contradicts the problem is refused",
         a_section_that_contradicts_the_problem_is_refused},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("mix", tests);
}
