/* SPDX-License-Identifier: Apache-2.0 */
/* The exact kernels against a plain f64 loop, feature by feature. */
#include <sys/mman.h>

#include "base/tests/suite.h"
#include "loop.h"

static const char *const EXACT[] = {"naive_blas", "flash_f32", "flash_f16",
                                    "flash_bf16", "split_kv",  NULL};

/* Parameters of the kernel under test at their defaults. */
static const att_value *defaults(const att_kernel *k, att_value values[8])
{
    for (int i = 0; k->params && k->params[i].name; i++)
        values[i] = (att_value){.i = atoll(k->params[i].fallback),
                                .f = atof(k->params[i].fallback),
                                .s = k->params[i].fallback};
    return k->params ? values : NULL;
}

static int32_t storage(const char *name)
{
    return strstr(name, "bf16") ? ATT_BF16 : strstr(name, "f16") ? ATT_F16 : ATT_F32;
}

/* Every exact kernel at 1, 2 and 5 threads; the same bits at each. */
static void all_agree(const try_spec *spec, const char *what)
{
    static const int threads[] = {1, 2, 5};
    for (int n = 0; EXACT[n]; n++) {
        const att_kernel *k = try_kernel(EXACT[n]);
        att_value values[8];
        try_spec own = *spec;
        own.dtype = storage(EXACT[n]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(k);
        uint64_t first = 0;
        for (int c = 0; c < 3; c++) {
            try_problem t;
            att_host host;
            try_make(&t, &own, 7);
            CU_ASSERT_EQUAL_FATAL(att_host_make(threads[c], &host), ATT_OK);
            const att_status status =
                try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL);
            CU_ASSERT_EQUAL(status, ATT_OK);
            const double worst = c == 0 ? try_worst(&t, NULL) : 0; /* then the same bits */
            if (!(worst <= 1) || status)
                printf("%s: %s: status %d, %g times the bound\n", EXACT[n], what, (int)status,
                       worst);
            CU_ASSERT(worst <= 1);
            uint64_t bits = 1469598103934665603u;
            for (int g = 3; g < 5; g++) { /* out and lse */
                const unsigned char *byte = t.guard[g].data;
                for (size_t i = 0; i < t.guard[g].bytes; i++)
                    bits = (bits ^ byte[i]) * 1099511628211u;
            }
            CU_ASSERT(c == 0 || bits == first);
            first = bits;
            att_host_drop(&host);
            try_drop(&t);
        }
    }
}

static const try_spec PLAIN = {.b = 2, .hq = 6, .hkv = 2, .sq = 17, .skv = 70, .dk = 40, .dv = 24};

