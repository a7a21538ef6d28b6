/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <stdlib.h>

#include "evals/tests/made_kernels.h"

/* ------------------------------------------- a kernel that keeps some tensor's offsets in 32 bits
 */

static const struct {
    const char *text;
    bool sign, bytes;
} kinds[] = {{"in elements wrap at 2^32", false, false},
             {"in elements wrap at 2^31", true, false},
             {"in bytes wrap at 2^32", false, true},
             {"in bytes wrap at 2^31", true, true}};

static const char *wrapped; /* the tensor: "q", "k", "v", "bias", "out", "lse" */
static size_t kind;

static char *found_at(const att_tensor *t, int64_t row)
{
    const int64_t *n = t->shape, size = (int64_t)att_dtype_size(t->dtype);
    int64_t at = att_tensor_at(t, row / n[2] / n[1], row / n[2] % n[1], row % n[2], 0);

    at *= kinds[kind].bytes ? size : 1;
    at = kinds[kind].sign ? (int64_t)(int32_t)(uint32_t)at : (int64_t)(uint32_t)at;
    return (char *)t->data + at * (kinds[kind].bytes ? 1 : size);
}

/* Rows between a dense copy and where they are thought to be; the last stride is 1 in all cases. */
static att_tensor copy_of(const att_tensor *t, bool back, const att_tensor *from)
{
    const int64_t *n = t->shape;
    const size_t width = (size_t)n[3] * att_dtype_size(t->dtype);
    char *data = back ? from->data : malloc((size_t)(n[0] * n[1] * n[2]) * width + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    for (int64_t r = 0; r < n[0] * n[1] * n[2]; r++)
        memcpy(back ? found_at(t, r) : data + (size_t)r * width,
               back ? data + (size_t)r * width : found_at(t, r), width);
    return att_tensor_dense(data, t->dtype, n[0], n[1], n[2], n[3]);
}

static att_status wraps_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const struct {
        const char *name;
        size_t at;
    } of[] = {{"q", offsetof(att_problem, q)},     {"k", offsetof(att_problem, k)},
              {"v", offsetof(att_problem, v)},     {"bias", offsetof(att_problem, bias)},
              {"out", offsetof(att_problem, out)}, {"lse", offsetof(att_problem, lse)}};
    att_problem own = *p;
    size_t which = 0;

    while (strcmp(of[which].name, wrapped) != 0)
        which++;
    const att_tensor *t = (const att_tensor *)(const void *)((const char *)p + of[which].at);
    att_tensor copy = copy_of(t, false, NULL);
    memcpy((char *)&own + of[which].at, &copy, sizeof copy);
    const att_status status = plain_attend(self, &own, s);
    if (which >= 4)
        copy_of(t, true, &copy);
    free(copy.data);
    return status;
}

static const att_kernel wraps = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "wraps",
                                 .family = "made",
                                 .summary = "keeps a tensor's offsets in 32 bits",
                                 .precision = F32_PRECISION,
                                 .supports = att_plain_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = wraps_attend};

static const att_kernel *const made[] = {&plain, &wraps, NULL};

static void open_house(void)
{
    house_open(1, made);
}

/* ------------------------------------------------------------------------------- tests */

static att_outcome outcome(const char *kernel, const char *params)
{
    att_record r = house_case("parity", kernel, params, 7);
    att_outcome status = r.status;

    att_record_clear(&r);
    return status;
}

/* Does the case fail, and is this its first explanation, with this text? */
static bool fails_as(const char *kernel, const char *params, const char *fault, const char *text)
{
    att_record r = house_case("parity", kernel, params, 7);
    bool right = r.status == ATT_FAIL && r.n_diagnoses > 0 &&
                 strncmp(r.diagnoses[0].fault, fault, strlen(fault)) == 0 &&
                 strstr(r.diagnoses[0].text, text) != NULL;

    if (!right)
        printf("%s: %s %s, %s\n", r.line, att_outcome_name(r.status),
               r.n_diagnoses ? r.diagnoses[0].fault : "-",
               r.n_diagnoses ? r.diagnoses[0].text : "-");
    att_record_clear(&r);
    return right;
}

