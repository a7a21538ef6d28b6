/* SPDX-License-Identifier: Apache-2.0 */
/* The GGUF reader against files that lie.  Every file is made here; each attack must be refused
 * with a message that names the file, and the sanitizers must stay silent. */
#include <math.h>
#include <unistd.h>

#include "base/tests/suite.h"
#include "build_gguf.h"

static att_status parse_bytes(const char *data, size_t length, att_why *why)
{
    att_gguf *g = NULL;
    why->text[0] = 0;
    att_status st = att_gguf_parse(data, length, "lie.gguf", &g, why);
    CU_ASSERT((st == ATT_OK) == (g != NULL));
    CU_ASSERT(st == ATT_OK || strstr(why->text, "lie.gguf"));
    att_gguf_close(g);
    return st;
}

/* In a block of exactly `length` bytes, so that AddressSanitizer sees a read of one byte more. */
static char *exact_copy(const att_buf *file, size_t length)
{
    char *exact = malloc(length ? length : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, file->data, length);
    return exact;
}

static att_status parse(const att_buf *file, size_t length, att_why *why)
{
    char *exact = exact_copy(file, length);
    att_status st = parse_bytes(exact, length, why);
    free(exact);
    return st;
}

/* Refused with `want`, and the message holds `says`. */
static void refused(att_buf *file, att_status want, const char *says)
{
    att_why why;
    att_status st = parse(file, file->length, &why);
    CU_ASSERT_EQUAL(st, want);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, says));
    if (st != want || !strstr(why.text, says))
        printf("  status %d, message: %s (wanted: %s)\n", (int)st, why.text, says);
    att_buf_drop(file);
}