#define CASE(name, ...)                                                                            \
    static void name(void)                                                                         \
    {                                                                                              \
        const try_spec spec = {__VA_ARGS__};                                                       \
        all_agree(&spec, #name);                                                                   \
    }
#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV
#define USUAL SHAPE(2, 6, 2, 17, 70, 40, 24)

CASE(self_attention, SHAPE(1, 3, 3, 64, 64, 64, 64))
CASE(cross_attention_with_other_value_dim, USUAL)
CASE(one_key_one_query_one_dim, SHAPE(1, 1, 1, 1, 1, 1, 1))
CASE(multi_query_heads, SHAPE(2, 7, 1, 9, 33, 8, 16))
CASE(odd_groups_do_not_cross_kv_heads, SHAPE(1, 12, 2, 5, 40, 8, 8))
CASE(wide_heads, SHAPE(1, 2, 1, 7, 66, 256, 300))
CASE(decode_over_many_keys, SHAPE(1, 6, 2, 1, 1100, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(more_rows_than_a_block, SHAPE(1, 2, 1, 129, 65, 16, 16), .causal = ATT_CAUSAL_TOP_LEFT)
CASE(causal_bottom_right, USUAL, .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(causal_top_left, USUAL, .causal = ATT_CAUSAL_TOP_LEFT)
CASE(causal_with_more_queries_than_keys, SHAPE(1, 2, 2, 40, 17, 8, 8),
     .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(causal_by_positions, USUAL, .causal = ATT_CAUSAL_POSITIONS, .positions = 1)
CASE(causal_by_key_positions, USUAL, .causal = ATT_CAUSAL_POSITIONS, .positions = 2, .left1 = 20)
CASE(window_left_and_right, USUAL, .left1 = 6, .right1 = 4)
CASE(window_zero_sees_its_own_key, USUAL, .causal = ATT_CAUSAL_BOTTOM_RIGHT, .left1 = 1)
CASE(softcap_strong, USUAL, .cap = 2.0)
CASE(softcap_weak_with_bias, USUAL, .cap = 50.0, .bias = 1)
CASE(sink_logits, USUAL, .sinks = 1, .causal = ATT_CAUSAL_TOP_LEFT)
CASE(alibi, USUAL, .alibi = 1)
CASE(alibi_causal_top_left, USUAL, .alibi = 1, .causal = ATT_CAUSAL_TOP_LEFT)
CASE(bias_full, USUAL, .bias = 1)
CASE(bias_per_key, USUAL, .bias = 2)
CASE(bias_per_row, USUAL, .bias = 3)
CASE(bias_f16_per_head, USUAL, .bias = 4)
CASE(bias_bf16, USUAL, .bias = 5)
CASE(bias_f64, USUAL, .bias = 6)
CASE(mask_full, USUAL, .mask = 1)
CASE(mask_per_key, USUAL, .mask = 2)
CASE(mask_per_row, USUAL, .mask = 3)
CASE(rows_that_see_nothing, USUAL, .mask = 4, .sinks = 1)
CASE(mask_and_causal_and_window, USUAL, .mask = 1, .bias = 2, .left1 = 30,
     .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(block_mask, USUAL, .block = 5)
CASE(block_mask_wider_than_a_tile, SHAPE(1, 4, 2, 30, 300, 8, 8), .block = 100,
     .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(used_lengths, SHAPE(3, 4, 2, 17, 70, 16, 16), .lengths = 1, .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(packed_sequences_with_an_empty_one, SHAPE(4, 4, 2, 30, 90, 16, 8), .packed = 1,
     .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(pages_of_three, USUAL, .paged = 3, .lengths = 1, .causal = ATT_CAUSAL_BOTTOM_RIGHT)
CASE(pages_of_one, USUAL, .paged = 1, .bias = 1)
CASE(pages_wider_than_a_tile, SHAPE(2, 4, 2, 5, 300, 8, 8), .paged = 100, .layout = TRY_BSHD)
CASE(heads_inside_rows, USUAL, .layout = TRY_BSHD)
CASE(negative_strides, USUAL, .layout = TRY_BACKWARD)
CASE(every_other_element, USUAL, .layout = TRY_SPREAD)
CASE(logits_near_minus_70000, USUAL, .values = 1)
CASE(a_late_key_takes_all, USUAL, .values = 2)
CASE(large_values, USUAL, .values = 3)
CASE(no_keys, SHAPE(2, 2, 1, 5, 0, 8, 8), .sinks = 1)
CASE(no_queries, SHAPE(2, 2, 1, 0, 5, 8, 8))
CASE(no_batch, SHAPE(0, 2, 1, 3, 5, 8, 8))

/* The bound is vacuous there; the result must still be a mean of V. */
static void bias_of_float_max_on_all_keys_gives_a_mean(void)
{
    for (int n = 0; EXACT[n]; n++) {
        const att_kernel *k = try_kernel(EXACT[n]);
        att_value values[8];
        try_spec spec = PLAIN;
        spec.bias = 7, spec.dtype = storage(EXACT[n]);
        try_problem t;
        att_host host;
        try_make(&t, &spec, 3);
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL), ATT_OK);
        for (int64_t d = 0; d < spec.dv; d++) {
            double mean = 0;
            for (int64_t j = 0; j < spec.skv; j++)
                mean += try_get(&t.p.v, 1, 1, j, d) / (double)spec.skv;
            const double tolerance = 2 * (double)spec.skv * 0x1p-24 + try_ulp(spec.dtype, mean);
            CU_ASSERT(fabs(try_get(&t.p.out, 1, 5, 3, d) - mean) <= tolerance);
        }
        att_host_drop(&host);
        try_drop(&t);
    }
}

/* Poisons q, k or v where `row` must not look, or must. */
static void nan_reaches_who_may_see_it_and_no_other(void)
{
    static const double poison[] = {NAN, INFINITY, -INFINITY};
    for (int n = 0; EXACT[n]; n++)
        for (int c = 0; c < 6; c++) {
            const att_kernel *k = try_kernel(EXACT[n]);
            att_value values[8];
            try_spec spec = {SHAPE(1, 2, 1, 12, 80, 16, 20)};
            spec.dtype = storage(EXACT[n]), spec.causal = ATT_CAUSAL_BOTTOM_RIGHT;
            try_problem t;
            att_host host;
            try_make(&t, &spec, 11);
            CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
            const int64_t key = 74; /* rows 0 .. 5 may not see it, rows 6 .. 11 may */
            try_put(c < 3 ? &t.p.v : &t.p.k, 0, 0, key, 3, poison[c % 3]);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL),
                            ATT_OK);
            for (int64_t i = 0; i < 12; i++)
                for (int64_t d = 0; d < 20; d++) {
                    const double o = try_get(&t.p.out, 0, 1, i, d);
                    /* V spoils its own column; K spoils the row (-inf scores of an Inf key spoil
                     * none) */
                    if (i < 6 || (c < 3 && d != 3))
                        CU_ASSERT(isfinite(o));
                    if (i >= 6 && (c < 3 ? d == 3 : c == 3))
                        CU_ASSERT(!isfinite(o));
                }
            att_host_drop(&host);
            try_drop(&t);
        }
}

/* The only key a row may see scores -inf: that is not an empty row. */
static void a_row_of_minus_infinity_is_nan_not_empty(void)
{
    for (int n = 0; EXACT[n]; n++) {
        const att_kernel *k = try_kernel(EXACT[n]);
        att_value values[8];
        try_spec spec = {SHAPE(1, 1, 1, 3, 3, 4, 4)};
        spec.dtype = storage(EXACT[n]), spec.causal = ATT_CAUSAL_TOP_LEFT;
        try_problem t;
        att_host host;
        try_make(&t, &spec, 5);
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        try_put(&t.p.q, 0, 0, 0, 0, 1.0);
        try_put(&t.p.k, 0, 0, 0, 0, -(double)INFINITY);
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL), ATT_OK);
        CU_ASSERT(isnan(try_get(&t.p.out, 0, 0, 0, 0)));
        CU_ASSERT(isnan(try_get(&t.p.lse, 0, 0, 0, 0)));
        att_host_drop(&host);
        try_drop(&t);
    }
}

static void a_page_that_does_not_exist_is_invalid(void)
{
    for (int n = 0; EXACT[n]; n++) {
        const att_kernel *k = try_kernel(EXACT[n]);
        att_value values[8];
        try_spec spec = PLAIN;
        spec.paged = 16, spec.dtype = storage(EXACT[n]);
        try_problem t;
        att_host host;
        try_make(&t, &spec, 5);
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        int32_t *table = t.p.block_table.data;
        table[1] = (int32_t)t.p.k.shape[0];
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL),
                        ATT_INVALID);
        table[1] = -1;
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &host, NULL),
                        ATT_INVALID);
        att_host_drop(&host);
        try_drop(&t);
    }
}