static void right_kernels_reach_every_far_row(void)
{
    static const char *const cases[] = {"far=mask hq=2 sq=17 mask=full apart=28",
                                        "far=mask b=2 hq=2 sq=5 mask=heads apart=32 place=flush",
                                        "far=bias b=2 hq=2 sq=5 bias=full apart=33",
                                        "far=q b=2 hq=3 sq=5 apart=31 lens=both",
                                        "far=kv b=2 hq=2 hkv=1 sq=5 sk=9 apart=30 place=flush",
                                        "far=kv b=2 hq=2 hkv=1 sq=5 sk=17 store=page3 apart=30",
                                        "far=kv b=3 sk=17 store=page16 lens=both apart=31",
                                        "far=kv b=2 sk=9 store=packed lens=both apart=30",
                                        "far=out b=2 hq=2 sq=5 apart=32 lens=both",
                                        "far=lse b=2 hq=5 apart=30",
                                        NULL};
    static const char *const kernels[] = {"plain",     "flash_f32", "split_kv", "naive_blas",
                                          "topk{k=4}", "pool_kv",   NULL};

    for (size_t c = 0; cases[c]; c++)
        for (size_t k = 0; kernels[k]; k++) {
            att_outcome got = outcome(kernels[k], cases[c]);
            CU_ASSERT(got == ATT_PASS || got == ATT_HOLE);
            CU_ASSERT(got == ATT_PASS || strcmp(kernels[k], "plain") != 0);
        }
}

static void every_way_to_keep_an_offset_in_32_bits_is_named(void)
{
    static const char *const of[][3] = {
        {"q", "hq=2 sq=5 sk=9 far=q apart=29", "q_offset_32bit"},
        {"k", "hq=2 sq=5 sk=9 far=k apart=29", "k_offset_32bit"},
        {"v", "hq=2 sq=5 sk=9 far=v apart=29", "v_offset_32bit"},
        {"bias", "hq=2 sq=5 sk=9 bias=heads far=bias apart=29", "bias_offset_32bit"},
        {"out", "hq=2 sq=5 sk=9 far=out apart=29", "out_offset_32bit"},
        {"lse", "hq=9 sq=5 sk=9 far=lse apart=29", "lse_offset_32bit"}};

    for (size_t t = 0; t < sizeof of / sizeof *of; t++)
        for (kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            wrapped = of[t][0];
            att_shelf_keep(&shelf, NULL); /* each is looked into afresh */
            CU_ASSERT(fails_as("wraps", of[t][1], of[t][2], kinds[kind].text));
        }
}

static void nothing_is_wrong_where_offsets_are_small(void)
{
    wrapped = "k";
    kind = 1;
    CU_ASSERT_EQUAL(outcome("wraps", "hq=2 sq=5 sk=9"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("wraps", "hq=2 sq=5 sk=9 far=k apart=24"), ATT_PASS);
}

static void the_zoos_wrapped_offsets_are_named(void)
{
    CU_ASSERT(
        fails_as("mask_offset_32bit", "far=mask hq=2 sq=5 mask=rows", "mask_offset_32bit", "2^32"));
    CU_ASSERT(fails_as("mask_offset_32bit", "far=mask sq=17 mask=full apart=28",
                       "mask_offset_32bit", "2^32"));
    CU_ASSERT(
        fails_as("page_offset_32bit", "far=kv sk=17 store=page3", "page_offset_32bit", "2^32"));
    CU_ASSERT_EQUAL(outcome("mask_offset_32bit", "sq=17 mask=full"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("page_offset_32bit", "sk=17 store=page3"), ATT_PASS);
}

static void the_scale_of_absorbed_keys_is_told_from_one_ignored(void)
{
    CU_ASSERT(fails_as("mla_latent_scale", "hq=4 hkv=1 d=40 dv=32 layout=shared scale=1.3",
                       "mla_latent_scale", "absorbed"));
    CU_ASSERT_EQUAL(outcome("mla_latent_scale", "hq=4 hkv=1 d=40 dv=32 layout=shared"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("mla_latent_scale", "hq=4 hkv=1 d=40 dv=32 scale=1.3"), ATT_PASS);
}

static void what_can_not_be_far_is_a_usage_error(void)
{
    static const char *const lines[] = {
        "parity flash_f32 far=mask", "parity flash_f32 far=q layout=bshd",
        "parity flash_f32 far=k store=page3", "parity flash_f32 far=q sq=600",
        "parity flash_f32 far=kv store=page1 sk=40 apart=32"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        att_case *c = NULL;
        att_why why = {""};
        CU_ASSERT_EQUAL(att_case_parse(registry, lines[i], &c, &why), ATT_INVALID);
        att_case_drop(c);
    }
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"right kernels reach every far row", right_kernels_reach_every_far_row},
        {"every way to keep an offset in 32 bits is named",
         every_way_to_keep_an_offset_in_32_bits_is_named},
        {"nothing is wrong where offsets are small", nothing_is_wrong_where_offsets_are_small},
        {"the zoo's wrapped offsets are named", the_zoos_wrapped_offsets_are_named},
        {"the scale of absorbed keys is told from one ignored",
         the_scale_of_absorbed_keys_is_told_from_one_ignored},
        {"what can not be far is a usage error", what_can_not_be_far_is_a_usage_error},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("parity_far", tests);
}