static void a_right_file_is_read(void)
{
    att_buf file = build_tiny(1);
    att_gguf *g;
    att_why why;
    int64_t x = 0;
    CU_ASSERT_EQUAL_FATAL(att_gguf_parse(file.data, file.length, "tiny", &g, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_gguf_tensors(g), 2 + 9 * TINY_LAYERS);
    CU_ASSERT_EQUAL(att_gguf_int(g, "llama.block_count", true, &x, &why), ATT_OK);
    CU_ASSERT_EQUAL(x, TINY_LAYERS);
    const att_gguf_tensor *t = att_gguf_tensor_named(g, "blk.1.ffn_down.weight");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL(t->shape[0], TINY_FF);
    CU_ASSERT_EQUAL(t->rows, TINY_WIDTH);
    CU_ASSERT_PTR_NULL(att_gguf_tensor_named(g, "blk.9.ffn_down.weight"));
    att_gguf_close(g);
    att_buf_drop(&file);
}

static void every_truncation_is_refused(void)
{
    att_buf file = build_tiny(1);
    att_why why;
    for (size_t n = 0; n < file.length; n += n < 4096 ? 1 : 997)
        CU_ASSERT_EQUAL(parse(&file, n, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(parse(&file, file.length - 1, &why), ATT_CORRUPT);
    att_buf_drop(&file);
}

static void flipped_bits_never_crash(void)
{
    att_buf file = build_tiny(1);
    char *bytes = exact_copy(&file, file.length);
    att_why why;
    size_t refused_files = 0;
    for (size_t bit = 0; bit < 8 * 4096;
         bit++) { /* the header, the keys, part of the tensor table */
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        refused_files += parse_bytes(bytes, file.length, &why) != ATT_OK;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    CU_ASSERT(refused_files >
              1000); /* lengths, kinds, types, offsets; a flipped value may be right */
    CU_ASSERT_EQUAL(parse_bytes(bytes, file.length, &why), ATT_OK);
    free(bytes);
    att_buf_drop(&file);
}

static void counts_beyond_the_file_are_refused(void)
{
    static const uint64_t lies[] = {1, 1000, UINT32_MAX, UINT64_MAX, UINT64_MAX / 33, INT64_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        att_buf keys = {0}, tensors = {0};
        put_header(&keys, 0, lies[i]);
        refused(&keys, ATT_CORRUPT, "byte 16");
        put_header(&tensors, lies[i], 0);
        refused(&tensors, ATT_CORRUPT, "byte 8");
    }
}

static void a_43_byte_file_does_not_loop(void)
{
    att_buf file = {0};
    put_header(&file, 0, 1);
    put_text(&file, "k");
    att_buf_add(&file, "\x09\0\0\0\x08\0\0\0\xff\xff", 10); /* an array of strings, cut short */
    CU_ASSERT_EQUAL(file.length, 43);
    refused(&file, ATT_CORRUPT, "byte");
}

static void array_counts_and_kinds_are_checked(void)
{
    static const struct {
        uint32_t kind;
        uint64_t count;
        const char *says;
    } lies[] = {{0, UINT64_MAX, "claims"},  {8, UINT64_MAX / 8 + 1, "claims"},
                {10, 1ull << 61, "claims"}, {9, 1, "nested"},
                {13, 0, "unknown"},         {77, 1, "unknown"}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        att_buf file = {0};
        put_header(&file, 0, 1);
        put_key_array(&file, "some.array", lies[i].kind, lies[i].count);
        put_u64(&file, 0);
        put_u64(&file, 0);
        refused(&file, ATT_CORRUPT, "some.array");
    }
}

static void string_lengths_past_the_end_are_refused(void)
{
    static const uint64_t lies[] = {100, UINT32_MAX, UINT64_MAX, UINT64_MAX - 31};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        att_buf key = {0}, value = {0};
        put_header(&key, 0, 1);
        put_u64(&key, lies[i]);
        att_buf_puts(&key, "general.architecture");
        refused(&key, ATT_CORRUPT, "byte 24");
        put_header(&value, 0, 1);
        put_text(&value, "k");
        put_u32(&value, KIND_STRING);
        put_u64(&value, lies[i]);
        att_buf_puts(&value, "llama");
        refused(&value, ATT_CORRUPT, "byte 37");
    }
}

static void one_tensor(att_buf *file, uint32_t align, uint32_t dims, const uint64_t *shape,
                       uint32_t type, uint64_t offset)
{
    put_header(file, 1, 1);
    put_key_u32(file, "general.alignment", align);
    put_tensor(file, "big", dims, shape, type, offset);
    pad_to(file, 32);
    for (int i = 0; i < 64; i++)
        put_u32(file, 0);
}

static void tensor_sizes_that_overflow_are_refused(void)
{
    static const uint64_t shapes[][4] = {{UINT64_MAX, 1, 1, 1},
                                         {1ull << 62, 4, 1, 1},
                                         {1ull << 32, 1ull << 32, 1, 1},
                                         {1ull << 61, 2, 1, 1},
                                         {32, 1ull << 31, 1ull << 31, 1ull << 31},
                                         {0, 1, 1, 1},
                                         {INT64_MAX, 1, 1, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        att_buf file = {0};
        one_tensor(&file, 32, 4, shapes[i], ATT_GGUF_F32, 0);
        refused(&file, ATT_CORRUPT, "tensor big");
    }
}

static void offsets_and_alignment_are_checked(void)
{
    static const uint64_t shape[] = {64};
    static const uint64_t offsets[] = {4, 32, 1ull << 40, UINT64_MAX - 31, UINT64_MAX, 1ull << 63};
    static const uint32_t aligns[] = {0, 1, 3, 33, 1u << 31, UINT32_MAX};
    att_buf right = {0};
    att_why why;
    one_tensor(&right, 32, 1, shape, ATT_GGUF_F32, 0);
    CU_ASSERT_EQUAL(parse(&right, right.length, &why), ATT_OK);
    att_buf_drop(&right);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        att_buf file = {0};
        one_tensor(&file, 32, 1, shape, ATT_GGUF_F32, offsets[i]);
        refused(&file, ATT_CORRUPT, "tensor big");
    }
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        att_buf file = {0};
        one_tensor(&file, aligns[i], 1, shape, ATT_GGUF_F32, 0);
        refused(&file, ATT_CORRUPT, "general.alignment");
    }
}

static void unread_types_and_dimensions_are_named(void)
{
    static const uint64_t shape[] = {256, 1, 1, 1, 1};
    att_buf k = {0}, unknown = {0}, dims = {0}, none = {0}, block = {0};
    one_tensor(&k, 32, 1, shape, 12, 0);
    refused(&k, ATT_UNSUPPORTED, "Q4_K (12)");
    one_tensor(&unknown, 32, 1, shape, UINT32_MAX, 0);
    refused(&unknown, ATT_UNSUPPORTED, "? (4294967295)");
    one_tensor(&dims, 32, 5, shape, ATT_GGUF_F32, 0);
    refused(&dims, ATT_CORRUPT, "more than 4");
    one_tensor(&none, 32, 0, shape, ATT_GGUF_F32, 0);
    refused(&none, ATT_CORRUPT, "no dimensions");
    one_tensor(&block, 32, 1, (const uint64_t[]){33}, ATT_GGUF_Q4_1, 0);
    refused(&block, ATT_CORRUPT, "whole blocks");
}

static void doubles_and_overlaps_are_refused(void)
{
    static const uint64_t shape[] = {8};
    att_buf keys = {0}, names = {0}, over = {0};
    put_header(&keys, 0, 2);
    put_key_u32(&keys, "same", 1);
    put_key_u32(&keys, "same", 2);
    refused(&keys, ATT_CORRUPT, "twice");
    put_header(&names, 2, 0);
    put_tensor(&names, "t", 1, shape, ATT_GGUF_F32, 0);
    put_tensor(&names, "t", 1, shape, ATT_GGUF_F32, 32);
    pad_to(&names, 32);
    for (int i = 0; i < 16; i++)
        put_u32(&names, 0);
    refused(&names, ATT_CORRUPT, "twice");
    put_header(&over, 2, 0);
    put_tensor(&over, "a", 1, (const uint64_t[]){16}, ATT_GGUF_F32, 0);
    put_tensor(&over, "b", 1, shape, ATT_GGUF_F32, 32);
    pad_to(&over, 32);
    for (int i = 0; i < 16; i++)
        put_u32(&over, 0);
    refused(&over, ATT_CORRUPT, "overlaps");
}

static void magic_and_version_are_checked(void)
{
    att_buf magic = {0}, old = {0}, future = {0};
    att_buf_puts(&magic, "GGML");
    put_u32(&magic, 3);
    put_u64(&magic, 0);
    put_u64(&magic, 0);
    refused(&magic, ATT_CORRUPT, "not a GGUF file");
    att_buf_puts(&old, "GGUF");
    put_u32(&old, 2);
    put_u64(&old, 0);
    put_u64(&old, 0);
    refused(&old, ATT_UNSUPPORTED, "version 2");
    att_buf_puts(&future, "GGUF");
    put_u32(&future, 0x03000000); /* big-endian 3 */
    put_u64(&future, 0);
    put_u64(&future, 0);
    refused(&future, ATT_CORRUPT, "version");
}

static void missing_and_odd_paths_say_why(void)
{
    att_gguf *g;
    att_why why;
    CU_ASSERT_EQUAL(att_gguf_open("/nonexistent/x.gguf", &g, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/x.gguf: No such file"));
    CU_ASSERT_EQUAL(att_gguf_open("/", &g, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "not a regular file"));
    CU_ASSERT_EQUAL(att_gguf_open("/dev/null", &g, &why), ATT_IO);
    CU_ASSERT_PTR_NULL(g);
}

static void values_of_the_wrong_kind_are_refused(void)
{
    att_buf file = {0};
    att_gguf *g;
    att_why why;
    int64_t x = 7, *xs;
    double f;
    bool flag;
    att_gguf_text text, *texts;
    size_t n;
    put_header(&file, 0, 3);
    put_key_f32(&file, "float", 1.5f);
    put_key_text(&file, "text", "abc");
    put_key_array(&file, "array", KIND_U32, 1);
    put_u32(&file, 5);
    CU_ASSERT_EQUAL_FATAL(att_gguf_parse(file.data, file.length, "f", &g, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_gguf_int(g, "float", true, &x, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_int(g, "array", true, &x, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_real(g, "text", true, &f, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_flag(g, "text", true, &flag, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_string(g, "float", true, &text, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_strings(g, "array", true, &texts, &n, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_ints(g, "text", true, &xs, &n, &why), ATT_CORRUPT);
    CU_ASSERT_EQUAL(att_gguf_int(g, "absent", true, &x, &why), ATT_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "key absent is missing"));
    CU_ASSERT_EQUAL(att_gguf_int(g, "absent", false, &x, &why), ATT_OK);
    CU_ASSERT_EQUAL(x, 7);
    CU_ASSERT_EQUAL(att_gguf_ints(g, "array", true, &xs, &n, &why), ATT_OK);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(xs[0], 5);
    free(xs);
    att_gguf_close(g);
    att_buf_drop(&file);
}

/* One block of each type with scale 0.5 (f16 0x3800) and minimum -1 (0xbc00), quants 0, 1, 2 ... */
static void blocks_are_dequantised_by_their_formulas(void)
{
    uint8_t q8[34] = {0x00, 0x38}, q40[18] = {0x00, 0x38}, q41[20] = {0x00, 0x38, 0x00, 0xbc};
    uint8_t f16[8] = {0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0x01, 0x7e}; /* 1, 2^-24, -inf, NaN */
    uint8_t bf16[4] = {0x80, 0x3f, 0x00, 0xc0};                        /* 1, -2 */
    float out[32];
    for (int i = 0; i < 32; i++)
        q8[2 + i] = (uint8_t)(i - 16);
    for (int i = 0; i < 16; i++)
        q40[2 + i] = q41[4 + i] = (uint8_t)(i | (15 - i) << 4);
    att_gguf_tensor t = {.type = ATT_GGUF_Q8_0, .shape = {32, 1, 1, 1}, .rows = 1, .data = q8};
    att_gguf_dequantise(&t, 0, 1, out);
    for (int i = 0; i < 32; i++)
        CU_ASSERT_EQUAL(out[i], 0.5f * (float)(i - 16));
    t.type = ATT_GGUF_Q4_0;
    t.data = q40;
    att_gguf_dequantise(&t, 0, 1, out);
    for (int i = 0; i < 32; i++)
        CU_ASSERT_EQUAL(out[i], 0.5f * (float)((i < 16 ? i : 31 - i) - 8));
    t.type = ATT_GGUF_Q4_1;
    t.data = q41;
    att_gguf_dequantise(&t, 0, 1, out);
    for (int i = 0; i < 32; i++)
        CU_ASSERT_EQUAL(out[i], 0.5f * (float)(i < 16 ? i : 31 - i) - 1.0f);
    t = (att_gguf_tensor){.type = ATT_GGUF_F16, .shape = {4, 1, 1, 1}, .rows = 1, .data = f16};
    att_gguf_dequantise(&t, 0, 1, out);
    CU_ASSERT(out[0] == 1.0f && out[1] == 0x1p-24f && out[2] == -INFINITY && isnan(out[3]));
    t = (att_gguf_tensor){.type = ATT_GGUF_BF16, .shape = {2, 1, 1, 1}, .rows = 1, .data = bf16};
    att_gguf_dequantise(&t, 0, 1, out);
    CU_ASSERT(out[0] == 1.0f && out[1] == -2.0f);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_right_file_is_read", a_right_file_is_read},
        {"every_truncation_is_refused", every_truncation_is_refused},
        {"flipped_bits_never_crash", flipped_bits_never_crash},
        {"counts_beyond_the_file_are_refused", counts_beyond_the_file_are_refused},
        {"a_43_byte_file_does_not_loop", a_43_byte_file_does_not_loop},
        {"array_counts_and_kinds_are_checked", array_counts_and_kinds_are_checked},
        {"string_lengths_past_the_end_are_refused", string_lengths_past_the_end_are_refused},
        {"tensor_sizes_that_overflow_are_refused", tensor_sizes_that_overflow_are_refused},
        {"offsets_and_alignment_are_checked", offsets_and_alignment_are_checked},
        {"unread_types_and_dimensions_are_named", unread_types_and_dimensions_are_named},
        {"doubles_and_overlaps_are_refused", doubles_and_overlaps_are_refused},
        {"magic_and_version_are_checked", magic_and_version_are_checked},
        {"missing_and_odd_paths_say_why", missing_and_odd_paths_say_why},
        {"values_of_the_wrong_kind_are_refused", values_of_the_wrong_kind_are_refused},
        {"blocks_are_dequantised_by_their_formulas", blocks_are_dequantised_by_their_formulas},
        CU_TEST_INFO_NULL};
    return att_suite_run("gguf", tests);
}