static void zero_strides_share_one_row(void)
{
    const att_kernel *k = try_kernel("flash_f32");
    try_spec spec = {SHAPE(2, 4, 4, 9, 20, 8, 8)};
    try_problem t;
    att_host host;
    try_make(&t, &spec, 5);
    CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
    t.p.k.stride[0] = t.p.k.stride[1] = t.p.v.stride[0] = 0;
    t.p.q.stride[2] = 0;
    CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, NULL, &host, NULL), ATT_OK);
    CU_ASSERT(try_worst(&t, NULL) <= 1);
    att_host_drop(&host);
    try_drop(&t);
}

/* Row i sits at i * 2^29 elements of a sparse mapping: offsets pass 2^32 bytes and 2^31 elements.
 */
static void offsets_are_64_bit(void)
{
    const int64_t far = (int64_t)1 << 29, n = 6;
    static const char *const names[] = {"flash_f32", "naive_blas"};
    for (int c = 0; c < 2; c++) {
        const att_kernel *k = try_kernel(names[c]);
        try_spec spec = {SHAPE(1, 1, 1, 2, 6, 4, 4)};
        try_problem t;
        att_host host;
        try_make(&t, &spec, 5);
        char *map = mmap(NULL, (size_t)(n * far) * sizeof(float), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            att_suite_skip("no 12 GiB of address space");
            try_drop(&t);
            return;
        }
        att_tensor wide = t.p.k;
        wide.data = map, wide.stride[2] = far;
        for (int64_t j = 0; j < n; j++)
            for (int64_t d = 0; d < 4; d++)
                try_put(&wide, 0, 0, j, d, try_get(&t.p.k, 0, 0, j, d));
        t.p.k = wide;
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, NULL, &host, NULL), ATT_OK);
        CU_ASSERT(try_worst(&t, NULL) <= 1);
        munmap(map, (size_t)(n * far) * sizeof(float));
        att_host_drop(&host);
        try_drop(&t);
    }
}

