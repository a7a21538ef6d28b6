/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <string.h>

#include "common/plain.h"
#include "core/cover.h"

/* ------------------------------------------------------------------ kernels of the test */

/* A window's width is held in 32 bits. */
static bool wrapped(const att_plain_row *w, int64_t j)
{
    const int64_t left = w->rules->p->window_left;

    return att_plain_allowed(w, j) && (left < INT32_MAX || w->row.position - j <= (int32_t)left);
}

/* Values saturate, as in a narrow type without a scale. */
static void saturate(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        for (int64_t d = 0; d < w->rules->p->value_dim; d++)
            w->v[d] = fminf(fmaxf(w->v[d], -2.0f), 2.0f);
        att_axpy(weight, w->v, w->rules->p->value_dim, w->o);
    }
}

/* Every output is 0: it keeps many laws, and its partner case shows it. */
static void nothing(const att_plain_row *w, bool empty, float top, float sum)
{
    memset(w->o, 0, (size_t)w->rules->p->value_dim * sizeof *w->o);
    att_plain_finish(w, empty, top, sum);
}

#define MADE(stem, step)                                                                           \
    static att_status stem##_attend(const att_kernel *self, const att_problem *p,                  \
                                    const att_scratch *s)                                          \
    {                                                                                              \
        static const att_plain way = {step};                                                       \
        (void)self;                                                                                \
        return att_plain_attend(p, &way, s);                                                       \
    }                                                                                              \
    static const att_kernel stem = {.struct_size = sizeof(att_kernel),                             \
                                    .abi = ATT_ABI,                                                \
                                    .name = #stem,                                                 \
                                    .family = "made",                                              \
                                    .summary = "of this test",                                     \
                                    .precision = {ATT_F32, ATT_F32, ATT_DTYPES, 0},                \
                                    .supports = att_plain_supports,                                \
                                    .plan = att_plain_plan_of,                                     \
                                    .attend = stem##_attend};

MADE(right, 0)
MADE(wraps, .allowed = wrapped)
MADE(saturates, .mix = saturate)
MADE(zeroes, .finish = nothing)

/* ------------------------------------------------------------------------- the house */

static const att_kernel *const made[] = {&right, &wraps, &saturates, &zeroes, NULL};

static void open_house(void)
{
    house_open(2, made);
}

static att_record run_case(const char *kernel, const char *params, uint64_t seed)
{
    return house_case("laws", kernel, params, seed);
}

/* What a sweep over one law's covering cases came to. */
typedef struct sweep {
    size_t measured, failed, broken, named, spoken;
} sweep;

static void count(const att_record *r, const char *law, sweep *s)
{
    char name[64];

    snprintf(name, sizeof name, "law %s", law);
    s->measured += r->status == ATT_PASS || r->status == ATT_FAIL;
    s->failed += r->status != ATT_PASS && r->status != ATT_HOLE;
    bool broken = false;
    for (size_t m = 0; m < r->n_metrics; m++) {
        bool own = strncmp(r->metrics[m].name, "law_", 4) == 0;
        broken |= own && r->metrics[m].verdict == 0;
        s->spoken += strcmp(r->metrics[m].name, "law_elements") == 0 && r->metrics[m].value > 0;
    }
    s->broken += broken;
    for (size_t d = 0; d < r->n_diagnoses; d++)
        s->named += broken && strcmp(r->diagnoses[d].fault, name) == 0 &&
                    strstr(r->diagnoses[d].text, "b=") != NULL;
}

static bool tells = true; /* a sweep prints the cases that fail */

static sweep sweep_law(const char *law, const char *kernel, bool until_broken)
{
    const att_eval *eval = att_registry_eval(registry, "laws", NULL);
    const char *chosen[64] = {law};
    att_cover_cases cases;
    att_why why = {""};
    sweep s = {0};

    CU_ASSERT_EQUAL_FATAL(
        att_cover_params(eval->params, chosen, NULL, eval->covers, 11, &cases, &why), ATT_OK);
    for (size_t n = 0; n < cases.count && !(until_broken && s.named); n++) {
        char text[1024] = "";
        size_t length = 0;
        for (size_t i = 0; i < cases.params; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s=%s", i ? " " : "",
                                       eval->params[i].name, cases.value[n * cases.params + i]);
        att_record r = run_case(kernel, text, 11);
        count(&r, law, &s);
        if (tells && !until_broken && r.status != ATT_PASS && r.status != ATT_HOLE)
            printf("%s: %s\n", r.reason ? r.reason : "", r.line);
        att_record_clear(&r);
    }
    att_cover_cases_drop(&cases);
    return s;
}

/* ------------------------------------------------------------------------------- tests */

/* A kernel that breaks each law. */
static const char *const breakers[][2] = {{"future", "mask_head_dim_ignored"},
                                          {"masked", "causal_top_left"},
                                          {"key_order", "window_off_by_one"},
                                          {"batch_order", "mask_head_dim_ignored"},
                                          {"head_order", "gqa_tile_order"},
                                          {"gqa_repeat", "gqa_pad_crosses_kv"},
                                          {"position_shift", "window_off_by_one"},
                                          {"mask_forms", "pad_lanes_in_denominator"},
                                          {"mask_ones", "pad_lanes_in_denominator"},
                                          {"window_full", "wraps"},
                                          {"sink_key", "log2e_missing"},
                                          {"logit_shift", "pad_lanes_in_denominator"},
                                          {"split_merge", "lse_never_written"},
                                          {"solo", "last_seq_lane"},
                                          {"layout", "lse_strided"},
                                          {"decode", "causal_top_left"},
                                          {"chunks", "causal_per_4_rows"},
                                          {"constant_v", "saturates"},
                                          {"v_linear", "saturates"},
                                          {"mla_absorbed", "v_tile_offset_missing"},
                                          {"documents", "straddling_tile_unmasked"},
                                          {"tree_paths", "causal_top_left"}};

#define LAWS (sizeof breakers / sizeof *breakers)

static void right_kernels_keep_every_law(void)
{
    static const char *const kernels[] = {"flash_f32", "flash_bf16", "topk", "linear_elu1",
                                          "pool_kv"};

    for (size_t l = 0; l < LAWS; l++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
            CU_ASSERT_EQUAL(sweep_law(breakers[l][0], kernels[k], false).failed, 0);
}

static void latent_attention_is_held_to_the_law_by_its_own_form_alone(void)
{
    sweep s = sweep_law("mla_absorbed", "mla", false);

    CU_ASSERT(s.spoken >= 20);
    CU_ASSERT_EQUAL(s.failed, 0);
    CU_ASSERT_EQUAL(sweep_law("key_order", "mla", false).measured, 0);
}

static void every_law_speaks_of_most_cases(void)
{
    for (size_t l = 0; l < LAWS; l++) {
        sweep s = sweep_law(breakers[l][0], "right", false);
        CU_ASSERT(s.measured >= 20);
        if (s.spoken * 4 < s.measured * 3)
            printf("%s speaks of %zu of %zu\n", breakers[l][0], s.spoken, s.measured);
        CU_ASSERT(s.spoken * 4 >= s.measured * 3);
    }
}

static void a_broken_law_is_named_with_its_first_element(void)
{
    for (size_t l = 0; l < LAWS; l++) {
        sweep s = sweep_law(breakers[l][0], breakers[l][1], true);
        if (!s.named)
            printf("blind: %s to %s\n", breakers[l][0], breakers[l][1]);
        CU_ASSERT(s.named >= 1);
    }
}

static void a_kernel_that_keeps_a_law_by_being_wrong_fails_its_partner(void)
{
    tells = false;
    sweep s = sweep_law("v_linear", "zeroes", false);
    tells = true;

    CU_ASSERT_EQUAL(s.broken, 0);
    CU_ASSERT(s.failed >= 20);
}

static void unseen_values_move_no_bit(void)
{
    static const char *const kernels[] = {"flash_f32", "naive_blas", "split_kv", "block_sparse"};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        att_record r = run_case(kernels[k], "law=future sq=33 sk=129 causal=br", 1);
        const att_metric *moved = att_record_metric(&r, "law_moved");
        CU_ASSERT_PTR_NOT_NULL_FATAL(moved);
        CU_ASSERT_EQUAL(moved->value, 0);
        CU_ASSERT(att_record_metric(&r, "law_elements")->value > 0);
        att_record_clear(&r);
    }
}

static void a_law_that_does_not_bind_a_kernel_is_a_hole(void)
{
    att_record r = run_case("topk", "law=key_order", 1);

    CU_ASSERT_EQUAL(r.status, ATT_HOLE);
    att_record_clear(&r);
}

int main(void)
{
    const CU_TestInfo tests[] = {{"the kernels of the house come together", open_house},
                                 {"right kernels keep every law", right_kernels_keep_every_law},
                                 {"latent attention is held to the law by its own form alone",
                                  latent_attention_is_held_to_the_law_by_its_own_form_alone},
                                 {"every law speaks of most cases", every_law_speaks_of_most_cases},
                                 {"a broken law is named with its first element",
                                  a_broken_law_is_named_with_its_first_element},
                                 {"a kernel that keeps a law by being wrong fails its partner",
                                  a_kernel_that_keeps_a_law_by_being_wrong_fails_its_partner},
                                 {"unseen values move no bit", unseen_values_move_no_bit},
                                 {"a law that does not bind a kernel is a hole",
                                  a_law_that_does_not_bind_a_kernel_is_a_hole},
                                 {"the house closes", house_close},
                                 CU_TEST_INFO_NULL};

    return att_suite_run("laws", tests);
}