static void more_than_65535_rows(void)
{
    static const try_spec specs[] = {{SHAPE(1, 1, 1, 65600, 3, 2, 2)},
                                     {SHAPE(32800, 2, 2, 1, 3, 1, 2)}};
    for (int c = 0; c < 4; c++) {
        const att_kernel *k = try_kernel(c < 2 ? "flash_f32" : "naive_blas");
        try_problem t;
        att_host host;
        try_make(&t, &specs[c % 2], 5);
        CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, NULL, &host, NULL), ATT_OK);
        CU_ASSERT(try_worst(&t, NULL) <= 1);
        att_host_drop(&host);
        try_drop(&t);
    }
}

/* Levels are compiled from one source: same kernels, each within the bound. */
static void every_isa_level_is_within_the_bound(void)
{
    static const char *const level[] = {"plain", "v3", "v4"};
    int tried = 0;
    for (int n = 0; n < 3; n++) {
        CU_ASSERT_EQUAL_FATAL(setenv("ATT_ISA", level[n], 1), 0);
        const char *why = NULL;
        const att_kernel_tables *tables = att_kernel_table(&why);
        CU_ASSERT(tables || strstr(why, "which has:"));
        if (!tables)
            continue;
        CU_ASSERT_STRING_EQUAL(tables->isa, level[n]);
        all_agree(&(try_spec){USUAL, .bias = 1, .sinks = 1, .cap = 3.0}, level[n]);
        all_agree(&(try_spec){SHAPE(1, 3, 1, 40, 200, 33, 17), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
                  level[n]);
        tried++;
    }
    CU_ASSERT(tried > 0);
    CU_ASSERT_EQUAL(setenv("ATT_ISA", "none", 1), 0);
    CU_ASSERT_PTR_NULL(att_kernel_table(NULL));
    CU_ASSERT_EQUAL(unsetenv("ATT_ISA"), 0);
}

static void contradictions_are_refused_with_a_reason(void)
{
    for (int n = 0; EXACT[n]; n++) {
        const att_kernel *k = try_kernel(EXACT[n]);
        att_value values[8];
        try_spec spec = PLAIN;
        spec.dtype = storage(EXACT[n]);
        spec.mask = 1;
        for (int c = 0; c < 7; c++) {
            try_problem t;
            att_reason why = {""};
            try_make(&t, &spec, 1);
            CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &why), ATT_OK);
            att_status want = ATT_INVALID;
            switch (c) {
            case 0:
                t.p.heads_kv = 4;
                break;
            case 1:
                t.p.mask.shape[3] = 2;
                break;
            case 2:
                t.p.k.shape[2]--;
                break;
            case 3:
                t.p.causal = ATT_CAUSAL_POSITIONS;
                break;
            case 4:
                t.p.flags = 1, want = ATT_UNSUPPORTED;
                break;
            case 5:
                t.p.page_size = 16;
                break;
            default:
                t.p.q.dtype = 99, want = ATT_UNSUPPORTED;
            }
            CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, defaults(k, values), &why), want);
            CU_ASSERT(why.text[0] != 0);
            try_drop(&t);
        }
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"self_attention", self_attention},
        {"cross_attention_with_other_value_dim", cross_attention_with_other_value_dim},
        {"one_key_one_query_one_dim", one_key_one_query_one_dim},
        {"multi_query_heads", multi_query_heads},
        {"odd_groups_do_not_cross_kv_heads", odd_groups_do_not_cross_kv_heads},
        {"wide_heads", wide_heads},
        {"decode_over_many_keys", decode_over_many_keys},
        {"more_rows_than_a_block", more_rows_than_a_block},
        {"causal_bottom_right", causal_bottom_right},
        {"causal_top_left", causal_top_left},
        {"causal_with_more_queries_than_keys", causal_with_more_queries_than_keys},
        {"causal_by_positions", causal_by_positions},
        {"causal_by_key_positions", causal_by_key_positions},
        {"window_left_and_right", window_left_and_right},
        {"window_zero_sees_its_own_key", window_zero_sees_its_own_key},
        {"softcap_strong", softcap_strong},
        {"softcap_weak_with_bias", softcap_weak_with_bias},
        {"sink_logits", sink_logits},
        {"alibi", alibi},
        {"alibi_causal_top_left", alibi_causal_top_left},
        {"bias_full", bias_full},
        {"bias_per_key", bias_per_key},
        {"bias_per_row", bias_per_row},
        {"bias_f16_per_head", bias_f16_per_head},
        {"bias_bf16", bias_bf16},
        {"bias_f64", bias_f64},
        {"mask_full", mask_full},
        {"mask_per_key", mask_per_key},
        {"mask_per_row", mask_per_row},
        {"rows_that_see_nothing", rows_that_see_nothing},
        {"mask_and_causal_and_window", mask_and_causal_and_window},
        {"block_mask", block_mask},
        {"block_mask_wider_than_a_tile", block_mask_wider_than_a_tile},
        {"used_lengths", used_lengths},
        {"packed_sequences_with_an_empty_one", packed_sequences_with_an_empty_one},
        {"pages_of_three", pages_of_three},
        {"pages_of_one", pages_of_one},
        {"pages_wider_than_a_tile", pages_wider_than_a_tile},
        {"a_page_that_does_not_exist_is_invalid", a_page_that_does_not_exist_is_invalid},
        {"heads_inside_rows", heads_inside_rows},
        {"negative_strides", negative_strides},
        {"every_other_element", every_other_element},
        {"logits_near_minus_70000", logits_near_minus_70000},
        {"a_late_key_takes_all", a_late_key_takes_all},
        {"large_values", large_values},
        {"no_keys", no_keys},
        {"no_queries", no_queries},
        {"no_batch", no_batch},
        {"bias_of_float_max_on_all_keys_gives_a_mean", bias_of_float_max_on_all_keys_gives_a_mean},
        {"nan_reaches_who_may_see_it_and_no_other", nan_reaches_who_may_see_it_and_no_other},
        {"a_row_of_minus_infinity_is_nan_not_empty", a_row_of_minus_infinity_is_nan_not_empty},
        {"zero_strides_share_one_row", zero_strides_share_one_row},
        {"offsets_are_64_bit", offsets_are_64_bit},
        {"more_than_65535_rows", more_than_65535_rows},
        {"every_isa_level_is_within_the_bound", every_isa_level_is_within_the_bound},
        {"contradictions_are_refused_with_a_reason", contradictions_are_refused_with_a_reason},
        CU_TEST_INFO_NULL};
    return att_suite_run("exact kernels", tests);
}
